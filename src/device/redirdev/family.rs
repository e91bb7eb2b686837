//! USB devices of a client, redirected into the guest: what the passes ask of the family.

use super::filter::RedirFilter;
use super::{RedirBus, Redirdev};
use crate::caps::Cap;
use crate::device::chardev::{self, SourceKind, lower::Chardev};
use crate::device::controller::{Controller, ControllerKind, ControllerModel};
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::diag::codes::{chardev as codes, general as support};
use crate::domain::Domain;
use crate::plan::{Props, Use};
use crate::stage::Lower;
use crate::stage::{Cx, Env, Machine};

impl Family for Redirdev {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {
        self.bus.get_or_insert(RedirBus::Usb);
        // libvirt reads no labels here.
        self.source.seclabels.clear();
        if self.source.kind() == SourceKind::Dbus {
            self.source.channel.get_or_insert_with(|| "org.qemu.usbredir".to_string());
        }
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
        chardev::rules::rules(&self.source, self.site, cx);
        chardev::rules::unix_needs_path(&self.source, self.source.site, cx);
        if !cx.has(Cap::UsbRedir) {
            cx.error(&support::NOT_BY_QEMU, self.site, "this version of QEMU was built without USB redirection");
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let of = Chardev {
            id: &self.info.id,
            site: self.site,
            family: "redirected device",
            usage: Use::RedirectedUsb,
            spicevmc: "usbredir",
            generated: None,
        };
        let id = chardev::lower::chardev(&self.source, of, lx);
        let mut props = Props::driver("usb-redir");
        props.set("chardev", id).set("id", self.info.id.clone());
        props.maybe("filter", lx.devices.redirfilters.first().map(RedirFilter::text));
        lx.boot(&mut props, &self.info);
        lx.address(&mut props, &self.info);
        lx.device(props, self);
    }
}

impl Family for RedirFilter {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn rules(&self, _: &Domain, _: &Machine, _: &mut Cx<'_>) {}

    fn lower(&self, _: &mut Lower<'_>) {}
}
