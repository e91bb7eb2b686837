//! What the passes ask of each device family.

use super::plug::Plug;
use super::{Device, Devices};
use crate::bind::Model;
use crate::domain::Domain;
use crate::stage::{Cx, Env, Lower, Machine};

/// A device family: what the stages ask of it. Each method is one stage.
pub trait Family: Model + Device {
    /// Fills in what the format leaves open (bus, model, driver…), before addresses are assigned.
    fn defaults(&mut self, machine: &Machine, cx: &mut Cx<'_>);
    /// What it has to be plugged into, for those that the address passes place
    /// (`resolve::addresses` has the order in which families are served).
    fn plug(&self, _machine: &Machine, _env: &Env<'_>) -> Plug {
        Plug::Nowhere
    }
    /// Checks the complete device. `domain` is the whole, for checks across devices.
    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>);
    /// Adds its arguments, accesses and helpers to the Plan.
    fn lower(&self, lx: &mut Lower<'_>);
}

macro_rules! passes {
    ($($field:ident: $ty:ty,)*) => {
        /// Runs the defaults of every device.
        pub fn defaults(devices: &mut Devices, machine: &Machine, cx: &mut Cx<'_>) {
            $(devices.$field.iter_mut().for_each(|d| d.defaults(machine, cx));)*
        }

        /// Runs the rules of every device.
        pub fn rules(devices: &Devices, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
            $(devices.$field.iter().for_each(|d| d.rules(domain, machine, cx));)*
        }
    };
}
super::families!(passes);
