//! Parallel ports: what the passes ask of the family.

use super::Parallel;
use crate::device::chardev::{self, lower::Chardev};
use crate::device::family::Family;
use crate::diag::codes::chardev as codes;
use crate::domain::Domain;
use crate::plan::{Props, Use};
use crate::stage::Lower;
use crate::stage::{Cx, Machine};

impl Family for Parallel {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn rules(&self, _: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        chardev::rules::rules(&self.source, self.site, cx);
        chardev::rules::unix_needs_path(&self.source, self.source.site, cx);
        // libvirt leaves it to QEMU that boards of these have no ISA bus to put the port on.
        let bare = machine.arch.is_arm() || machine.arch.is_riscv() || machine.arch.is_loongarch();
        let none = machine.arch.is_s390() || machine.board == crate::stage::Board::Pseries;
        if none || bare && cx.env.is_guardian() {
            cx.error(&codes::UNSUPPORTED, self.site, "this machine has no parallel ports")
                .help("remove the <parallel> device");
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let of = Chardev {
            id: &self.info.id,
            site: self.site,
            family: "parallel port",
            usage: Use::ParallelPort,
            spicevmc: "vdagent",
            generated: None,
        };
        let id = chardev::lower::chardev(&self.source, of, lx);
        let mut props = Props::driver("isa-parallel");
        props.set("chardev", id).set("id", self.info.id.clone());
        lx.device(props, self);
    }
}
