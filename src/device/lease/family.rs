//! `<lease>`: what the passes ask of the family.

use super::Lease;
use crate::device::family::Family;
use crate::diag::codes::schema as codes;
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Machine};

impl Family for Lease {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn rules(&self, _: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        for (name, missing) in [("key", self.key.is_none()), ("target", self.target.is_none())] {
            if missing {
                let message = format!("the '{name}' element of <lease> is missing: it names the lock");
                cx.error(&codes::MISSING_ELEMENT, self.site, message).help(format!("add <{name}>"));
            }
        }
    }

    fn lower(&self, _: &mut Lower<'_>) {}
}
