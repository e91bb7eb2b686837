//! Devices: one folder a family, everything about it inside.
//!
//! A family has a model with its binding (`mod.rs`), what the format leaves open (`defaults.rs`),
//! semantic checks (`rules.rs`) and the way into the Plan (`lower.rs`). The table in `families.rs` is the list of
//! families, one row each; [`Family`](family::Family) is what each one answers.

pub mod address;
pub mod audio;
pub mod channel;
pub mod chardev;
pub mod console;
pub mod controller;
pub mod crypto;
pub mod disk;
mod families;
pub mod family;
pub mod filesystem;
pub mod graphics;
pub mod hostdev;
pub mod hub;
pub mod info;
pub mod input;
pub mod interface;
pub mod iommu;
pub mod iothreads;
pub mod lease;
pub mod memballoon;
pub mod memory;
pub mod nvram;
pub mod panic;
pub mod parallel;
pub mod plug;
pub mod pstore;
pub mod redirdev;
pub mod rng;
pub mod serial;
pub mod shmem;
pub mod smartcard;
pub mod sound;
pub mod storage;
pub mod tpm;
pub mod turn;
pub mod video;
pub mod virtio;
pub mod vsock;
pub mod watchdog;

use crate::bind::{Binder, Model, Part, Shape};
use crate::xml::{El, Site, XmlWriter};
use address::Address;
pub(crate) use families::families;
pub use info::Device;

/// What a lock says of devices and no element can say: names in QEMU, places that stay free.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// Places of devices that are gone: nobody else gets them.
    pub places: Vec<Address>,
    /// Devices that a default adds, with the places that they had.
    pub implied: Vec<Implied>,
    /// Names of the devices of the XML, by where they stand.
    pub ids: Vec<(Site, String)>,
}

/// A device that a default adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Implied {
    /// Its element.
    pub element: &'static str,
    /// Its place.
    pub address: Address,
}

macro_rules! devices {
    ($($field:ident: $module:ident::$model:ident {
        lower: $lower:tt, id: $id:tt, plug: $plug:tt, lock: $lock:tt, import: $import:tt
    })*) => {
        /// The families, by their models.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum FamilyId {
            $(#[doc = concat!("Those in `", stringify!($field), "`.")] $model,)*
        }

        /// `<devices>`: every device, by family, in the order in which libvirt prints them.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Devices {
            /// `<emulator>`: the QEMU binary.
            pub emulator: Option<String>,
            $(#[doc = concat!("`", stringify!($field), "`")] pub $field: Vec<$module::$model>,)*
            /// What a lock keeps.
            pub held: Held,
            /// Where the element stands.
            pub site: Site,
        }

        impl Part for Devices {
            fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
                self.site = el.site();
                self.emulator = el.child("emulator").and_then(|e| cx.text(e));
                $(self.$field = el.children_named(<$module::$model>::ELEMENT).map(|e| {
                    info::only_one(e, cx);
                    let mut device = <$module::$model>::read(e, cx);
                    device.info_mut().forget_for(<$module::$model>::ELEMENT);
                    device
                }).collect();)*
            }
            fn print_attrs(&self, _: &mut XmlWriter) {}
            fn print_body(&self, out: &mut XmlWriter) {
                if let Some(emulator) = &self.emulator {
                    out.leaf("emulator", emulator);
                }
                $(self.$field.iter().for_each(|d| d.print(out));)*
            }
            fn shape(shape: &mut Shape) {
                shape.leaf("emulator");
                $(shape.child::<$module::$model>(<$module::$model>::ELEMENT);)*
            }
        }

        impl Devices {
            /// Visits every device.
            pub fn each<'a>(&'a self, f: &mut dyn FnMut(&'a dyn Device)) {
                $(self.$field.iter().for_each(|d| f(d));)*
            }

            /// Visits every device with its element, to fill something in.
            pub fn each_named_mut(&mut self, f: &mut dyn FnMut(&'static str, &mut dyn Device)) {
                $(self.$field.iter_mut().for_each(|d| f(<$module::$model>::ELEMENT, d));)*
            }

            /// Visits every device, to fill something in.
            pub fn each_mut(&mut self, f: &mut dyn FnMut(&mut dyn Device)) {
                $(self.$field.iter_mut().for_each(|d| f(d));)*
            }
        }
    };
}

impl Model for Devices {
    const ELEMENT: &'static str = "devices";
}

families!(devices);
