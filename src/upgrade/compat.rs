//! What a version of a machine type sets differently, from what QEMU itself says (`compat-x86_64.txt` and
//! those of other architectures).

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

const X86_64: &str = include_str!("compat-x86_64.txt");
const AARCH64: &str = include_str!("compat-aarch64.txt");
const S390X: &str = include_str!("compat-s390x.txt");
const PPC64: &str = include_str!("compat-ppc64.txt");

/// A property of a type of device.
type Property<'d> = (&'d str, &'d str);

/// The type that comes next, and how it differs: none where the next sets a property and this one does not.
type Step = (&'static str, Vec<(Property<'static>, Option<&'static str>)>);

/// The answers of QEMU.
pub struct Compat {
    /// The type of all its CPUs.
    cpu: &'static str,
    /// Machine types.
    machines: HashMap<&'static str, Step>,
    parents: HashMap<&'static str, &'static str>,
    defaults: HashMap<Property<'static>, &'static str>,
    boards: HashMap<&'static str, Vec<&'static str>>,
}

impl Compat {
    /// What is known of PCs.
    pub fn pc() -> &'static Compat {
        static PC: OnceLock<Compat> = OnceLock::new();
        PC.get_or_init(|| Compat::read(X86_64, "x86_64-cpu"))
    }

    /// What is known of ARM's `virt`.
    pub fn arm() -> &'static Compat {
        static ARM: OnceLock<Compat> = OnceLock::new();
        ARM.get_or_init(|| Compat::read(AARCH64, "arm-cpu"))
    }

    /// What is known of IBM's mainframes.
    pub fn s390x() -> &'static Compat {
        static S390: OnceLock<Compat> = OnceLock::new();
        S390.get_or_init(|| Compat::read(S390X, "s390x-cpu"))
    }

    /// What is known of pSeries.
    pub fn pseries() -> &'static Compat {
        static PSERIES: OnceLock<Compat> = OnceLock::new();
        PSERIES.get_or_init(|| Compat::read(PPC64, "powerpc64-cpu"))
    }

    /// What is known of machines of this kind: of those with versions, `virt` is ARM's.
    pub fn about(machine: &str) -> &'static Compat {
        match of_family(machine) {
            Some("virt") => Compat::arm(),
            Some("s390-ccw-virtio") => Compat::s390x(),
            Some("pseries") => Compat::pseries(),
            _ => Compat::pc(),
        }
    }

    /// The type of a CPU model.
    pub fn cpu(&self, model: &str) -> String {
        format!("{model}-{}", self.cpu)
    }

    fn read(text: &'static str, cpu: &'static str) -> Compat {
        let mut compat = Compat {
            cpu,
            machines: HashMap::new(),
            parents: HashMap::new(),
            defaults: HashMap::new(),
            boards: HashMap::new(),
        };
        let mut machine = "";
        for line in text.lines() {
            let words: Vec<&'static str> = line.split(' ').collect();
            match words.as_slice() {
                ["machine", name, next] => {
                    machine = name;
                    compat.machines.insert(name, (next, Vec::new()));
                }
                ["parent", name, parent] => drop(compat.parents.insert(name, parent)),
                ["default", name, property, value] => drop(compat.defaults.insert((name, property), value)),
                ["board", name, devices @ ..] => drop(compat.boards.insert(name, devices.to_vec())),
                [name, property, rest @ ..] if name.starts_with(['+', '-']) => {
                    let value = rest.first().copied().filter(|_| name.starts_with('+'));
                    if let Some((_, changes)) = compat.machines.get_mut(machine) {
                        changes.push(((&name[1..], property), value));
                    }
                }
                _ => {}
            }
        }
        compat
    }

    /// All that a machine type sets; none if nothing is known of it.
    pub fn of(&self, machine: &str) -> Option<BTreeMap<Property<'static>, &'static str>> {
        let mut chain = Vec::new();
        let mut at = *self.machines.get_key_value(machine)?.0;
        while let Some((next, changes)) = self.machines.get(at) {
            chain.push(changes);
            at = next;
        }
        let mut out = BTreeMap::new();
        for (property, value) in chain.into_iter().rev().flatten() {
            match value {
                Some(value) => drop(out.insert(*property, *value)),
                None => drop(out.remove(property)),
            }
        }
        Some(out)
    }

    /// The versions of a family, the newest first.
    pub fn versions(&self, family: &str) -> Vec<&'static str> {
        let mut all: Vec<&str> = self.machines.keys().copied().filter(|m| of_family(m) == Some(family)).collect();
        all.sort_by_key(|m| std::cmp::Reverse(crate::caps::retirement::family(m).map(|(_, version)| version)));
        all
    }

    /// A type of device and all that it is: its parents; of a virtio card also the device that it carries.
    pub fn lineage(&self, device: &str) -> Vec<String> {
        let mut out = vec![device.to_string()];
        let card = device.strip_suffix("-transitional").unwrap_or(device);
        let card = card.strip_suffix("-non").unwrap_or(card);
        let card = card.strip_suffix("-pci").or(card.strip_suffix("-ccw"));
        if let Some(inner) = card.filter(|c| c.starts_with("virtio-") || c.starts_with("vhost-")) {
            out.push(format!("{inner}-device"));
        } else if let Some(inner) = device.strip_prefix("virtio-vga") {
            out.push(format!("virtio-gpu{inner}-device"));
        }
        if out.len() > 1 {
            out.push("virtio-device".to_string());
        }
        if device.ends_with(&format!("-{}", self.cpu)) {
            out.push(self.cpu.to_string());
        }
        let mut at = 0;
        while let Some(name) = out.get(at) {
            if let Some(parent) = self.parents.get(name.as_str()).filter(|p| !out.iter().any(|o| o == **p)) {
                out.push((*parent).to_string());
            }
            at += 1;
        }
        out
    }

    /// The devices of the board itself.
    pub fn board(&self, machine: &str) -> &[&'static str] {
        let board = match of_family(machine) {
            Some("pc-q35") => "q35",
            Some(family @ ("virt" | "s390-ccw-virtio" | "pseries")) => family,
            _ => "pc",
        };
        self.boards.get(board).map_or(&[], Vec::as_slice)
    }

    /// The value that a property has where no machine type sets it.
    pub fn default(&self, name: &str, property: &str) -> Option<&'static str> {
        self.defaults.get(&(name, property)).copied()
    }
}

/// `pc-q35` of `pc-q35-7.2`.
fn of_family(machine: &str) -> Option<&str> {
    crate::caps::retirement::family(machine).map(|(family, _)| family)
}
