//! USB devices of a client, redirected into the guest.

mod filter;

pub use filter::RedirFilter;

use super::chardev::{self, Chardev, ChardevSource};
use super::controller::{Controller, ControllerKind, ControllerModel};
use super::info::DeviceInfo;
use super::plug::Plug;
use super::{Family, device};
use crate::caps::Cap;
use crate::diag::codes::{chardev as codes, general as support};
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::plan::Props;
use crate::resolve::{Cx, Env, Machine};
use crate::vocab::keywords;

keywords! {
    /// `<redirdev bus='…'>`
    pub enum RedirBus { Usb = "usb" }
}

model! {
    /// `<redirdev>`
    pub struct Redirdev = "redirdev" {
        attr bus: RedirBus = "bus",
        part source: ChardevSource,
        part info: DeviceInfo,
    }
}

device!(Redirdev, "redirected device");

impl Family for Redirdev {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {
        self.bus.get_or_insert(RedirBus::Usb);
        // libvirt reads no labels here.
        self.source.seclabels.clear();
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        Plug::Usb
    }

    fn rules(&self, domain: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        let without_usb = |c: &Controller| c.is(ControllerKind::Usb) && c.model == Some(ControllerModel::None);
        if domain.devices.as_ref().is_some_and(|d| d.controllers.iter().any(without_usb)) {
            cx.error(&codes::REDIRECT, self.site, "<redirdev bus='usb'> would be a redirected USB device, and USB is disabled in this domain (model='none')")
                .help("remove <controller type='usb' model='none'/>");
        }
        chardev::rules(&self.source, self.site, cx);
        chardev::unix_needs_path(&self.source, self.source.site, cx);
        if !cx.has(Cap::UsbRedir) {
            cx.error(&support::NOT_BY_QEMU, self.site, "this version of QEMU was built without USB redirection");
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let of = Chardev {
            id: &self.info.id,
            site: self.site,
            family: "redirected device",
            spicevmc: "usbredir",
            generated: None,
        };
        let id = chardev::chardev(&self.source, of, lx);
        let mut props = Props::driver("usb-redir");
        props.set("chardev", id).set("id", self.info.id.clone());
        props.maybe("filter", lx.devices.redirfilters.first().map(RedirFilter::text));
        lx.boot(&mut props, &self.info);
        lx.address(&mut props, &self.info);
        lx.device(props, self);
    }
}
