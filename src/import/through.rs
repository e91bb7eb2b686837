//! Arguments that go to QEMU as they are: the rest of the machine must not suffer from them.

use super::Import;
use super::command::Argument;
use super::frontend::is_on_off_auto;
use super::note::{Fate, Notes};
use super::options::{Options, number, switch};
use super::places::Made;
use crate::diag::Span;
use crate::lower::policy::refused;
use std::collections::{BTreeMap, BTreeSet};

/// QEMU's devices for PCI, one a line (made from what QEMU says, and held against it in `tests/import.rs`).
const PCI_DEVICES: &str = include_str!("pci-devices.txt");

/// Options that name something else by its id.
const REFERENCES: &[&str] = &[
    "netdev",
    "drive",
    "chardev",
    "memdev",
    "audiodev",
    "iothread",
    "tpmdev",
    "fsdev",
    "rng",
    "cryptodev",
    "secret",
    "tls-creds",
    "file",
    "backing",
    "mon",
    "display",
    "hostmem",
    "memory-backend",
    "throttle-group",
    "key-secret",
    "password-secret",
];

/// An argument on its way.
#[derive(Clone, Debug)]
pub struct Through {
    /// The switch, without its dash.
    pub switch: String,
    /// Its value.
    pub value: Option<String>,
    /// Where it stood.
    pub span: Span,
    /// When QEMU makes the device that it is.
    pub made: Option<Made>,
}

impl Through {
    fn options(&self) -> Options {
        Options::parse(self.value.as_deref().unwrap_or_default(), implied(&self.switch))
    }

    fn is_json(&self) -> bool {
        self.value.as_deref().is_some_and(|v| v.starts_with('{'))
    }
}

/// The option that stands first without a name.
pub fn implied(switch: &str) -> &'static str {
    match switch {
        "device" | "blockdev" | "audiodev" | "audio" => "driver",
        "netdev" | "net" | "nic" | "tpmdev" | "machine" | "M" | "numa" => "type",
        "chardev" => "backend",
        "object" => "qom-type",
        "fsdev" | "virtfs" => "fsdriver",
        "fw_cfg" => "name",
        "mon" => "chardev",
        "accel" => "accel",
        "vnc" => "vnc",
        "m" => "size",
        "smp" => "cpus",
        "boot" => "order",
        "name" => "guest",
        _ => "",
    }
}

impl Import {
    /// Hands an argument through, and says so.
    pub fn through(&mut self, argument: &Argument) {
        self.notes.push(argument.span, Fate::Through, argument.shown());
        self.hand(&argument.switch, argument.value.clone(), argument.span);
        self.last_made(argument.made());
    }

    /// Hands words through that are not as they were.
    pub fn hand(&mut self, switch: &str, value: Option<String>, span: Span) {
        let value = value.map(|value| self.absolute(switch, value));
        self.arguments.push(Through { switch: switch.to_string(), value, span, made: None });
    }

    /// A value with absolute paths: in which folder the machine will be started, nobody knows.
    fn absolute(&self, switch: &str, mut value: String) -> String {
        for old in crate::lower::handed::relative(switch, &value) {
            let new = self.path(&old);
            if value == old {
                return new;
            }
            // A path ends with its option; one in JSON is a text of its own.
            for (before, after) in [("=", ","), (":", ",")] {
                let (from, to) =
                    (format!("{before}{old}{after}"), format!("{before}{}{after}", new.replace(',', ",,")));
                value = format!("{value},").replacen(&from, &to, 1);
                value.pop();
            }
            value = value.replacen(&format!("\"{old}\""), &format!("\"{new}\""), 1);
        }
        value
    }

    /// Says when the device is made that was handed through last.
    pub fn last_made(&mut self, made: Option<Made>) {
        if let Some(last) = self.arguments.last_mut() {
            last.made = made;
        }
    }

    /// What nobody has used goes to QEMU as it is.
    pub fn hand_the_rest_through(&mut self) {
        for argument in self.command.unused() {
            match super::switches::removed(&argument.switch) {
                // To hand it through would be to stop newer versions from starting.
                Some(removed) => {
                    let text = format!(
                        "{} was removed in QEMU {}; instead: {}",
                        argument.shown(),
                        removed.since,
                        removed.instead
                    );
                    self.notes.push(argument.span, Fate::Removed, text);
                }
                _ => match refused(&format!("-{}", argument.switch), argument.value.as_deref().unwrap_or_default()) {
                    // The domain would not compile with it.
                    Some(why) => self.left_out(argument.span, format!("{}: {why}", argument.shown())),
                    None => self.through(&argument),
                },
            }
        }
    }
}

/// Gives arguments the names that what they speak of has in virtc's own command line.
pub fn follow(arguments: &mut [Through], name: &dyn Fn(&str, &str) -> Option<String>, notes: &mut Notes) {
    in_time(arguments, name);
    for argument in arguments.iter_mut().filter(|a| a.switch == "device") {
        let json = argument.is_json();
        for (key, old, _) in argument.options().into_rest() {
            let Some(new) = name(&key, &old).filter(|new| *new != old) else { continue };
            argument.value = argument.value.take().map(|value| match json {
                true => value.replace(&format!("\"{key}\":\"{old}\""), &format!("\"{key}\":\"{new}\"")),
                // With a comma behind, a longer name is not taken for it.
                false => {
                    let text = format!("{value},").replace(&format!("{key}={old},"), &format!("{key}={new},"));
                    text.strip_suffix(',').unwrap_or(&text).to_string()
                }
            });
            notes.push(argument.span, Fate::Changed, format!("{key}={old} is {key}={new} here"));
        }
    }
}

/// Devices for buses that are no machine's own: of USB, SCSI, virtio-serial and sound.
const ON_A_CONTROLLER: &[&str] = &["usb-", "scsi-", "virtserialport", "virtconsole", "hda-", "ccid-card-"];

/// Has devices on a bus of another made after that: QEMU makes devices in JSON, as virtc writes them, after all others.
fn in_time(arguments: &mut [Through], name: &dyn Fn(&str, &str) -> Option<String>) {
    let mut late: BTreeSet<String> = BTreeSet::new();
    loop {
        let before = late.len();
        for argument in arguments.iter_mut().filter(|a| a.switch == "device" && !a.is_json()) {
            let options = argument.options();
            let driver = options.get("driver").unwrap_or_default();
            let waits = match options.get("bus") {
                Some(bus) => {
                    let owner = bus.split_once('.').map_or(bus, |(owner, _)| owner);
                    name("bus", bus).is_some() || late.contains(owner) || late.contains(bus)
                }
                None => ON_A_CONTROLLER.iter().any(|kind| driver.starts_with(kind)),
            };
            if waits {
                late.insert(options.get("id").map_or_else(|| format!("-{}", late.len()), str::to_string));
                argument.value = Some(json(options));
            }
        }
        if late.len() == before {
            return;
        }
    }
}

/// Properties that are text, whatever they look like.
const TEXTS: &[&str] = &["driver", "id", "bus", "addr", "serial", "mac", "name", "port", "mount_tag", "tag", "romfile"];

/// A device in QEMU's other notation, where each value has its type.
fn json(options: Options) -> String {
    let mut all = serde_json::Map::new();
    for (key, value, _) in options.into_rest() {
        let text = TEXTS.contains(&key.as_str()) || REFERENCES.contains(&key.as_str()) || is_on_off_auto(&key);
        let typed = match (switch(&value), number(&value)) {
            _ if text => value.into(),
            (Some(on), _) => on.into(),
            (_, Some(number)) => number.into(),
            _ => value.into(),
        };
        all.insert(key, typed);
    }
    serde_json::Value::Object(all).to_string()
}

/// Makes arguments fit beside what virtc writes, which is `tokens`: ids that are taken are renamed, PCI devices without a
/// place get one that is free.
pub fn settle(arguments: &mut [Through], tokens: &[String], bus: Option<&str>, notes: &mut Notes) {
    let written = written(tokens);
    rename(arguments, &written.ids, notes);
    if let Some(bus) = bus {
        place(arguments, &written.slots, bus, notes);
    }
}

/// What virtc's own command line uses up.
struct Written {
    ids: BTreeSet<String>,
    /// Slots of the first PCI bus.
    slots: BTreeSet<u32>,
}

fn written(tokens: &[String]) -> Written {
    let mut out = Written { ids: BTreeSet::new(), slots: BTreeSet::new() };
    for pair in tokens.windows(2) {
        let Some(switch) = pair[0].strip_prefix('-') else { continue };
        let options = Options::parse(&pair[1], implied(switch));
        out.ids.extend(["id", "node-name"].iter().filter_map(|key| options.get(key)).map(str::to_string));
        if switch == "device" && matches!(options.get("bus"), Some("pci.0" | "pcie.0" | "pci")) {
            out.slots.extend(options.get("addr").and_then(slot));
        }
    }
    out
}

/// The slot in an address of QEMU.
pub fn slot(address: &str) -> Option<u32> {
    let slot = address.split('.').next()?;
    u32::from_str_radix(slot.trim_start_matches("0x"), 16).ok()
}

fn rename(arguments: &mut [Through], taken: &BTreeSet<String>, notes: &mut Notes) {
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    // Devices, network backends and others have their names in rooms of their own; to rename one renames all.
    for argument in arguments.iter() {
        let options = argument.options();
        for id in ["id", "node-name"].iter().filter_map(|key| options.get(key)) {
            if taken.contains(id) && !renamed.contains_key(id) {
                let mut new = format!("x-{id}");
                while taken.contains(&new) {
                    new.insert_str(0, "x-");
                }
                notes.push(
                    argument.span,
                    Fate::Changed,
                    format!("'{id}' is called '{new}': virtc's own has that name"),
                );
                renamed.insert(id.to_string(), new);
            }
        }
    }
    if renamed.is_empty() {
        return;
    }
    for argument in arguments.iter_mut() {
        let json = argument.is_json();
        let mut options = argument.options();
        options.each(|key, value| {
            let names = matches!(key, "id" | "node-name") || REFERENCES.contains(&key);
            let (head, tail) = value.split_once('.').unwrap_or((value.as_str(), ""));
            if let Some(new) = renamed.get(value.as_str()).filter(|_| names) {
                *value = new.clone();
            } else if let Some(new) = renamed.get(head).filter(|_| key == "bus") {
                *value = format!("{new}.{tail}");
            }
        });
        if let (true, Some(value)) = (json, argument.value.as_mut()) {
            for (old, new) in &renamed {
                *value = value.replace(&format!("\"{old}\""), &format!("\"{new}\""));
            }
        } else if let (false, Some(value)) = (json, argument.value.as_mut())
            && !implied(&argument.switch).is_empty()
        {
            *value = with_implied(&options, &argument.switch);
        } else if let Some(chardev) =
            argument.value.as_mut().and_then(|v| v.strip_prefix("chardev:").map(str::to_string))
            && let Some(new) = renamed.get(&chardev)
        {
            argument.value = Some(format!("chardev:{new}"));
        }
    }
}

/// Options as text, the first without its name if it has none of its own.
fn with_implied(options: &Options, switch: &str) -> String {
    let text = options.text();
    text.strip_prefix(&format!("{}=", implied(switch))).map_or(text.clone(), str::to_string)
}

fn place(arguments: &mut [Through], own: &BTreeSet<u32>, bus: &str, notes: &mut Notes) {
    let mut used = own.clone();
    for argument in arguments.iter().filter(|a| a.switch == "device") {
        used.extend(argument.options().get("addr").and_then(slot));
    }
    // From the middle up, then down: virtc fills from below, chipsets have what is theirs at the top.
    let mut free =
        (0x10..0x1e).chain((0x03..0x10).rev()).filter(|slot| !used.contains(slot)).collect::<Vec<u32>>().into_iter();
    // Slots that virtc has given to devices of its own, and where what is handed through goes instead.
    let mut moved: BTreeMap<u32, u32> = BTreeMap::new();
    for argument in arguments.iter_mut().filter(|a| a.switch == "device") {
        let options = argument.options();
        let on_root = options.get("bus").is_none_or(|b| b == bus || b == "pci.0" || b == "pcie.0");
        let pci = options.get("driver").is_some_and(is_pci);
        if !pci || !on_root {
            continue;
        }
        if let Some(address) = options.get("addr") {
            let Some(taken) = slot(address).filter(|slot| own.contains(slot)) else { continue };
            let Some(free) = moved.get(&taken).copied().or_else(|| free.next()) else { return };
            moved.insert(taken, free);
            let function = address.split_once('.').map(|(_, f)| format!(".{f}")).unwrap_or_default();
            let new = format!("{free:#x}{function}");
            for quote in ["=", "\":\""] {
                let (old, new) = (format!("addr{quote}{address}"), format!("addr{quote}{new}"));
                argument.value = argument.value.take().map(|value| value.replacen(&old, &new, 1));
            }
            let driver = options.get("driver").unwrap_or_default();
            let text = format!("{driver} is at {new} on {bus}: what has addr={address} is a device of virtc's own");
            notes.push(argument.span, Fate::Changed, text);
            continue;
        }
        // QEMU makes those in JSON after all others, and finds a place for them.
        if argument.is_json() {
            continue;
        }
        let Some(slot) = free.next() else { return };
        if let Some(value) = &mut argument.value {
            if options.get("bus").is_none() {
                value.push_str(&format!(",bus={bus}"));
            }
            value.push_str(&format!(",addr={slot:#x}"));
            let text =
                format!("{} gets the free address {slot:#x} on {bus}", options.get("driver").unwrap_or_default());
            notes.push(argument.span, Fate::Changed, text);
        }
    }
}

/// Whether a device is one for PCI.
pub fn is_pci(driver: &str) -> bool {
    PCI_DEVICES.lines().any(|line| line == driver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(arguments: &[(&str, &str)], tokens: &[&str]) -> Vec<String> {
        let mut all: Vec<Through> = arguments
            .iter()
            .map(|(s, v)| Through { switch: s.to_string(), value: Some(v.to_string()), span: Span::NONE, made: None })
            .collect();
        let tokens: Vec<String> = tokens.iter().map(|t| t.to_string()).collect();
        settle(&mut all, &tokens, Some("pci.0"), &mut Notes::default());
        all.into_iter().filter_map(|a| a.value).collect()
    }

    #[test]
    fn what_has_another_name_is_called_by_it() {
        let mut all = vec![Through {
            switch: "device".into(),
            value: Some("usb-redir,bus=x.0,id=r".into()),
            span: Span::NONE,
            made: None,
        }];
        follow(
            &mut all,
            &|key, old| (key == "bus" && old == "x.0").then(|| "usb1.0".to_string()),
            &mut Notes::default(),
        );
        assert_eq!(all[0].value.as_deref(), Some(r#"{"driver":"usb-redir","bus":"usb1.0","id":"r"}"#));
    }

    #[test]
    fn what_is_on_a_bus_of_virtc_is_made_after_it() {
        let of =
            |value: &str| Through { switch: "device".into(), value: Some(value.into()), span: Span::NONE, made: None };
        let mut all = vec![
            of("usb-net,netdev=n,id=1"),
            of("e1000,bus=br.0,addr=1,acpi-index=2,rombar=0"),
            of("edu"),
            of("usb-hub,bus=x.0,id=h"),
            of("usb-bot,bus=h.0"),
        ];
        let name = |key: &str, bus: &str| (key == "bus" && matches!(bus, "br.0" | "x.0")).then(|| format!("own-{bus}"));
        follow(&mut all, &name, &mut Notes::default());
        let values: Vec<String> = all.into_iter().filter_map(|a| a.value).collect();
        assert_eq!(
            values,
            [
                r#"{"driver":"usb-net","netdev":"n","id":"1"}"#,
                r#"{"driver":"e1000","bus":"own-br.0","addr":"1","acpi-index":2,"rombar":0}"#,
                "edu",
                r#"{"driver":"usb-hub","bus":"own-x.0","id":"h"}"#,
                r#"{"driver":"usb-bot","bus":"h.0"}"#,
            ]
            .map(str::to_string)
        );
    }

    #[test]
    fn a_device_gets_a_free_place() {
        let own = ["-device", r#"{"driver":"VGA","bus":"pci.0","addr":"0x10"}"#];
        let given = [("device", "e1000,netdev=n"), ("device", "rtl8139,addr=0x11"), ("device", "usb-kbd")];
        assert_eq!(settled(&given, &own), ["e1000,netdev=n,bus=pci.0,addr=0x12", "rtl8139,addr=0x11", "usb-kbd"]);
    }

    #[test]
    fn a_place_that_is_taken_is_left() {
        let own = ["-device", r#"{"driver":"VGA","bus":"pci.0","addr":"0x2"}"#];
        let given = [
            ("device", "e1000,addr=0x2"),
            ("device", "e1000,addr=2.1"),
            ("device", r#"{"driver":"VGA","addr":"0x5"}"#),
        ];
        assert_eq!(settled(&given, &own), ["e1000,addr=0x10", "e1000,addr=0x10.1", r#"{"driver":"VGA","addr":"0x5"}"#]);
    }

    #[test]
    fn names_that_are_taken_are_changed_with_all_that_speaks_of_them() {
        let own = ["-device", r#"{"driver":"VGA","id":"net0"}"#];
        let given = [("netdev", "user,id=net0"), ("device", "usb-net,netdev=net0,id=net0"), ("serial", "chardev:net0")];
        assert_eq!(settled(&given, &own), ["user,id=x-net0", "usb-net,netdev=x-net0,id=x-net0", "chardev:x-net0"]);
    }
}
