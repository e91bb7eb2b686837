//! `<nvram>`: what the passes ask of the family.

use super::Nvram;
use crate::caps::Cap;
use crate::device::address::Address;
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::diag::codes::{general, hostdev as codes};
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Board, Cx, Env, Machine};

impl Family for Nvram {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn plug(&self, machine: &Machine, _: &Env<'_>) -> Plug {
        if machine.board == Board::Pseries { Plug::SpaprVio(0x3000) } else { Plug::Nowhere }
    }

    fn rules(&self, _: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        if machine.board != Board::Pseries {
            cx.error(&codes::UNSUPPORTED_MODEL, self.site, "<nvram> as a device exists in PPC64 guests (pSeries) only");
        } else if !cx.has(Cap::Nvram) {
            cx.error(&general::NOT_BY_QEMU, self.site, "this QEMU binary has no nvram device");
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        if let Some(Address::SpaprVio { reg: Some(reg) }) = self.info.address.address {
            lx.text("-global", format!("spapr-nvram.reg=0x{reg:x}"), self.site, "nvram");
        }
    }
}
