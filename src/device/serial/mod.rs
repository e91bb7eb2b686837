//! Serial ports.

mod lower;
mod target;

pub use target::{SerialModel, SerialModelName, SerialTarget, SerialTargetType};

use super::address::Address;
use super::chardev::{self, ChardevSource};
use super::info::DeviceInfo;
use super::plug::Plug;
use super::{Family, device};
use crate::diag::codes::chardev as codes;
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::resolve::{Cx, Env, Machine};

model! {
    /// `<serial>`
    pub struct Serial = "serial" {
        part source: ChardevSource,
        child target: SerialTarget,
        part info: DeviceInfo,
    }
}

device!(Serial, "serial port");

impl Serial {
    /// What kind of port; none while defaults have not run, or when only the board knows.
    pub fn target_type(&self) -> Option<SerialTargetType> {
        self.target.as_ref().and_then(|t| t.kind)
    }

    /// Number of the port.
    pub fn port(&self) -> u32 {
        self.target.as_ref().and_then(|t| t.port).unwrap_or(0)
    }
}

impl Family for Serial {
    fn defaults(&mut self, machine: &Machine, _: &mut Cx<'_>) {
        target::defaults(self.target.get_or_insert_default(), machine);
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        match self.target_type() {
            Some(SerialTargetType::Pci) => Plug::Pci,
            Some(SerialTargetType::Usb) => Plug::Usb,
            Some(SerialTargetType::SpaprVio) => Plug::SpaprVio(0x3000_0000),
            _ => Plug::Nowhere,
        }
    }

    fn rules(&self, _: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        chardev::rules(&self.source, self.site, cx);
        chardev::unix_needs_path(&self.source, self.source.site, cx);
        if let Some(target) = &self.target {
            target::rules(target, self.site, machine, cx);
        }
        if let Some(kind) = self.target_type()
            && let Some(wanted) = target::address_kind(kind)
            && let Some(found) = self.info.address.address.as_ref().map(Address::kind)
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
