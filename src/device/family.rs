//! What the passes ask of each device family.

use super::plug::{Plug, Round};
use super::turn::{Turn, in_order};
use super::{Device, Devices, FamilyId};
use crate::bind::Model;
use crate::domain::Domain;
use crate::stage::{Cx, Env, Lower, Machine};

/// A device family: what the stages ask of it. Each method is one stage.
pub trait Family: Model + Device {
    /// Fills in what the format leaves open (bus, model, driver…), before addresses are assigned.
    fn defaults(&mut self, machine: &Machine, cx: &mut Cx<'_>);
    /// What it has to be plugged into, for those that the address passes place.
    fn plug(&self, _machine: &Machine, _env: &Env<'_>) -> Plug {
        Plug::Nowhere
    }
    /// Whether it is served in this round, one of those that the table of families has for it.
    fn is_served_in(&self, _: Round) -> bool {
        true
    }
    /// Checks the complete device. `domain` is the whole, for checks across devices.
    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>);
    /// Adds its arguments, accesses and helpers to the Plan.
    fn lower(&self, lx: &mut Lower<'_>);
    /// Does so for all devices of the family.
    fn lower_all(all: &[Self], lx: &mut Lower<'_>) {
        all.iter().for_each(|device| device.lower(lx));
    }
}

/// The moments of the command line at which families are lowered; what stands between them is in `lower::lower`.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// Behind the controllers.
    First,
    /// Behind the readers of smart cards and the floppy controller: what most guests have.
    Devices,
    /// Behind `-incoming`.
    Late,
    /// Behind the sandbox.
    Last,
    /// At the end.
    End,
}

macro_rules! passes {
    ($($field:ident: $module:ident::$model:ident {
        lower: [$($moment:ident $number:literal)?], id: $id:tt, plug: $plug:tt, lock: $lock:tt, import: $import:tt
    })*) => {
        /// Runs the defaults of every device.
        pub fn defaults(devices: &mut Devices, machine: &Machine, cx: &mut Cx<'_>) {
            $(devices.$field.iter_mut().for_each(|d| d.defaults(machine, cx));)*
        }

        /// Runs the rules of every device.
        pub fn rules(devices: &Devices, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
            $(devices.$field.iter().for_each(|d| d.rules(domain, machine, cx));)*
        }

        const LOWERED: &[Turn] =
            &in_order([$($(Turn::new(Moment::$moment as u8, $number, FamilyId::$model),)?)*]);

        /// Lowers the families whose moment it is, in the order of the table.
        pub fn lower_at(moment: Moment, lx: &mut Lower<'_>) {
            let devices = lx.devices;
            for turn in LOWERED.iter().filter(|turn| turn.is_in(moment as u8)) {
                match turn.family {
                    $(FamilyId::$model => super::$module::$model::lower_all(&devices.$field, lx),)*
                }
            }
        }
    };
}
super::families!(passes);
