//! A lock is taken from a domain that is complete.

use super::families::{DOMAIN, Family, family};
use super::{Entry, Lock, Machine, Supplied, Values, flat};
use crate::diag::Diagnostics;
use crate::domain::{self, Domain};
use crate::plan::{Plan, properties};
use crate::xml::{self, Site};

/// The lock of a resolved domain. `supplied` says what the XML left to virtc; entries of `old` whose device is gone stay,
/// unless they are pruned.
pub fn take(domain: &Domain, plan: Option<&Plan>, supplied: &Supplied, old: Option<&Lock>, prune: bool) -> Lock {
    let text = domain::print(domain);
    let mut diags = Diagnostics::new();
    let doc = xml::parse(text.as_bytes(), &mut diags);
    let mut lock = Lock { name: domain.name().to_string(), ..Lock::default() };
    let Some(root) = doc.root() else { return lock };
    let name = domain.os.as_ref().and_then(|os| os.kind.as_ref()).and_then(|k| k.machine.clone()).unwrap_or_default();
    lock.machine = Some(Machine { asked: supplied.asked.clone(), name });
    lock.values = of_domain(flat::flatten_without(root, &["devices", "metadata"]));
    lock.values.extend(plan.into_iter().flat_map(of_cpu));
    let mut known: Vec<(String, Site, bool)> = Vec::new();
    if let Some(devices) = &domain.devices {
        devices.each(&mut |d| {
            let made = d.site().is_none() || supplied.made.contains(&d.site());
            known.push((d.info().id.clone(), d.site(), made));
        });
    }
    let consoles: Vec<Site> = domain.devices.iter().flat_map(|d| &d.consoles).map(|c| c.site).collect();
    let elements = root.children().find(|e| e.is("devices"));
    let elements = elements.into_iter().flat_map(|d| d.children()).filter(|e| !e.is("emulator"));
    for (el, (id, site, made)) in elements.zip(known) {
        // A console that mirrors a serial port is that port; a port that a console stands for is not in the XML, and goes with it.
        let mirror = (made && el.name() == "console") || (el.name() == "serial" && consoles.contains(&site));
        // The mouse and the keyboard of the board have no address, and no name in QEMU.
        let of_board = made && el.name() == "input" && el.peek("bus").is_some_and(|bus| bus.value() == "ps2");
        if let Some(family) = family(el.name()).filter(|_| !mirror && !of_board) {
            lock.devices.push(entry(family, flat::flatten(el), id, made));
        }
    }
    if let Some(old) = old.filter(|_| !prune) {
        lock.devices.extend(supplied.stale.iter().filter_map(|at| old.devices.get(*at)).cloned());
    }
    lock.sort();
    lock
}

/// What is locked of the domain itself.
fn of_domain(values: Values) -> Values {
    let is_of =
        |path: &str, part: &str| path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    // Topology and NUMA are the user's.
    let of_cpu = ["cpu.mode", "cpu.match", "cpu.check", "cpu.migratable", "cpu.model", "cpu.feature"];
    let kept = |path: &str| match path.starts_with("cpu.") {
        true => of_cpu.iter().any(|part| path.strip_prefix(part).is_some_and(|r| r.is_empty() || r.starts_with('.'))),
        false => DOMAIN.iter().any(|part| is_of(path, part)),
    };
    values.into_iter().filter(|(path, _)| kept(path)).collect()
}

/// The CPU as QEMU is asked for it: what a model of the host's came to cannot be supplied, but it is seen when it changes.
fn of_cpu(plan: &Plan) -> Values {
    let cpu = plan.qemu().and_then(|q| q.args.iter().find(|arg| arg.switch == "-cpu"));
    let named = |(name, value): (String, String)| match name.as_str() {
        "" => ("argv.cpu.text".to_string(), value),
        name => (format!("argv.cpu.{name}"), value),
    };
    let is_plain = |(name, _): &(String, String)| super::read::is_path(name);
    cpu.into_iter().flat_map(properties).map(named).filter(is_plain).collect()
}

fn entry(family: &Family, values: Values, id: String, made: bool) -> Entry {
    let mut entry = Entry { element: family.element.to_string(), id, made, ..Entry::default() };
    let identifies = |path: &str| {
        path == "alias.name"
            || family.strong.iter().any(|group| group.contains(&path))
            || family.kind.contains(&path)
            || family.weak.contains(&path)
    };
    for (path, value) in values {
        if let Some(attribute) = path.strip_prefix("address.") {
            entry.at.push((attribute.to_string(), value));
            continue;
        }
        // What virtc added is locked as a whole, so that it can be added again.
        if made || family.keeps.contains(&path.as_str()) {
            entry.has.push((path.clone(), value.clone()));
        }
        if identifies(&path) {
            entry.is.push((path, value));
        }
    }
    entry.is.sort();
    entry
}

impl Lock {
    /// Puts the devices in the order of the file: by element, then by id, numbers as numbers.
    pub(super) fn sort(&mut self) {
        self.devices.sort_by_cached_key(|e| (e.element.clone(), natural(&e.id)));
    }
}

/// A key that orders `pci.10` behind `pci.9`.
fn natural(id: &str) -> Vec<(u64, String)> {
    let mut out: Vec<(u64, String)> = Vec::new();
    let mut rest = id;
    while !rest.is_empty() {
        let word = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (text, tail) = rest.split_at(word);
        let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, tail) = tail.split_at(digits);
        out.push((0, text.to_string()));
        out.push((number.parse().unwrap_or(u64::MAX), String::new()));
        rest = tail;
    }
    out
}

impl Lock {
    /// Without what virtc had added by itself, so that it is added again only where it is needed, at the place that it had
    /// then.
    pub fn pruned(&self) -> Lock {
        let mut pruned = self.clone();
        // Buses that hold a device of the XML stay.
        let used: Vec<String> = self.devices.iter().filter(|e| !e.made).filter_map(bus).collect();
        let needed = |e: &Entry| {
            let index = flat::get(&e.has, "index").and_then(|i| i.parse::<u64>().ok());
            let of = flat::get(&e.has, "type").unwrap_or("");
            index.is_some_and(|index| used.contains(&format!("{of} {index}")))
        };
        pruned.devices.retain(|e| !e.made || needed(e));
        pruned
    }
}

/// The bus that a device is on: type and index of the controller.
fn bus(entry: &Entry) -> Option<String> {
    let number = |name| {
        let text = flat::get(&entry.at, name)?;
        text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |digits| u64::from_str_radix(digits, 16).ok())
    };
    match flat::get(&entry.at, "type")? {
        "pci" => Some(format!("pci {}", number("bus")?)),
        "usb" => Some(format!("usb {}", number("bus")?)),
        "virtio-serial" => Some(format!("virtio-serial {}", number("controller")?)),
        _ => None,
    }
}

/// The lock that makes a domain, as its file has it, have what another description of the same machine says: that of a
/// libvirt which runs it.
pub fn take_over(running: &Domain, text: &[u8]) -> Lock {
    let everything = Supplied::default();
    let mut lock = take(running, None, &everything, None, true);
    let mut diags = Diagnostics::new();
    let doc = xml::parse(text, &mut diags);
    let full = whole(running);
    let asked = super::supply::asked(&doc).1;
    if let Some(machine) = &mut lock.machine {
        machine.asked = asked;
    }
    let matched = super::supply::matched(&doc, &lock);
    for (at, entry) in lock.devices.iter_mut().enumerate() {
        if !matched.contains(&at) {
            // The file has no such element: it is virtc's to add.
            entry.made = true;
            if let Some((_, has)) = full.iter().find(|((element, id), _)| *element == entry.element && *id == entry.id)
            {
                entry.has = has.clone();
            }
        }
    }
    lock
}

/// Every device with all of its values, but its address.
fn whole(domain: &Domain) -> Vec<((String, String), Values)> {
    let text = domain::print(domain);
    let mut diags = Diagnostics::new();
    let doc = xml::parse(text.as_bytes(), &mut diags);
    let mut ids: Vec<String> = Vec::new();
    if let Some(devices) = &domain.devices {
        devices.each(&mut |d| ids.push(d.info().id.clone()));
    }
    let elements = doc.root().and_then(|r| r.children().find(|e| e.is("devices")));
    let elements = elements.into_iter().flat_map(|d| d.children()).filter(|e| !e.is("emulator"));
    let values = elements.zip(ids).map(|(el, id)| {
        let has = flat::flatten(el).into_iter().filter(|(path, _)| !path.starts_with("address.")).collect();
        ((el.name().to_string(), id), has)
    });
    values.collect()
}
