//! The lock of a domain: what was chosen for it that its guest can see.
//!
//! A domain leaves much open: addresses, the version of the machine type, MAC addresses. What virtc chooses depends on the
//! rest of the file, on QEMU and on virtc itself, so an edit could move what a guest has got used to. A lock writes the
//! choices down, in a file beside the XML, and supplies them again.
//!
//! It works on the document: what the XML leaves open is grafted onto it before anything is bound, as if the file had said
//! it (see [`supply`]). What the XML says always wins. Devices are found again by what identifies them
//! ([`families`], [`matching`]), not by their place in the file.

mod families;
mod flat;
mod matching;
mod read;
mod supply;
mod take;
mod write;

pub use read::read;
pub use supply::{Supplied, supply};
pub use take::{take, take_over};
pub use write::{About, write, write_placed};

/// The version of the format.
pub const VERSION: u32 = 1;

/// Names and values: `mac.address`, `52:54:00:…`. A name is a path of elements that ends with an attribute, or with `text`.
pub type Values = Vec<(String, String)>;

/// What is locked of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The name of the domain, for the reader.
    pub name: String,
    /// What the XML said of the machine type, and what that was: `q35`, `pc-q35-7.2`. None if the XML names a version.
    pub machine: Option<Machine>,
    /// Values of the domain itself: UUID, CPU, firmware.
    pub values: Values,
    /// The devices, by element and id.
    pub devices: Vec<Entry>,
}

/// A machine type that the XML leaves to QEMU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The word of the XML; empty if it has none.
    pub asked: String,
    /// The machine type of a version.
    pub name: String,
}

/// What is locked of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its element: `interface`.
    pub element: String,
    /// Its id in QEMU: `net0`.
    pub id: String,
    /// Whether virtc added it, and the XML has no element for it.
    pub made: bool,
    /// By what it is found again.
    pub is: Values,
    /// What was chosen for it.
    pub has: Values,
    /// Attributes of its `<address>`.
    pub at: Values,
}

impl Lock {
    /// What differs from another lock, a line each: `+ interface 'net1' …`.
    pub fn changes(&self, new: &Lock) -> Vec<String> {
        if self == new {
            return Vec::new();
        }
        let machine = |lock: &Lock| lock.machine.clone().map(|m| ("machine".to_string(), m.name)).into_iter();
        let (before, after): (Values, Values) =
            (machine(self).chain(self.values.clone()).collect(), machine(new).chain(new.values.clone()).collect());
        let mut out = changed("", &before, &after);
        let find = |all: &[Entry], one: &Entry| all.iter().any(|e| e.element == one.element && e.id == one.id);
        for entry in &new.devices {
            match self.devices.iter().find(|e| e.element == entry.element && e.id == entry.id) {
                None => out.push(format!("+ {}{}", entry.title(), entry.place())),
                Some(old) => {
                    let title = format!("{}: ", entry.title());
                    let found = out.len();
                    out.extend(changed(&title, &old.has, &entry.has));
                    if old.at != entry.at {
                        out.push(format!("~ {title}{} ->{}", old.place().trim_start(), entry.place()));
                    }
                    if found == out.len() && old != entry {
                        out.push(format!("~ {}what it is known by", title));
                    }
                }
            }
        }
        out.extend(
            self.devices.iter().filter(|e| !find(&new.devices, e)).map(|e| format!("- {}{}", e.title(), e.place())),
        );
        if out.is_empty() {
            out.push("~ its name, or the order of its lines".to_string());
        }
        out
    }
}

/// What differs between values, a line each.
fn changed(title: &str, old: &Values, new: &Values) -> Vec<String> {
    let value = |values: &Values, path: &str| flat::get(values, path).map_or("not set".to_string(), str::to_string);
    let paths = new.iter().chain(old.iter().filter(|(path, _)| flat::get(new, path).is_none())).map(|(path, _)| path);
    paths
        .filter(|path| flat::get(old, path) != flat::get(new, path))
        .map(|path| format!("~ {title}{path}: {} -> {}", value(old, path), value(new, path)))
        .collect()
}

impl Entry {
    /// For a person: `interface 'net0'`.
    pub fn title(&self) -> String {
        format!("{} '{}'", self.element, self.id)
    }

    /// For a person: ` at pci 0000:01:00.0`.
    fn place(&self) -> String {
        let value = |name| flat::get(&self.at, name).unwrap_or("").trim_start_matches("0x");
        match value("type") {
            "" => String::new(),
            "pci" => format!(" at pci {}:{}:{}.{}", value("domain"), value("bus"), value("slot"), value("function")),
            kind => {
                let rest: Vec<String> =
                    self.at.iter().filter(|(n, _)| n != "type").map(|(n, v)| format!("{n} {v}")).collect();
                format!(" at {kind} {}", rest.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
