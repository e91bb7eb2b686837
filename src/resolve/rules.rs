//! Third pass: semantic checks of the complete domain.

use crate::device::chardev::{ChardevSource, SourceKind};
use crate::device::graphics::GraphicsKind;
use crate::device::{Devices, family};
use crate::diag::codes::chardev as codes;
use crate::domain::Domain;
use crate::stage::{Cx, Machine};
use crate::xml::Site;

/// Checks everything; the families check their own devices.
pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    super::seclabel::rules(domain, cx);
    super::guest_rules::check(domain, machine, cx);
    if let Some(devices) = &domain.devices {
        spice(devices, cx);
        if let Some(second) = devices.redirfilters.get(1) {
            let message =
                "a second <redirfilter>: one set of rules of redirection is supported, with all <usbdev> in it";
            cx.error(&crate::diag::codes::chardev::REDIRECT, second.site, message);
        }
        super::place_rules::check(devices, machine, cx);
        family::rules(devices, domain, machine, cx);
    }
}

/// Channels to a SPICE client need a SPICE server.
fn spice(devices: &Devices, cx: &mut Cx<'_>) {
    if devices.graphics.iter().any(|g| g.is(GraphicsKind::Spice)) {
        return;
    }
    let mut check = |source: &ChardevSource, site: Site| {
        if let Some(kind @ (SourceKind::Spicevmc | SourceKind::Spiceport)) = source.kind {
            let message =
                format!("a character device of type '{kind}' goes through a SPICE display, and this domain has none");
            cx.error(&codes::SPICE, site, message).help("add <graphics type='spice'/>");
        }
    };
    devices.serials.iter().for_each(|d| check(&d.source, d.site));
    devices.parallels.iter().for_each(|d| check(&d.source, d.site));
    devices.channels.iter().for_each(|d| check(&d.source, d.site));
    devices.redirdevs.iter().for_each(|d| check(&d.source, d.site));
    devices.smartcards.iter().for_each(|d| check(&d.source, d.site));
}
