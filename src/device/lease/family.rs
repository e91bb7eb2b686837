//! `<lease>`: what the passes ask of the family.

use super::Lease;
use crate::device::family::Family;
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Machine};

impl Family for Lease {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn rules(&self, _: &Domain, _: &Machine, _: &mut Cx<'_>) {}

    fn lower(&self, _: &mut Lower<'_>) {}
}
