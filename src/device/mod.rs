//! Devices: one folder a family, everything about it inside.
//!
//! A family has a model with its binding (`mod.rs`), what the format leaves open (`defaults.rs`),
//! semantic checks (`rules.rs`) and the way into the Plan (`lower.rs`). The table at the end of this
//! file is the list of families; [`Family`] is what each one answers.

pub mod address;
pub mod audio;
pub mod channel;
pub mod chardev;
pub mod console;
pub mod controller;
pub mod crypto;
pub mod disk;
pub mod family;
pub mod filesystem;
pub mod graphics;
pub mod hostdev;
pub mod hub;
pub mod info;
pub mod input;
pub mod interface;
pub mod iommu;
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
pub mod video;
pub mod virtio;
pub mod vsock;
pub mod watchdog;

use crate::bind::{Binder, Model, Part, Shape};
use crate::xml::{El, Site, XmlWriter};
use address::Address;
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
    ($($(#[$meta:meta])* $field:ident: $ty:ty,)*) => {
        /// `<devices>`: every device, by family, in the order in which libvirt prints them.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Devices {
            /// `<emulator>`: the QEMU binary.
            pub emulator: Option<String>,
            $($(#[$meta])* #[doc = concat!("`", stringify!($field), "`")] pub $field: Vec<$ty>,)*
            /// What a lock keeps.
            pub held: Held,
            /// Where the element stands.
            pub site: Site,
        }

        impl Part for Devices {
            fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
                self.site = el.site();
                self.emulator = el.child("emulator").and_then(|e| cx.text(e));
                $(self.$field = el.children_named(<$ty>::ELEMENT).map(|e| {
                    info::only_one(e, cx);
                    let mut device = <$ty>::read(e, cx);
                    device.info_mut().forget_for(<$ty>::ELEMENT);
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
                $(shape.child::<$ty>(<$ty>::ELEMENT);)*
            }
        }

        impl Devices {
            /// Visits every device.
            pub fn each<'a>(&'a self, f: &mut dyn FnMut(&'a dyn Device)) {
                $(self.$field.iter().for_each(|d| f(d));)*
            }

            /// Visits every device with its element, to fill something in.
            pub fn each_named_mut(&mut self, f: &mut dyn FnMut(&'static str, &mut dyn Device)) {
                $(self.$field.iter_mut().for_each(|d| f(<$ty>::ELEMENT, d));)*
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

/// The table of families: one row each. It is expanded where the families are listed: here for the model, in
/// [`family`] for what the passes ask.
macro_rules! families {
    ($list:ident) => {
        $list! {
            disks: disk::Disk,
            controllers: controller::Controller,
            leases: lease::Lease,
            filesystems: filesystem::Filesystem,
            interfaces: interface::Interface,
            smartcards: smartcard::Smartcard,
            serials: serial::Serial,
            parallels: parallel::Parallel,
            consoles: console::Console,
            channels: channel::Channel,
            inputs: input::Input,
            tpms: tpm::Tpm,
            graphics: graphics::Graphics,
            sounds: sound::Sound,
            audios: audio::Audio,
            videos: video::Video,
            hostdevs: hostdev::Hostdev,
            redirdevs: redirdev::Redirdev,
            redirfilters: redirdev::RedirFilter,
            hubs: hub::Hub,
            watchdogs: watchdog::Watchdog,
            memballoons: memballoon::Memballoon,
            rngs: rng::Rng,
            nvrams: nvram::Nvram,
            panics: panic::Panic,
            shmems: shmem::Shmem,
            memories: memory::MemoryDevice,
            cryptos: crypto::Crypto,
            iommus: iommu::Iommu,
            vsocks: vsock::Vsock,
            pstores: pstore::Pstore,
        }
    };
}
pub(crate) use families;

families!(devices);
