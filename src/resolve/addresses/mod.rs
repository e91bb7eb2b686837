//! Second pass: a place for every device on its bus.

mod order;
mod pci;

use super::{Cx, Machine};
use crate::domain::Domain;

/// Assigns all addresses that are not given.
pub fn assign(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    pci::assign(domain, machine, cx);
}
