//! What `<qemu:commandline>` asks for besides the machine.

use crate::caps::switches;
use crate::device::address::Address;
use crate::diag::codes::lint as codes;
use crate::domain::Domain;
use crate::domain::qemu::QemuArg;
use crate::stage::{Cx, Machine};
use crate::vocab::Arch;

/// QEMU's devices for PCI, one a line.
const PCI_DEVICES: &str = include_str!("../import/pci-devices.txt");

pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    words(domain, cx);
    open_to_all(domain, cx);
    for (at, arg) in domain.qemu.args.iter().enumerate() {
        let value = domain.qemu.args.get(at + 1);
        match (arg.value.trim_start_matches('-'), value) {
            ("snapshot", _) if arg.value.starts_with('-') => thrown_away(arg, cx),
            ("drive", Some(value)) if option(&value.value, "snapshot") == Some("on") => thrown_away(value, cx),
            ("set", Some(value)) if value.value.starts_with("device.") => set(value, domain, cx),
            ("device", Some(value)) => device(value, domain, machine, cx),
            ("nic", Some(value)) if machine.has_pci_root() || machine.has_pcie_root() => nic(value, cx),
            _ => {}
        }
    }
}

/// Whether the words are switches, each with the value that it takes.
fn words(domain: &Domain, cx: &mut Cx<'_>) {
    let args = &domain.qemu.args;
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        at += 1;
        // An image to boot from, or a value that belongs to nothing: QEMU says which.
        let Some(switch) = arg.value.strip_prefix('-').filter(|s| !s.is_empty()) else { continue };
        let switch = switch.strip_prefix('-').unwrap_or(switch);
        let name = switch.split([' ', '=']).next().unwrap_or(switch);
        match switches::takes_value(switch) {
            Some(true) if args.get(at).is_none() => {
                let message = format!("'{}' takes a value, and none follows", arg.value);
                cx.warn(&codes::BAD_ARGUMENT, arg.site, message)
                    .help("add the value as a <qemu:arg> of its own, right behind this one");
            }
            Some(true) => {
                repeated(arg, switch, cx);
                at += 1;
            }
            Some(false) => {}
            None if name != switch && switches::takes_value(name) == Some(true) => {
                let value = switch.get(name.len() + 1..).unwrap_or("").trim();
                let message = format!("'{}' is one word: QEMU looks for a switch of this name", arg.value);
                cx.warn(&codes::BAD_ARGUMENT, arg.site, message)
                    .help(format!("write <qemu:arg value='-{name}'/><qemu:arg value='{value}'/>"));
            }
            None => {
                let message = format!("QEMU has no switch '{}'", arg.value);
                let known: Vec<&str> = switches::rows().map(|(name, ..)| name).collect();
                let help = match crate::schema::meant(name, known) {
                    like if like.is_empty() => "`qemu-system-x86_64 --help` lists them".to_string(),
                    like => format!("did you mean '-{}'?", like.join("' or '-")),
                };
                cx.warn(&codes::BAD_ARGUMENT, arg.site, message).help(help);
            }
        }
    }
}

/// Switches that virtc writes from what the domain says, and whose values no longer fit each other if they come twice.
fn repeated(arg: &QemuArg, switch: &str, cx: &mut Cx<'_>) {
    let instead = match switch {
        "m" => "<memory unit='MiB'>…</memory>",
        "smp" => "<vcpu>…</vcpu>, and <cpu><topology …/></cpu>",
        _ => return,
    };
    let message = format!("'{}' is given already, by what the domain says: QEMU mixes the two, and stops", arg.value);
    cx.warn(&codes::ARGUMENT_TWICE, arg.site, message).help(format!("remove it, and write {instead}"));
}

/// Monitors and debuggers on all addresses.
fn open_to_all(domain: &Domain, cx: &mut Cx<'_>) {
    let args = &domain.qemu.args;
    for (at, arg) in args.iter().enumerate() {
        let Some(switch) = arg.value.strip_prefix('-') else { continue };
        let value = args.get(at + 1).map_or("", |a| a.value.as_str());
        let (address, instead) = match switch.trim_start_matches('-') {
            "s" => ("tcp::1234", "-gdb tcp:127.0.0.1:1234".to_string()),
            "vnc" | "monitor" | "qmp" | "qmp-pretty" | "serial" | "parallel" | "debugcon" | "gdb" => {
                (value, String::new())
            }
            _ => continue,
        };
        if switch == "vnc" {
            vnc(arg, value, cx);
            continue;
        }
        let Some(host) = address.strip_prefix("tcp:").or_else(|| address.strip_prefix("telnet:")) else { continue };
        let listens = switch == "s" || switch.ends_with("gdb") || switch_is_on(value, "server");
        let open = host.starts_with(':') || host.starts_with("0.0.0.0:") || host.starts_with("[::]:");
        if listens && open {
            let message = format!("'{}' listens on all addresses, and lets in whoever comes", arg.value);
            let help = match instead.as_str() {
                "" => "write tcp:127.0.0.1:PORT, or unix:PATH".to_string(),
                instead => format!("write {instead}"),
            };
            cx.warn(&codes::OPEN_CONSOLE, arg.site, message).help(help);
        }
    }
}

/// A VNC server on all addresses that asks for no password.
fn vnc(arg: &QemuArg, value: &str, cx: &mut Cx<'_>) {
    let address = value.split(',').next().unwrap_or("");
    let open = address.starts_with(':') || address.starts_with("0.0.0.0:") || address.starts_with("[::]:");
    let guarded = value.split(',').any(|option| {
        let name = option.split('=').next().unwrap_or("");
        !option.ends_with("=off") && matches!(name, "password" | "password-secret" | "sasl" | "tls-creds")
    });
    if open && !guarded {
        let message = format!("'{} {value}' listens on all addresses, and lets in whoever comes", arg.value);
        cx.warn(&codes::OPEN_DISPLAY, arg.site, message)
            .help("use <graphics type='vnc' listen='127.0.0.1'/>, and come through ssh -L");
    }
}

/// Whether a list of options has `name` or `name=on`.
fn switch_is_on(text: &str, name: &str) -> bool {
    text.split(',').any(|part| part == name || part.strip_prefix(name) == Some("=on"))
}

/// An option of a list `a,b=c`. Doubled commas, which stand for one in a value, are not looked into.
fn option<'v>(text: &'v str, key: &str) -> Option<&'v str> {
    text.split(',').filter_map(|part| part.split_once('=')).find(|(k, _)| *k == key).map(|(_, value)| value)
}

fn thrown_away(arg: &QemuArg, cx: &mut Cx<'_>) {
    let message = format!("'{}': what the guest writes is thrown away when it ends", arg.value);
    cx.warn(&codes::SNAPSHOT, arg.site, message).help("remove it, or add <transient/> to the disk that is meant");
}

/// A property of a device that virtc writes.
fn set(arg: &QemuArg, domain: &Domain, cx: &mut Cx<'_>) {
    let Some(id) = arg.value.split('.').nth(1) else { return };
    // A device of the command line itself can be changed.
    if domain.qemu.args.iter().any(|a| option(&a.value, "id") == Some(id) && !a.value.starts_with('{')) {
        return;
    }
    let message =
        format!("-set '{}': devices of the domain are written as JSON, and -set finds none of them", arg.value);
    cx.warn(&codes::SET_ON_JSON, arg.site, message)
        .help(format!("use <qemu:override><qemu:device alias='{id}'><qemu:frontend><qemu:property name='…' …/>"));
}

/// A PCI device in QEMU's older notation: made before those that are written as JSON.
fn device(arg: &QemuArg, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let root = if machine.has_pcie_root() { "pcie.0" } else { "pci.0" };
    if arg.value.starts_with('{') || !(machine.has_pci_root() || machine.has_pcie_root()) {
        return;
    }
    let name = option(&arg.value, "driver").unwrap_or_else(|| arg.value.split(',').next().unwrap_or(""));
    // On IBM's mainframes a virtio device without a bus in its name is one for channels.
    let on_channels = machine.arch == Arch::S390x && name.starts_with("virtio-") && !name.contains("-pci");
    if on_channels || !PCI_DEVICES.lines().any(|known| known == name) {
        return;
    }
    let bus = option(&arg.value, "bus").unwrap_or(root);
    if bus != root {
        return;
    }
    let Some(address) = option(&arg.value, "addr") else {
        let free = free(domain);
        let message = format!(
            "'{name}' takes the first free slot before the devices of the domain are made, and one of them has it"
        );
        cx.warn(&codes::ARG_ADDRESS_MISSING, arg.site, message)
            .help(format!("give it a slot that is free: {},bus={root},addr={free:#x}", arg.value));
        return;
    };
    let slot = address.split('.').next().unwrap_or(address);
    let slot = u32::from_str_radix(slot.trim_start_matches("0x"), 16).ok();
    if let Some(slot) = slot.filter(|slot| taken(domain).contains(slot)) {
        let free = free(domain);
        let message = format!("'{name}' asks for slot {slot:#x} of {root}, which another device of the domain has");
        cx.warn(&codes::ARG_ADDRESS_TAKEN, arg.site, message).help(format!("use addr={free:#x}"));
    }
}

fn nic(arg: &QemuArg, cx: &mut Cx<'_>) {
    if arg.value.starts_with("none") || option(&arg.value, "addr").is_some() {
        return;
    }
    let message =
        "-nic makes a network card in the first free slot, before the devices of the domain, and one of them has it";
    cx.warn(&codes::ARG_ADDRESS_MISSING, arg.site, message)
        .help("use <interface>, or -netdev and -device with bus= and addr=");
}

/// Slots of the first PCI bus that devices of the domain have.
fn taken(domain: &Domain) -> Vec<u32> {
    let mut slots = Vec::new();
    if let Some(devices) = &domain.devices {
        devices.each(&mut |d| {
            if let Some(Address::Pci(at)) = &d.info().address.address
                && at.bus == 0
            {
                slots.push(at.slot);
            }
        });
    }
    slots
}

/// The last slot of the first PCI bus that nothing has.
fn free(domain: &Domain) -> u32 {
    let taken = taken(domain);
    (1..31).rev().find(|slot| !taken.contains(slot)).unwrap_or(0x1e)
}
