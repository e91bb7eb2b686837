//! `<numa>` of `<cpu>`: the guest's NUMA nodes, their distances and memory attributes.

use super::memory::AccessMode;
use crate::bind::{Binder, Model, Part, Shape, model, print_attr};
use crate::diag::codes::{machine as numa, schema as codes};
pub use crate::schema::words::{AccessKind, Associativity, CachePolicy};
use crate::vocab::{NumberSet, Size, Value, YesNo};
use crate::xml::{El, Site, XmlWriter};

model! {
    /// `<sibling>`: the distance to one node.
    pub struct Sibling = "sibling" {
        need id: u32 = "id",
        need value: u32 = "value",
    }
}

/// A size that stands in the attributes `value` and `unit`; printed in KiB, or in bytes for a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValueUnit<const BYTES: bool> {
    /// The size.
    pub size: Size,
}

impl<const BYTES: bool> Part for ValueUnit<BYTES> {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        let unit: Option<String> = cx.attr(el, "unit");
        let number: Option<u64> = cx.need(el, "value");
        let unit = unit.as_deref().unwrap_or(if BYTES { "B" } else { "KiB" });
        if let Some(number) = number {
            match Size::of(number, unit) {
                Some(size) => self.size = size,
                None => {
                    cx.diags.error(
                        &codes::WRONG_VALUE,
                        el.span(),
                        format!("unknown unit '{unit}', or too large: {number}"),
                    );
                }
            }
        }
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        let (value, unit) = if BYTES { (self.size.0, "B") } else { (self.size.kib(), "KiB") };
        out.attr("value", &value.to_text());
        out.attr("unit", unit);
    }
    fn print_body(&self, _: &mut XmlWriter) {}
    fn shape(shape: &mut Shape) {
        shape.attr("value");
        shape.attr("unit");
    }
}

model! {
    /// `<cache>`: a cache in front of a node's memory.
    pub struct NumaCache = "cache" {
        need level: u32 = "level",
        need associativity: Associativity = "associativity",
        need policy: CachePolicy = "policy",
        child size: ValueUnit<false> = "size",
        child line: ValueUnit<true> = "line",
    }
}

/// `<cell>`: one node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// Its number.
    pub id: Option<u32>,
    /// Its CPUs.
    pub cpus: Option<NumberSet>,
    /// Its memory.
    pub memory: Size,
    /// Whether the XML tells how much memory it has.
    pub has_memory: bool,
    /// Whether the memory is shared with other processes.
    pub access: Option<AccessMode>,
    /// Whether the memory is thrown away when QEMU ends.
    pub discard: Option<YesNo>,
    /// Distances to the nodes.
    pub distances: Vec<Sibling>,
    /// Caches in front of the memory.
    pub caches: Vec<NumaCache>,
    /// Where it stands.
    pub site: Site,
}

impl Cell {
    /// Its memory in KiB.
    pub fn kib(&self) -> u64 {
        self.memory.kib()
    }
}

impl Part for Cell {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.id = cx.attr(el, "id");
        self.cpus = if el.peek("cpus").is_some_and(|a| a.value().is_empty()) {
            el.attr("cpus");
            None
        } else {
            cx.attr(el, "cpus")
        };
        let unit: Option<String> = cx.attr(el, "unit");
        let unit = unit.as_deref().unwrap_or("KiB");
        let number: Option<u64> = cx.need(el, "memory");
        self.has_memory = number.is_some();
        if let Some(number) = number {
            match Size::of(number, unit) {
                Some(size) => self.memory = size,
                None => {
                    cx.diags.error(
                        &codes::WRONG_VALUE,
                        el.span(),
                        format!("unknown unit '{unit}', or too large: {number}"),
                    );
                }
            }
        }
        self.access = cx.attr(el, "memAccess");
        self.discard = cx.attr(el, "discard");
        if let Some(distances) = el.child("distances") {
            for sibling in distances.children_named("sibling").map(|e| Sibling::read(e, cx)) {
                self.distances.push(sibling);
            }
            if self.distances.is_empty() {
                cx.diags.error(&numa::NUMA, distances.span(), "<distances> of NUMA is without any <sibling>");
            }
        }
        self.caches = el.children_named("cache").map(|e| NumaCache::read(e, cx)).collect();
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "id", &self.id);
        print_attr(out, "cpus", &self.cpus);
        out.attr("memory", &self.kib().to_text());
        out.attr("unit", "KiB");
        print_attr(out, "memAccess", &self.access);
        print_attr(out, "discard", &self.discard);
    }
    fn print_body(&self, out: &mut XmlWriter) {
        if !self.distances.is_empty() {
            out.start("distances");
            self.distances.iter().for_each(|s| s.print(out));
            out.end();
        }
        self.caches.iter().for_each(|c| c.print(out));
    }
    fn shape(shape: &mut Shape) {
        for attr in ["id", "cpus", "memory", "unit", "memAccess", "discard"] {
            shape.attr(attr);
        }
        let mut distances = Shape::default();
        distances.child::<Sibling>("sibling");
        shape.children.push(("distances", distances));
        shape.child::<NumaCache>("cache");
    }
}

impl Model for Cell {
    const ELEMENT: &'static str = "cell";
}

model! {
    /// `<latency>` or `<bandwidth>` between two nodes.
    pub struct Interconnect {
        need initiator: u32 = "initiator",
        need target: u32 = "target",
        attr cache: u32 = "cache",
        need kind: AccessKind = "type",
        need value: u64 = "value",
        attr unit: String = "unit",
    }
}

/// `<interconnects>`: latencies and bandwidths, in the order in which they stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interconnects {
    /// Each with whether it is a bandwidth. Latencies are in nanoseconds, bandwidths in KiB/s.
    pub list: Vec<(bool, Interconnect)>,
}

impl Part for Interconnects {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        for child in el.children() {
            let bandwidth = child.is("bandwidth");
            if !bandwidth && !child.is("latency") {
                continue;
            }
            child.mark();
            let mut one = Interconnect::default();
            one.bind(child, cx);
            if bandwidth && let Some(value) = one.value {
                let unit = one.unit.take().unwrap_or_else(|| "KiB".to_string());
                match Size::of(value, &unit) {
                    Some(size) => one.value = Some(size.kib()),
                    None => {
                        cx.diags.error(
                            &codes::WRONG_VALUE,
                            child.span(),
                            format!("unknown unit '{unit}', or too large: {value}"),
                        );
                    }
                }
                one.unit = Some("KiB".to_string());
            }
            self.list.push((bandwidth, one));
        }
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        for (bandwidth, one) in &self.list {
            crate::bind::print_as(if *bandwidth { "bandwidth" } else { "latency" }, one, out);
        }
    }
    fn shape(shape: &mut Shape) {
        shape.child::<Interconnect>("latency");
        shape.child::<Interconnect>("bandwidth");
    }
}

model! {
    /// `<numa>`
    pub struct GuestNuma = "numa" {
        many cells: Cell,
        child interconnects: Interconnects = "interconnects",
    }
}

impl GuestNuma {
    /// The memory of all nodes, in KiB.
    pub fn kib(&self) -> u64 {
        self.cells.iter().map(Cell::kib).fold(0, u64::saturating_add)
    }

    /// The node with this number.
    pub fn cell(&self, id: u32) -> Option<&Cell> {
        self.cells.iter().find(|c| c.id == Some(id))
    }

    /// The highest number of a CPU of any node, plus one.
    pub fn cpus(&self) -> u32 {
        let last = self.cells.iter().filter_map(|c| c.cpus.as_ref()).filter_map(|s| s.0.last()).max();
        last.map_or(0, |n| n + 1)
    }
}
