//! Third pass: semantic checks of the complete domain.

use super::{Cx, Machine};
use crate::domain::Domain;

/// Checks everything; the families check their own devices.
pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    crate::domain::seclabel::rules(domain, cx);
    super::guest_rules::check(domain, machine, cx);
    if let Some(devices) = &domain.devices {
        devices.rules(domain, machine, cx);
    }
}
