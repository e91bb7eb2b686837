//! USB hubs: what the passes ask of the family.

use super::Hub;
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::domain::Domain;
use crate::plan::Props;
use crate::stage::Lower;
use crate::stage::{Cx, Env, Machine};

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
