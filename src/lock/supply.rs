//! A lock is supplied: what the XML leaves open is grafted onto the document.

use super::families::{Family, family};
use super::matching::{another_kind, pairs};
use super::{Entry, Lock, Values, flat};
use crate::bind::{Binder, Part};
use crate::device::address::{Address, AddressPart};
use crate::device::{Held, Implied};
use crate::diag::Diagnostics;
use crate::xml::{Document, El, Site, XmlWriter, parse};

/// What a lock did to a document.
#[derive(Default)]
pub struct Supplied {
    /// The machine type as the XML has it; empty if it has none.
    pub asked: String,
    /// Places and names that the passes keep.
    pub held: Held,
    /// Elements that the lock added: devices that virtc had added before.
    pub made: Vec<Site>,
    /// Entries whose device the XML has no more, by number.
    pub stale: Vec<usize>,
}

/// Elements that are grafted as a whole where virtc had added them: other devices stand on them.
const CARRIERS: [&str; 2] = ["controller", "hub"];

/// Grafts what the XML leaves open. Without a lock, only notes what the XML says.
pub fn supply<'s>(doc: &mut Document<'s>, lock: Option<&'s Lock>) -> Supplied {
    let mut supplied = Supplied { asked: asked(doc).1, ..Supplied::default() };
    let Some(lock) = lock else { return supplied };
    machine(doc, lock, &supplied.asked);
    domain(doc, lock);
    let Some(devices) = doc.root().and_then(|r| inside(r, "devices")).map(|d| d.site()) else { return supplied };
    let mut elements: Vec<&'s str> = lock.devices.iter().map(|e| e.element.as_str()).collect();
    elements.dedup();
    elements.sort_unstable();
    elements.dedup();
    for element in elements {
        if let Some(family) = family(element) {
            of_family(doc, devices, lock, family, &mut supplied);
        }
    }
    supplied
}

/// Where the machine type stands, and what it is.
pub(super) fn asked(doc: &Document<'_>) -> (Option<Site>, String) {
    let kind = doc.root().and_then(|r| inside(r, "os")).and_then(|os| inside(os, "type"));
    let machine = kind.and_then(|k| k.peek("machine")).map_or("", |a| a.value());
    (kind.map(|k| k.site()), machine.to_string())
}

fn machine<'s>(doc: &mut Document<'s>, lock: &'s Lock, asked_now: &str) {
    if let (Some(site), _) = asked(doc)
        && let Some(machine) = lock.machine.as_ref().filter(|m| m.asked == asked_now)
    {
        doc.graft_attr(site, "machine", &machine.name);
    }
}

/// Supplies the values of the domain itself.
fn domain<'s>(doc: &mut Document<'s>, lock: &'s Lock) {
    let Some(root) = doc.root() else { return };
    let (site, open) = (root.site(), open_parts(root));
    for (path, value) in &lock.values {
        if open.iter().any(|part| path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        {
            graft(doc, site, path, value);
        }
    }
}

/// The parts that the XML leaves to virtc, as a whole or in part.
fn open_parts(root: El<'_>) -> Vec<&'static str> {
    let os = inside(root, "os");
    let mut open = Vec::new();
    if inside(root, "uuid").is_none() {
        open.push("uuid");
    }
    if inside(root, "genid").is_some() {
        open.push("genid");
    }
    let cpu = inside(root, "cpu");
    if cpu.is_none_or(|c| c.peek("mode").is_none() && inside(c, "model").is_none()) {
        open.push("cpu");
    }
    if let Some(os) = os.filter(|os| os.peek("firmware").is_some()) {
        if inside(os, "firmware").is_none() {
            open.push("os.firmware");
        }
        // Another file of the user's may be of another format: then nothing of the lock fits it.
        if inside(os, "loader").is_none_or(|l| l.text().trim().is_empty()) {
            open.push("os.loader");
            if inside(os, "varstore").is_none() && inside(os, "nvram").is_none_or(|n| n.children().next().is_none()) {
                open.push("os.nvram");
            }
        }
    }
    open
}

/// Supplies the devices of one family.
fn of_family<'s>(doc: &mut Document<'s>, devices: Site, lock: &'s Lock, family: &Family, supplied: &mut Supplied) {
    let there: Vec<(Site, Values)> = doc
        .element(devices)
        .into_iter()
        .flat_map(|d| d.children())
        .filter(|e| e.is(family.element))
        .map(|e| (e.site(), flat::flatten(e)))
        .collect();
    let values: Vec<Values> = there.iter().map(|(_, values)| values.clone()).collect();
    let numbered: Vec<(usize, &'s Entry)> =
        lock.devices.iter().enumerate().filter(|(_, e)| e.element == family.element).collect();
    let entries: Vec<&Entry> = numbered.iter().map(|(_, e)| *e).collect();
    let found = pairs(family, &values, &entries);
    let mut taken = vec![false; entries.len()];
    for ((site, own), at) in there.iter().zip(&found) {
        let Some((_, entry)) = at.and_then(|at| numbered.get(at)) else { continue };
        taken[at.unwrap_or_default()] = true;
        if !entry.id.is_empty() {
            supplied.held.ids.push((*site, entry.id.clone()));
        }
        if !another_kind(family, own, entry) {
            complete(doc, *site, own, entry);
        }
    }
    let unmatched: Vec<&Values> = there.iter().zip(&found).filter(|(_, f)| f.is_none()).map(|((_, v), _)| v).collect();
    for ((number, entry), _) in numbered.iter().zip(&taken).filter(|(_, taken)| !**taken) {
        let carrier = CARRIERS.contains(&family.element);
        match entry.made {
            true if carrier && !unmatched.iter().any(|v| takes_its_place(v, entry)) => {
                supplied.made.push(whole(doc, devices, entry));
            }
            // It comes again where the domain still needs it.
            true if !carrier => {
                let implied = place(&entry.at).map(|address| Implied { element: family.element, address });
                supplied.held.implied.extend(implied);
            }
            _ => {
                supplied.stale.push(*number);
                supplied.held.places.extend(place(&entry.at));
            }
        }
    }
}

/// The entries, by number, that an element of the document belongs to.
pub(super) fn matched(doc: &Document<'_>, lock: &Lock) -> Vec<usize> {
    let devices = doc.root().and_then(|r| inside(r, "devices"));
    let mut out = Vec::new();
    for family in super::families::FAMILIES {
        let elements = devices.into_iter().flat_map(|d| d.children()).filter(|e| e.is(family.element));
        let values: Vec<Values> = elements.map(flat::flatten).collect();
        let numbered: Vec<(usize, &Entry)> =
            lock.devices.iter().enumerate().filter(|(_, e)| e.element == family.element).collect();
        let entries: Vec<&Entry> = numbered.iter().map(|(_, e)| *e).collect();
        out.extend(pairs(family, &values, &entries).into_iter().flatten().filter_map(|at| Some(numbered.get(at)?.0)));
    }
    out
}

/// Whether a controller of the XML is what virtc does not have to add any more.
fn takes_its_place(own: &Values, entry: &Entry) -> bool {
    let is = |path| flat::get(own, path).is_some_and(|v| flat::get(&entry.has, path).is_some_and(|e| flat::same(v, e)));
    // One without an index gets a free one, unless it says that there is none of its type.
    is("type") && (is("index") || flat::get(own, "model") == Some("none"))
}

/// Supplies what an element leaves open.
fn complete<'s>(doc: &mut Document<'s>, site: Site, own: &Values, entry: &'s Entry) {
    for (path, value) in &entry.has {
        graft(doc, site, path, value);
    }
    let of_address = |name: &str| flat::get(own, &format!("address.{name}"));
    let attribute = |name: &str| entry.at.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let Some(kind) = attribute("type") else { return };
    // The place of a disk on its controller follows from its name.
    let moved = flat::get(own, "target.dev").is_some_and(|d| flat::get(&entry.is, "target.dev") != Some(d));
    if kind == "drive" && entry.element == "disk" && moved || of_address("type").is_some_and(|k| k != kind) {
        return;
    }
    // Slot 0 of the root bus, and port 0 of a channel, stand for any place.
    let any = match kind {
        "pci" => ["domain", "bus", "slot", "function"].iter().all(|n| of_address(n).is_none_or(flat::is_zero)),
        "virtio-serial" => of_address("port").is_none_or(flat::is_zero),
        _ => false,
    } && of_address("multifunction").is_none();
    let fits = |(name, value): &(String, String)| of_address(name).is_none_or(|own| flat::same(own, value));
    if !any && !entry.at.iter().all(fits) {
        return;
    }
    let address = child(doc, site, "address", 1);
    for (name, value) in entry.at.iter().filter(|(name, _)| !name.contains('.')) {
        doc.graft_attr(address, name, value);
    }
    for (path, value) in entry.at.iter().filter(|(name, _)| name.contains('.')) {
        graft(doc, address, path, value);
    }
}

/// Adds a device that virtc had added.
fn whole<'s>(doc: &mut Document<'s>, devices: Site, entry: &'s Entry) -> Site {
    let site = doc.graft_child(devices, &entry.element);
    for (path, value) in &entry.has {
        graft(doc, site, path, value);
    }
    if !entry.at.is_empty() {
        let address = doc.graft_child(site, "address");
        for (path, value) in &entry.at {
            graft(doc, address, path, value);
        }
    }
    site
}

/// Adds a value below an element, unless there is one.
fn graft<'s>(doc: &mut Document<'s>, site: Site, path: &'s str, value: &'s str) {
    let mut at = site;
    let (way, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut steps = way.split('.').filter(|s| !s.is_empty()).peekable();
    while let Some(name) = steps.next() {
        let number = steps.next_if(|s| s.starts_with(|c: char| c.is_ascii_digit()));
        at = child(doc, at, name, number.and_then(|n| n.parse().ok()).unwrap_or(1));
    }
    let Some(el) = doc.element(at) else { return };
    match last {
        "text" if el.text().trim().is_empty() => doc.graft_text(at, value),
        "text" => {}
        name if el.peek(name).is_none() => doc.graft_attr(at, name, value),
        _ => {}
    }
}

/// The child of this name and number, counted from 1; made if it is not there.
fn child<'s>(doc: &mut Document<'s>, site: Site, name: &'s str, number: usize) -> Site {
    let found = doc.element(site).and_then(|e| e.children().filter(|c| c.is(name)).nth(number.saturating_sub(1)));
    match found.map(|c| c.site()) {
        Some(found) => found,
        None => doc.graft_child(site, name),
    }
}

/// The first child of this name, not marked as used.
fn inside<'d>(el: El<'d>, name: &str) -> Option<El<'d>> {
    el.children().find(|c| c.is(name))
}

/// The address that attributes describe.
fn place(at: &Values) -> Option<Address> {
    if at.is_empty() {
        return None;
    }
    let mut out = XmlWriter::new();
    out.start("device");
    out.start("address");
    at.iter().filter(|(name, _)| !name.contains('.')).for_each(|(name, value)| out.attr(name, value));
    let text = out.finish();
    let mut diags = Diagnostics::new();
    let doc = parse(text.as_bytes(), &mut diags);
    let mut part = AddressPart::default();
    part.bind(doc.root()?, &mut Binder { diags: &mut diags });
    part.address.filter(|_| !diags.has_errors())
}
