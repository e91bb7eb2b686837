//! USB hubs.

use super::info::DeviceInfo;
use super::plug::Plug;
use super::{Family, device};
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::plan::Props;
use crate::resolve::{Cx, Env, Machine};
use crate::vocab::keywords;

keywords! {
    /// `<hub type='…'>`
    pub enum HubKind { Usb = "usb" }
}

model! {
    /// `<hub>`
    pub struct Hub = "hub" {
        need kind: HubKind = "type",
        part info: DeviceInfo,
    }
}

device!(Hub, "USB hub");

impl Hub {
    /// A hub that is added because the ports of a controller do not suffice.
    pub fn implied() -> Hub {
        Hub { kind: Some(HubKind::Usb), ..Hub::default() }
    }
}

impl Family for Hub {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        Plug::Usb
    }

    fn rules(&self, _: &Domain, _: &Machine, _: &mut Cx<'_>) {}

    fn lower(&self, lx: &mut Lower<'_>) {
        let mut props = Props::driver("usb-hub");
        props.set("id", self.info.id.clone());
        lx.address(&mut props, &self.info);
        lx.device(props, self);
    }
}
