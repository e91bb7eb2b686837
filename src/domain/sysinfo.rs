//! `<sysinfo>`: what the guest reads from SMBIOS or from QEMU's firmware configuration.

use crate::bind::{Binder, Model, Part, Shape, model, print_attr};
pub use crate::schema::words::SysinfoKind;
use crate::xml::{El, Site, XmlWriter};

/// `<entry name='…'>text</entry>`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// Name of the field; none for an OEM string.
    pub name: Option<String>,
    /// A file that holds the value (fwcfg).
    pub file: Option<String>,
    /// The value.
    pub value: Option<String>,
    /// Where it stands.
    pub site: Site,
}

impl Part for Entry {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.name = cx.attr(el, "name");
        self.file = cx.attr(el, "file");
        self.value = if el.text().is_empty() { None } else { Some(el.text().to_string()) };
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "name", &self.name);
        print_attr(out, "file", &self.file);
    }
    fn print_body(&self, out: &mut XmlWriter) {
        // libvirt prints the file alone, though it hands the value to the guest.
        if let Some(value) = self.value.as_ref().filter(|_| self.file.is_none()) {
            out.text(value);
        }
    }
    fn shape(shape: &mut Shape) {
        shape.attr("name");
        shape.attr("file");
        shape.text = true;
    }
}

impl Model for Entry {
    const ELEMENT: &'static str = "entry";
}

/// A table of SMBIOS: its entries come out in a fixed order, whatever the order in the XML.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table<const KIND: usize> {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where it stands.
    pub site: Site,
}

/// Names of the entries of each table, in libvirt's order: bios, system, baseBoard, chassis.
const ORDER: [&[&str]; 5] = [
    &["vendor", "version", "date", "release"],
    &["manufacturer", "product", "version", "serial", "uuid", "sku", "family"],
    &["manufacturer", "product", "version", "serial", "asset", "location"],
    &["manufacturer", "version", "serial", "asset", "sku"],
    &[],
];

impl<const KIND: usize> Table<KIND> {
    /// The value of an entry.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|e| e.name.as_deref() == Some(name)).and_then(|e| e.value.as_deref())
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<const KIND: usize> Part for Table<KIND> {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.entries = el.children_named("entry").map(|e| Entry::read(e, cx)).collect();
        self.entries.iter_mut().for_each(|e| e.file = None);
        let order = ORDER[KIND.min(ORDER.len() - 1)];
        if order.is_empty() {
            self.entries.iter_mut().for_each(|e| e.name = None);
        } else {
            // libvirt knows only these names and drops any other.
            self.entries.retain(|e| e.name.as_deref().is_some_and(|n| order.contains(&n)) && e.value.is_some());
            self.entries.sort_by_key(|e| order.iter().position(|n| Some(*n) == e.name.as_deref()));
            self.entries.dedup_by(|b, a| a.name == b.name);
        }
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        self.entries.iter().for_each(|e| e.print(out));
    }
    fn shape(shape: &mut Shape) {
        shape.child::<Entry>("entry");
    }
}

model! {
    /// `<sysinfo>`
    pub struct Sysinfo = "sysinfo" {
        need kind: SysinfoKind = "type",
        child bios: Table<0> = "bios",
        child system: Table<1> = "system",
        many base_boards: Table<2> = "baseBoard",
        child chassis: Table<3> = "chassis",
        child oem_strings: Table<4> = "oemStrings",
        many entries: Entry,
    }
}
