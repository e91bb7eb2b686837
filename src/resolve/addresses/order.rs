//! The order in which devices are given their places: the column `plug` of the table of families.

use crate::device::family::Family;
use crate::device::plug::{Plug, Round};
use crate::device::turn::{Turn, in_order};
use crate::device::{Device, Devices, FamilyId, families};
use crate::stage::{Env, Machine};

/// A visitor of devices and what they are to be plugged into.
pub type Visit<'a> = &'a mut dyn FnMut(&mut dyn Device, Plug);

fn all<F: Family>(devices: &mut [F], round: Round, machine: &Machine, env: &Env<'_>, visit: Visit<'_>) {
    for device in devices.iter_mut().filter(|device| device.is_served_in(round)) {
        let plug = device.plug(machine, env);
        if plug != Plug::Nowhere {
            visit(device, plug);
        }
    }
}

macro_rules! turns {
    ($($field:ident: $module:ident::$model:ident {
        lower: $lower:tt, id: $id:tt, plug: [$($round:ident $number:literal),*], lock: $lock:tt, import: $import:tt
    })*) => {
        const TURNS: &[Turn] = &in_order([$($(Turn::new(Round::$round as u8, $number, FamilyId::$model),)*)*]);

        /// Visits the devices that are served in a round, in order.
        pub fn serve(round: Round, devices: &mut Devices, machine: &Machine, env: &Env<'_>, visit: Visit<'_>) {
            for turn in TURNS.iter().filter(|turn| turn.is_in(round as u8)) {
                match turn.family {
                    $(FamilyId::$model => all(&mut devices.$field, round, machine, env, visit),)*
                }
            }
        }
    };
}
families!(turns);
