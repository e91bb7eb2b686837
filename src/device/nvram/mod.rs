//! `<nvram>`: the non-volatile memory of a POWER machine.

use super::address::Address;
use super::info::DeviceInfo;
use super::plug::Plug;
use super::{Family, device};
use crate::caps::Cap;
use crate::diag::codes::{general, hostdev as codes};
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::resolve::{Board, Cx, Env, Machine};

model! {
    /// `<nvram>`
    pub struct Nvram = "nvram" {
        part info: DeviceInfo,
    }
}

device!(Nvram, "nvram");

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
