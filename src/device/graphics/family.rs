//! Displays: what the passes ask of the family.

use super::{Graphics, defaults, lower, rules};
use crate::device::family::Family;
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Machine};

impl Family for Graphics {
    fn defaults(&mut self, _: &Machine, cx: &mut Cx<'_>) {
        defaults::graphics(self, cx);
    }

    fn rules(&self, domain: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        rules::graphics(self, domain, cx);
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::graphics(self, lx);
    }
}
