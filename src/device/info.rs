//! What every device can have: boot order, alias, option ROM, ACPI index, address.

use super::address::{Address, AddressKind, AddressPart, PciAddress};
use crate::bind::{Binder, Model, Part, Shape, model};
use crate::vocab::{NumberSet, OnOff, YesNo};
use crate::xml::{El, Site, XmlWriter};

/// What the passes over all devices ask of each.
pub trait Device: std::any::Any {
    /// The word for it in messages and reasons: `disk`.
    fn family(&self) -> &'static str;
    /// Where it stands in the source.
    fn site(&self) -> Site;
    /// Boot order, alias, address.
    fn info(&self) -> &DeviceInfo;
    /// The same, to be filled in.
    fn info_mut(&mut self) -> &mut DeviceInfo;
}

impl dyn Device {
    /// Whether it is of this family.
    pub fn is<T: Device>(&self) -> bool {
        (self as &dyn std::any::Any).is::<T>()
    }
}

/// Declares that a struct with an `info` and a `site` field is a device.
macro_rules! device {
    ($ty:ty, $family:literal) => {
        impl $crate::device::info::Device for $ty {
            fn family(&self) -> &'static str {
                $family
            }
            fn site(&self) -> $crate::xml::Site {
                self.site
            }
            fn info(&self) -> &$crate::device::info::DeviceInfo {
                &self.info
            }
            fn info_mut(&mut self) -> &mut $crate::device::info::DeviceInfo {
                &mut self.info
            }
        }
    };
}
pub(crate) use device;

model! {
    /// `<boot order='1'/>` of a device.
    pub struct DeviceBoot = "boot" {
        need order: u32 = "order",
        attr loadparm: String = "loadparm",
    }
}

model! {
    /// `<rom>`: the option ROM of a PCI device.
    pub struct Rom = "rom" {
        attr enabled: YesNo = "enabled",
        attr bar: OnOff = "bar",
        attr file: String = "file",
    }
}

model! {
    /// `<acpi index='1'/>`
    pub struct Acpi = "acpi" {
        attr index: u32 = "index",
        attr nodeset: NumberSet = "nodeset",
    }
}

/// `<alias name='ua-…'/>`. Only names that begin with `ua-` are the user's; libvirt ignores others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alias {
    /// The user's name of the device, kept in the XML.
    pub user: Option<String>,
    /// `<master>` of a companion controller, which stands between alias and address.
    pub master: Option<Master>,
}

model! {
    /// `<master startport='0'/>`: which ports of the USB 2 controller a companion serves.
    pub struct Master = "master" {
        attr startport: u32 = "startport",
    }
}

impl Part for Alias {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        if let Some(alias) = el.child("alias") {
            self.user = cx.attr::<String>(alias, "name").filter(|n| n.starts_with("ua-"));
        }
        if el.is("controller") {
            self.master = el.child(Master::ELEMENT).map(|e| Master::read(e, cx));
        }
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(name) = &self.user {
            out.start("alias");
            out.attr("name", name);
            out.end();
        }
        if let Some(master) = &self.master {
            master.print(out);
        }
    }
    fn shape(shape: &mut Shape) {
        let mut alias = Shape::default();
        alias.attr("name");
        shape.children.push(("alias", alias));
    }
}

model! {
    /// The part that all devices share.
    pub struct DeviceInfo {
        child boot: DeviceBoot,
        part alias: Alias,
        child rom: Rom,
        child acpi: Acpi,
        part address: AddressPart,
        /// The id of the device in QEMU, set when aliases are assigned.
        extra id: String,
        /// POWER: the isolation group of a host device; 0 for none.
        extra isolation: u32,
        /// Position in the boot order, from 1, set when boot indexes are assigned.
        extra bootindex: Option<u32>,
    }
}

/// Children that a device has once, and that a model reads the first of.
const ONCE: [(&str, &str); 7] = [
    ("crypto", "backend"),
    ("rng", "backend"),
    ("tpm", "backend"),
    ("serial", "protocol"),
    ("parallel", "protocol"),
    ("console", "protocol"),
    ("channel", "protocol"),
];

/// Refuses a second child of those that a device has once.
pub fn only_one(el: El<'_>, cx: &mut Binder<'_>) {
    for (_, child) in ONCE.iter().filter(|(name, _)| el.is(name)) {
        for second in el.children_named(child).skip(1) {
            let message =
                format!("only one {child} element of a {} device is supported: it is allowed once", el.name());
            cx.diags.error(&crate::diag::codes::schema::DUPLICATE, second.span(), message);
            second.mark_all();
        }
    }
}

impl DeviceInfo {
    /// Forgets what means nothing for devices of this element: a boot order where nothing can be booted from, an
    /// option ROM of what is no card of its own.
    pub fn forget_for(&mut self, element: &str) {
        if !matches!(element, "disk" | "interface" | "hostdev" | "redirdev" | "filesystem") {
            self.boot = None;
        }
        if !matches!(element, "interface" | "hostdev") {
            self.rom = None;
        }
    }

    /// The PCI address, if the device has one.
    pub fn pci(&self) -> Option<&PciAddress> {
        match &self.address.address {
            Some(Address::Pci(pci)) => Some(pci),
            _ => None,
        }
    }

    /// Of which kind the address is that has been given, assigned, or asked for by its type alone.
    pub fn address_kind(&self) -> Option<AddressKind> {
        self.address.address.as_ref().map(Address::kind).or(self.address.wanted)
    }

    /// Whether an address has been given or assigned.
    pub fn has_address(&self) -> bool {
        self.address.address.is_some()
    }

    /// Gives the device an address.
    pub fn place(&mut self, address: Address) {
        self.address.address = Some(address);
    }

    /// Gives the device a PCI address; what the XML says besides the place stays.
    pub fn place_pci(&mut self, mut at: PciAddress) {
        if let Some(Address::Pci(given)) = &self.address.address {
            at.zpci = at.zpci.or(given.zpci);
            at.multifunction = at.multifunction.or(given.multifunction);
        }
        self.address.address = Some(Address::Pci(at));
    }

    /// Where the address stands; the device itself if it was assigned.
    pub fn address_site(&self) -> Site {
        if self.address.site.is_none() { self.site } else { self.address.site }
    }
}
