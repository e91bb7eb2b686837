//! Serial ports: what the passes ask of the family.

use super::target::SerialTargetType;
use super::target_rules;
use super::{Serial, lower, target};
use crate::device::chardev::{self};
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::diag::codes::chardev as codes;
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Env, Machine};

impl Family for Serial {
    fn defaults(&mut self, machine: &Machine, _: &mut Cx<'_>) {
        target_rules::defaults(self.target.get_or_insert_default(), machine);
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        match self.target_type() {
            Some(SerialTargetType::PciSerial) => Plug::Pci,
            Some(SerialTargetType::UsbSerial) => Plug::Usb,
            Some(SerialTargetType::SpaprVioSerial) => Plug::SpaprVio(0x3000_0000),
            _ => Plug::Nowhere,
        }
    }

    fn rules(&self, _: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        chardev::rules::rules(&self.source, self.site, cx);
        chardev::rules::unix_needs_path(&self.source, self.source.site, cx);
        if let Some(target) = &self.target {
            target_rules::rules(target, self.site, machine, cx);
        }
        if let Some(kind) = self.target_type()
            && let Some(wanted) = target::address_kind(kind)
            && let Some(found) = self.info.address_kind()
            && found != wanted
        {
            cx.error(
                &codes::TARGET,
                self.info.address_site(),
                format!("a serial port with target type '{kind}' has an address of type '{wanted}', and '{found}' is none for it"),
            )
            .help("remove the <address>, so that one is chosen");
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::serial(self, lx);
    }
}
