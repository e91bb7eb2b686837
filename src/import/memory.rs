//! `-m`, `-numa`, and the objects that are the guest's memory.

use super::Import;
use super::element::Element;
use super::machine::Pieces;
use super::options::{Options, is_on};
use crate::diag::Span;
use crate::vocab::{NumberSet, Value};
use std::collections::BTreeMap;

/// What a memory backend says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backend {
    /// Its size in KiB.
    pub kib: Option<u64>,
    /// `memory-backend-…` without that.
    pub kind: String,
    /// Its file.
    pub path: Option<String>,
    /// `shared` or `private`.
    pub access: Option<&'static str>,
    /// Size of its pages in KiB; 0 if they are huge ones of the usual size.
    pub page: Option<u64>,
    /// Whether its pages are touched at the start, and by how many threads.
    pub prealloc: bool,
    /// How many threads touch them.
    pub threads: Option<String>,
    /// Whether it is thrown away at the end.
    pub discard: Option<&'static str>,
    /// Policy and nodes of the host.
    pub nodes: Option<(&'static str, String)>,
    /// Alignment in KiB.
    pub align: Option<u64>,
    /// Whether it is persistent memory.
    pub pmem: bool,
    /// Where the command line says it.
    pub span: Option<Span>,
}

/// `memory-backend-memfd` of other names; what a RAM disk holds is memory, too.
const RAM_DISKS: &[&str] = &["/dev/shm", "/dev/shm/"];

/// KiB that virtio-mem adds at a time unless it is told: a huge page of the kernel's own (`virtio_mem_default_block_size`).
const BLOCK: u64 = 2048;

impl Import {
    /// `<maxMemory>`, `<memory>`, and what the memory is made of.
    pub fn memory(&mut self, machine: &mut Options, pieces: &mut Pieces, children: &mut Vec<Element>) {
        let mut memory = self.merged("m", "size");
        let size = memory.take_if("size", |s| kib(s, 1024)).unwrap_or(128 * 1024);
        if let Some(most) = memory.take_if("maxmem", |s| kib(s, 1024)).filter(|most| *most > 0) {
            let slots = memory.take("slots");
            children.push(Element::leaf("maxMemory", most).maybe("slots", slots).attr("unit", "KiB"));
        }
        self.leave("-m", memory);
        let mut element = Element::leaf("memory", size).attr("unit", "KiB");
        if let Some(dump) = machine.take_on_off("dump-guest-core") {
            element.set("dumpCore", dump);
        }
        let at = children.len();
        children.push(element);
        let mut backends: Vec<(Option<String>, Backend)> = Vec::new();
        if let Some(id) = machine.take("memory-backend") {
            // Machines give names to memory that nobody made.
            backends.extend(self.memory_backend(&id).map(|backend| (None, backend)));
        }
        self.nodes(size, pieces, &mut backends);
        let makes_a_node = self.is_x86() || self.board == "virt" || self.board.starts_with("virt-");
        if makes_a_node && pieces.cells.is_empty() && children.iter().any(|c| c.name() == "maxMemory") {
            // So does QEMU: memory can be plugged into nodes only (`auto_enable_numa_with_memhp`).
            let cell = Element::new("cell").attr("id", 0).attr("cpus", self.all_cpus(pieces)).attr("memory", size);
            pieces.cells.push(cell.attr("unit", "KiB"));
        }
        if backends.is_empty() {
            self.memory_path(pieces);
        }
        if self.command.take_switch("mem-prealloc") {
            pieces.allocation("immediate");
        }
        self.backing(&backends, pieces);
        if machine.take_switch("mem-merge") == Some(false) {
            pieces.backing.push(Element::new("nosharepages"));
        }
        for (place, mut options) in self.command.find("overcommit", "") {
            if options.get("mem-lock").is_some_and(is_on) {
                self.command.mark(place);
                options.take("mem-lock");
                pieces.backing.push(Element::new("locked"));
                self.leave("-overcommit", options);
            }
        }
        // `<memory>` counts what is plugged in, too.
        let total = self.memory_devices() + self.enclaves(machine) + size;
        if !pieces.cells.is_empty() {
            self.in_the_first_node();
        }
        children[at] = children[at].clone().text(total);
    }

    /// Old command lines say it once for all memory.
    fn memory_path(&mut self, pieces: &mut Pieces) {
        let Some(argument) = self.last("mem-path") else { return };
        let path = argument.value.unwrap_or_default();
        match page_of(&path) {
            Some(page) => pieces.hugepages(page, None),
            None => {
                self.changed(
                    argument.span,
                    format!("memory from files below {path}: the host's own folder for it is used"),
                );
                pieces.backing.push(Element::new("source").attr("type", "file"));
            }
        }
    }

    /// `-numa`: nodes, distances, caches.
    fn nodes(&mut self, size: u64, pieces: &mut Pieces, backends: &mut Vec<(Option<String>, Backend)>) {
        let all = self.command.find("numa", "type");
        let nodes = all.iter().filter(|(_, o)| o.get("type") == Some("node")).count();
        let mut next = 0;
        for (place, mut cell) in all {
            let kind = cell.take("type").unwrap_or_default();
            match kind.as_str() {
                "node" => {
                    let id = cell.take_number("nodeid").unwrap_or(next);
                    next = id + 1;
                    let cpus = cell.take_all("cpus").join(",");
                    let backend = cell.take("memdev");
                    let own = cell.take_if("mem", |m| kib(m, 1024));
                    let backend = backend.and_then(|id| self.memory_backend(&id));
                    let kib = backend.as_ref().and_then(|b| b.kib).or(own).unwrap_or(size / nodes.max(1) as u64);
                    // One node alone has all CPUs.
                    let cpus = if cpus.is_empty() && nodes == 1 { self.all_cpus(pieces) } else { cpus };
                    let mut element = Element::new("cell").attr("id", id);
                    if !cpus.is_empty() {
                        element.set("cpus", cpus);
                    }
                    element.set("memory", kib);
                    element.set("unit", "KiB");
                    backends.extend(backend.map(|b| (Some(id.to_string()), b)));
                    pieces.cells.push(element);
                    // The memory side of the node says it by itself.
                    cell.same("initiator", &[&id.to_string()]);
                }
                "dist" => {
                    let (Some(from), Some(to), Some(value)) = (cell.take("src"), cell.take("dst"), cell.take("val"))
                    else {
                        continue;
                    };
                    let sibling = Element::new("sibling").attr("id", to).attr("value", value);
                    if let Some(node) = pieces.cells.iter_mut().find(|c| c.get("id") == Some(&from)) {
                        node.inside("distances").push(sibling);
                    }
                }
                "hmat-lb" => pieces.interconnects.extend(latency(&mut cell)),
                "hmat-cache" => {
                    let Some(node) = cell.take("node-id") else { continue };
                    let cache = side_cache(&mut cell);
                    if let Some(cell) = pieces.cells.iter_mut().find(|c| c.get("id") == Some(&node)) {
                        cell.push_all(cache);
                    }
                }
                _ => continue,
            }
            self.command.mark(place);
            self.leave(&format!("-numa {kind}"), cell);
        }
    }

    fn all_cpus(&self, pieces: &Pieces) -> String {
        match pieces.vcpus {
            0 | 1 => "0".to_string(),
            more => format!("0-{}", more - 1),
        }
    }

    /// An object that is memory; it is used up.
    pub fn memory_backend(&mut self, id: &str) -> Option<Backend> {
        let (place, mut object) = self.command.find_by("object", "qom-type", "id", id)?;
        let kind = object.get("qom-type")?.strip_prefix("memory-backend-")?.to_string();
        self.command.mark(place);
        object.take("qom-type");
        object.take("id");
        let span = Some(object.span);
        // An old name of the block, for guests that come from older machines; it is told to QEMU as it was for them.
        object.same("x-use-canonical-path-for-ramblock-id", &["off"]);
        object.same("merge", &["on"]);
        object.same("dump", &["on"]);
        object.same("reserve", &["off"]);
        let mut out = Backend { kib: object.take_if("size", |s| kib(s, 1)), kind, span, ..Backend::default() };
        out.path = object.take("mem-path");
        out.access = object.take_switch("share").map(|on| if on { "shared" } else { "private" });
        out.prealloc = object.take_switch("prealloc") == Some(true);
        out.threads = object.take("prealloc-threads");
        out.discard = object.take_switch("discard-data").map(|on| if on { "yes" } else { "no" });
        out.align = object.take_if("align", |s| kib(s, 1));
        out.pmem = object.take_switch("pmem") == Some(true);
        if let Some(context) = object.take("prealloc-context")
            && let Some((place, _)) = self.command.find_by("object", "qom-type", "id", &context)
        {
            self.command.mark(place);
        }
        let huge = object.take_switch("hugetlb") == Some(true);
        let page = object.take_if("hugetlbsize", |s| kib(s, 1));
        out.page = page.or(huge.then_some(0)).or_else(|| out.path.as_deref().and_then(page_of));
        out.nodes = bound(&mut object);
        self.leave(&format!("the memory '{id}'"), object);
        Some(out)
    }

    /// `<memoryBacking>` and `<numatune>` of backends, each with the node that it is for.
    fn backing(&mut self, backends: &[(Option<String>, Backend)], pieces: &mut Pieces) {
        let Some((_, first)) = backends.first() else { return };
        let same = |of: &dyn Fn(&Backend) -> bool| backends.iter().all(|(_, b)| of(b));
        // Pages: one size for all, or each node its own.
        let mut sizes: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for (node, backend) in backends {
            if let Some(page) = backend.page {
                sizes.entry(page).or_default().extend(node.as_deref());
            }
        }
        for (page, nodes) in &sizes {
            let all = sizes.len() == 1 && same(&|b| b.page.is_some());
            pieces.hugepages(*page, (!all && !nodes.is_empty()).then(|| nodes.join(",")));
        }
        let plain_file = |b: &Backend| b.kind == "file" && b.page.is_none();
        let ram_disk =
            |b: &Backend| b.path.as_deref().is_some_and(|p| RAM_DISKS.contains(&p) || p.starts_with("/dev/shm/"));
        if first.kind == "memfd" || plain_file(first) && ram_disk(first) {
            pieces.backing.push(Element::new("source").attr("type", "memfd"));
        } else if backends.iter().any(|(_, b)| plain_file(b) && b.access.is_none()) {
            pieces.backing.push(Element::new("source").attr("type", "file"));
        }
        for (_, backend) in backends.iter().filter(|(_, b)| plain_file(b)) {
            self.tell_memory_file(backend, ram_disk(backend));
        }
        if same(&|b| b.access == first.access) {
            pieces.backing.extend(first.access.map(|mode| Element::new("access").attr("mode", mode)));
        } else {
            for (node, backend) in backends {
                if let (Some(node), Some(access)) = (node, backend.access) {
                    pieces.cell(node, "memAccess", access);
                }
            }
        }
        // Huge pages are touched at the start anyway.
        if same(&|b| b.prealloc) && (first.page.is_none() || first.threads.is_some()) {
            pieces.allocation("immediate");
            if let Some(threads) = &first.threads {
                pieces.threads(threads);
            }
        }
        if first.discard == Some("yes") && same(&|b| b.discard == first.discard) {
            pieces.backing.push(Element::new("discard"));
        } else {
            for (node, backend) in backends {
                if let (Some(node), Some(discard)) = (node, backend.discard) {
                    pieces.cell(node, "discard", discard);
                }
            }
        }
        pieces.numatune = numatune(backends);
    }

    /// The file of memory has its place by the rules of the host, or none.
    fn tell_memory_file(&mut self, backend: &Backend, in_ram: bool) {
        let (Some(path), Some(span)) = (&backend.path, backend.span) else { return };
        if path.contains("/libvirt/qemu/ram/") || path.contains("/virtc/") {
            return;
        }
        let text = if in_ram {
            format!("memory in mem-path={path}: a memfd, which is the same without a name among files")
        } else {
            format!("memory in mem-path={path}: the host's own folder for it is used")
        };
        self.changed(span, text);
    }

    /// Plugged-in memory: all of it in KiB, and the devices.
    fn memory_devices(&mut self) -> u64 {
        let mut all = 0;
        for (place, mut device) in self.command.find("device", "driver") {
            let Some(model) = device.get("driver").and_then(dimm) else { continue };
            let driver = device.take("driver").unwrap_or_default();
            let Some(backend) = device.take("memdev").and_then(|id| self.memory_backend(&id)) else { continue };
            self.command.mark(place);
            let size = backend.kib.unwrap_or(0);
            all += size;
            let element = self.memory_device(model, backend, &mut device);
            self.placed_memory(element, &driver, device);
        }
        all
    }

    /// Memory that names no node is in the first, as for QEMU.
    fn in_the_first_node(&mut self) {
        let plugged =
            |d: &&mut Element| d.name() == "memory" && matches!(d.get("model"), Some("dimm" | "nvdimm" | "virtio-mem"));
        for target in self.devices.iter_mut().filter(plugged).map(|device| device.inside("target")) {
            if !target.has("node") {
                target.push(Element::leaf("node", 0));
            }
        }
    }

    /// Memory of enclaves (SGX), which properties of the machine name: all of it in KiB.
    fn enclaves(&mut self, machine: &mut Options) -> u64 {
        let mut all = 0;
        for i in 0.. {
            let Some(id) = machine.get(&format!("sgx-epc.{i}.memdev")).map(str::to_string) else { break };
            let Some(backend) = self.memory_backend(&id) else { break };
            machine.take(&format!("sgx-epc.{i}.memdev"));
            let node = machine.take(&format!("sgx-epc.{i}.node"));
            all += backend.kib.unwrap_or(0);
            let mut device = node.into_iter().fold(Options::default(), |device, node| device.with("node", node));
            let element = self.memory_device("sgx-epc", backend, &mut device);
            self.devices.push(element);
        }
        all
    }

    fn memory_device(&mut self, model: &'static str, backend: Backend, device: &mut Options) -> Element {
        let unit = |name: &'static str, kib: u64| Element::leaf(name, kib).attr("unit", "KiB");
        let mut out = Element::new("memory").attr("model", model).maybe("access", backend.access);
        out = out.maybe("discard", backend.discard);
        if let Some(uuid) = device.take("uuid") {
            out.push(Element::leaf("uuid", uuid));
        }
        let mut source = Element::new("source");
        let own = matches!(model, "nvdimm" | "virtio-pmem");
        source.push_all(backend.path.filter(|_| own).map(|p| Element::leaf("path", self.path(&p))));
        source.push_all(backend.align.map(|kib| unit("alignsize", kib)));
        if backend.pmem {
            source.push(Element::new("pmem"));
        }
        source.push_all(backend.page.filter(|kib| *kib > 0 && !own).map(|kib| unit("pagesize", kib)));
        source.push_all(backend.nodes.map(|(_, nodes)| Element::leaf("nodemask", nodes)));
        if !source.is_empty() {
            out.push(source);
        }
        let mut target = Element::new("target")
            .maybe("dynamicMemslots", device.take_switch("dynamic-memslots").map(|on| if on { "yes" } else { "no" }));
        target.push(unit("size", backend.kib.unwrap_or(0)));
        target.push_all(device.take("node").map(|node| Element::leaf("node", node)));
        if let Some(label) = device.take_if("label-size", |s| kib(s, 1)) {
            target.push(Element::new("label").child(unit("size", label)));
        }
        if device.take_switch("unarmed") == Some(true) {
            target.push(Element::new("readonly"));
        }
        let block = device.take_if("block-size", |s| kib(s, 1));
        target.push_all(block.map(|kib| unit("block", kib)));
        if model == "virtio-mem" {
            if block.is_none() {
                let kib = backend.page.unwrap_or(0).max(BLOCK);
                self.changed(
                    device.span,
                    format!("virtio-mem without block-size=: {kib} KiB, as QEMU chooses by itself"),
                );
                target.push(unit("block", kib));
            }
            target.push(unit("requested", device.take_if("requested-size", |s| kib(s, 1)).unwrap_or(0)));
            device.same("prealloc", &["on"]);
        }
        if let Some(base) = device.take_number("memaddr") {
            target.push(Element::new("address").attr("base", format!("{base:#x}")));
        }
        out.child(target)
    }

    fn placed_memory(&mut self, mut element: Element, driver: &str, mut device: Options) {
        if matches!(driver, "pc-dimm" | "nvdimm") {
            let (slot, base) = (device.take("slot"), device.take_number("addr").map(|n| format!("{n:#x}")));
            if slot.is_some() || base.is_some() {
                element.push(Element::new("address").attr("type", "dimm").maybe("slot", slot).maybe("base", base));
            }
        }
        self.frontend(&mut element, driver, device);
        self.devices.push(element);
    }
}

/// Policy and nodes of the host.
fn bound(object: &mut Options) -> Option<(&'static str, String)> {
    let mut nodes: Vec<u32> =
        object.take_all("host-nodes").iter().filter_map(|n| NumberSet::parse(n).ok()).flat_map(|set| set.0).collect();
    let indexed = object.take_below("host-nodes.");
    nodes.extend(indexed.into_rest().iter().filter_map(|(_, value, _)| value.parse::<u32>().ok()));
    let mode = object.take_if("policy", |policy| match policy {
        "bind" => Some("strict"),
        "preferred" => Some("preferred"),
        "interleave" => Some("interleave"),
        _ => None,
    })?;
    let set: NumberSet = nodes.into_iter().collect();
    Some((mode, set.to_text()))
}

/// `<numatune>`: one policy for all, or for each node its own.
fn numatune(backends: &[(Option<String>, Backend)]) -> Option<Element> {
    let (_, first) = backends.first()?;
    let mut out = Element::new("numatune");
    if backends.iter().all(|(_, b)| b.nodes == first.nodes) {
        let (mode, nodes) = first.nodes.as_ref()?;
        out.push(Element::new("memory").attr("mode", mode).attr("nodeset", nodes));
        return Some(out);
    }
    for (node, backend) in backends {
        if let (Some(node), Some((mode, nodes))) = (node, &backend.nodes) {
            out.push(Element::new("memnode").attr("cellid", node).attr("mode", mode).attr("nodeset", nodes));
        }
    }
    Some(out)
}

/// `-numa hmat-lb`
fn latency(options: &mut Options) -> Option<Element> {
    let kind = options.take("data-type")?;
    let (element, attribute) =
        if kind.ends_with("latency") { ("latency", "latency") } else { ("bandwidth", "bandwidth") };
    let cache = options.take_if("hierarchy", |h| match h {
        "memory" => Some(None),
        "first-level" => Some(Some(1)),
        "second-level" => Some(Some(2)),
        "third-level" => Some(Some(3)),
        _ => None,
    })?;
    let mut out =
        Element::new(element).maybe("initiator", options.take("initiator")).maybe("target", options.take("target"));
    out = out.maybe("cache", cache).attr("type", kind.trim_end_matches("-latency").trim_end_matches("-bandwidth"));
    if attribute == "latency" {
        return Some(out.maybe("value", options.take("latency")));
    }
    let bandwidth = options.take_if("bandwidth", |b| kib(b, 1))?;
    Some(out.attr("value", bandwidth).attr("unit", "KiB"))
}

/// `-numa hmat-cache`
fn side_cache(options: &mut Options) -> Option<Element> {
    let out = Element::new("cache").maybe("level", options.take("level"));
    let associativity = options.take("associativity").map(|a| if a == "complex" { "full".to_string() } else { a });
    let policy = options.take("policy").map(|p| p.replace('-', ""));
    let size = options.take_if("size", |s| kib(s, 1))?;
    let mut out = out.maybe("associativity", associativity).maybe("policy", policy);
    out.push(Element::new("size").attr("value", size).attr("unit", "KiB"));
    out.push_all(options.take("line").map(|line| Element::new("line").attr("value", line).attr("unit", "B")));
    Some(out)
}

/// The format's model of a memory device.
fn dimm(driver: &str) -> Option<&'static str> {
    Some(match driver {
        "pc-dimm" => "dimm",
        "nvdimm" => "nvdimm",
        "virtio-pmem-pci" | "virtio-pmem-ccw" => "virtio-pmem",
        "virtio-mem-pci" | "virtio-mem-ccw" => "virtio-mem",
        _ => return None,
    })
}

/// The size in KiB of the pages that a folder of huge pages has by its name; 0 if the name does not say.
fn page_of(path: &str) -> Option<u64> {
    let rest = &path[path.find("hugepages")? + "hugepages".len()..];
    let name = rest.split('/').next().unwrap_or_default().trim_start_matches(['-', '_']);
    Some(kib(name.trim_end_matches('B').trim_end_matches('b'), 1).unwrap_or(0))
}

/// KiB of a size with one of QEMU's suffixes; without one it counts in `unit` KiB, or in bytes when that is 1.
pub fn kib(text: &str, unit: u64) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().ok()?;
    let bytes = match text[digits.len()..].to_ascii_lowercase().trim_end_matches("ib") {
        "" if unit == 1 => 1.0,
        "" => (unit * 1024) as f64,
        "b" => 1.0,
        "k" => 1024.0,
        "m" => 1048576.0,
        "g" => 1073741824.0,
        "t" => 1099511627776.0,
        _ => return None,
    };
    let kib = number * bytes / 1024.0;
    (0.0..1e15).contains(&kib).then_some(kib as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(kib("2G", 1024), Some(2 << 20));
        assert_eq!(kib("512", 1024), Some(512 << 10));
        assert_eq!(kib("1.5g", 1024), Some(3 << 19));
        assert_eq!(kib("220160k", 1024), Some(220160));
        assert_eq!(kib("1048576", 1), Some(1024));
        assert_eq!(kib("much", 1), None);
    }

    #[test]
    fn pages_by_the_name_of_their_folder() {
        assert_eq!(page_of("/dev/hugepages2M/libvirt/qemu/x"), Some(2048));
        assert_eq!(page_of("/dev/hugepages-1G"), Some(1 << 20));
        assert_eq!(page_of("/dev/hugepages/libvirt"), Some(0));
        assert_eq!(page_of("/var/lib/ram"), None);
    }
}
