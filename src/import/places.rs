//! Where QEMU puts a PCI device that nobody gave an address: into the first free slot of the first bus, in the order in which
//! it makes its devices. The guest calls its network interfaces and disks by these places, so the domain says them.

use super::Import;
use super::element::Element;
use super::options::Options;
use super::through::{self, Through};
use std::collections::BTreeSet;

/// When QEMU makes a device; within that, the place of its argument counts (`qemu_init` and the boards' own initialisation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Made {
    /// `-vga`, and the screen of a machine for which nobody asks.
    Screen,
    /// `-nic`, `-net nic`, and the card of a machine for which nobody asks.
    Card(usize),
    /// `-soundhw`
    Sound(usize),
    /// `-device a=b`, `-virtfs`, `-watchdog`
    Device(usize),
    /// `-drive if=virtio`
    Drive(usize),
    /// `-device {…}`
    Json(usize),
}

/// The attribute of an address that is still to be found.
const OPEN: &str = "virtc:made";

impl Import {
    /// `<address>` of a device that QEMU puts where it likes. It is filled in when all devices are known.
    pub fn open_place(&mut self, made: Made) -> Option<Element> {
        self.moved |= self.board.starts_with("pseries");
        if !self.has_slots() {
            return None;
        }
        self.open.push(made);
        Some(Element::new("address").attr("type", "pci").attr(OPEN, self.open.len() - 1))
    }

    /// Whether the slots that the machine's own devices have are known.
    fn has_slots(&self) -> bool {
        match self.arch().as_str() {
            "x86_64" | "i686" => self.is_pc() || self.is_q35(),
            "aarch64" | "armv7l" | "riscv64" => {
                self.board == "virt" || self.board.starts_with("virt-") || self.is_versatile()
            }
            _ => false,
        }
    }

    /// Whether the machine is a PC with an i440FX.
    pub fn is_pc(&self) -> bool {
        let board = self.board.as_str();
        self.is_x86()
            && !self.is_q35()
            && (board.is_empty() || board == "pc" || board.starts_with("pc-") || board.contains("i440fx"))
    }

    /// Whether the machine is a PC with a Q35.
    pub fn is_q35(&self) -> bool {
        self.is_x86() && self.board.contains("q35")
    }

    /// Whether the machine is one of Arm's boards with PCI.
    pub fn is_versatile(&self) -> bool {
        self.board.starts_with("versatile") || self.board.starts_with("realview-eb")
    }

    /// Slots of the first bus that are the chipset's.
    fn chipset(&self) -> &'static [u32] {
        match (self.is_pc(), self.is_q35(), self.on_board_usb) {
            (true, ..) => &[0, 1],
            (_, true, true) => &[0, 0x1d, 0x1f],
            (_, true, false) => &[0, 0x1f],
            // Their slots begin with the host bridge.
            _ if self.is_versatile() => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
            _ => &[0],
        }
    }

    /// Fills in the addresses that were left open, and gives what is handed through its place among them.
    pub fn places(&mut self) {
        if self.moved {
            let text = "PCI devices without addr=: QEMU counts the slots of pSeries from 0 and the format from 1, so that the guest finds them one slot further";
            self.changed(self.program_span, text);
        }
        if !self.has_slots() {
            return;
        }
        let root = self.root_bus().unwrap_or("pci.0");
        let mut used: BTreeSet<u32> = self.chipset().iter().copied().collect();
        used.extend(self.devices.iter().filter_map(|d| fixed(d.find("address")?)));
        let given = |a: &Through| a.pci_options(root)?.get("addr").and_then(through::slot);
        used.extend(self.arguments.iter().filter_map(given));
        let mut all: Vec<(Made, Open)> =
            self.open.iter().enumerate().map(|(i, made)| (*made, Open::Address(i))).collect();
        for (i, argument) in self.arguments.iter().enumerate() {
            let open = argument.pci_options(root).is_some_and(|o| o.get("addr").is_none());
            if let Some(made) = argument.made.filter(|_| open) {
                all.push((made, Open::Argument(i)));
            }
        }
        all.sort();
        let mut slots = vec![None; self.open.len()];
        for (_, what) in all {
            // A full bus: what is left over finds its place when the domain is compiled.
            let Some(slot) = (0..32).find(|slot| !used.contains(slot)) else { break };
            used.insert(slot);
            match what {
                Open::Address(i) => slots[i] = Some(slot),
                Open::Argument(i) => self.arguments[i].put(root, slot),
            }
        }
        self.devices.iter_mut().for_each(|device| close(device, &slots));
    }
}

/// What has no address yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Open {
    /// An `<address>`, by its number.
    Address(usize),
    /// An argument that is handed through.
    Argument(usize),
}

/// The slot of an `<address>` on the first bus.
fn fixed(address: &Element) -> Option<u32> {
    let number = |name: &str| super::options::number(address.get(name)?).map(|n| n as u32);
    (address.get("type") == Some("pci") && number("bus") == Some(0)).then(|| number("slot"))?
}

/// Writes the address of a device that was left open.
fn close(device: &mut Element, slots: &[Option<u32>]) {
    let Some(open) = device.find("address").and_then(|a| a.get(OPEN)?.parse::<usize>().ok()) else { return };
    let multi = device.find("address").and_then(|a| a.get("multifunction")).map(str::to_string);
    let address = slots.get(open).copied().flatten().map(|slot| {
        let address = Element::new("address").attr("type", "pci").attr("domain", "0x0000").attr("bus", "0x00");
        address.attr("slot", format!("{slot:#04x}")).attr("function", "0x0").maybe("multifunction", multi)
    });
    device.replace("address", address);
}

impl Through {
    /// Its options, if it is a PCI device on the first bus.
    fn pci_options(&self, root: &str) -> Option<Options> {
        let options =
            (self.switch == "device").then(|| Options::parse(self.value.as_deref().unwrap_or_default(), "driver"))?;
        let on_root = options.get("bus").is_none_or(|b| b == root || matches!(b, "pci.0" | "pcie.0" | "pci"));
        (on_root && options.get("driver").is_some_and(through::is_pci)).then_some(options)
    }

    /// Writes its place.
    fn put(&mut self, root: &str, slot: u32) {
        let Some(value) = self.value.as_mut() else { return };
        let bus = Options::parse(value, "driver").get("bus").is_none();
        if let Some(rest) = value.strip_suffix('}') {
            let bus = if bus { format!(",\"bus\":\"{root}\"") } else { String::new() };
            *value = format!("{rest}{bus},\"addr\":\"{slot:#x}\"}}");
            return;
        }
        if bus {
            value.push_str(&format!(",bus={root}"));
        }
        value.push_str(&format!(",addr={slot:#x}"));
    }
}
