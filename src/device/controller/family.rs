//! Controllers: what the passes ask of the family.

use super::{Controller, ControllerKind, defaults, lower, rules};
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Board, Cx, Env, Machine};

impl Family for Controller {
    fn defaults(&mut self, machine: &Machine, cx: &mut Cx<'_>) {
        defaults::model(self, machine, cx);
    }

    fn plug(&self, machine: &Machine, _: &Env<'_>) -> Plug {
        match self.kind {
            // The one on the board of a machine without PCI.
            Some(ControllerKind::Ide) if machine.board == Board::Isapc => Plug::Nowhere,
            _ => self.plug_of_kind(),
        }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        rules::controller(self, domain, machine, cx);
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::controller(self, lx);
    }
}
