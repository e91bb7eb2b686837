//! Amounts of memory.

use crate::bind::{Binder, Model, Part, Shape, model, print_attr};
use crate::diag::codes::schema as codes;
pub use crate::schema::words::{AccessMode, AllocationMode, MemorySource};
use crate::vocab::{NumberSet, OnOff, Size, Value};
use crate::xml::{El, Site, XmlWriter};

/// An amount of memory with a unit; printed in KiB. `<currentMemory unit='MiB'>512</currentMemory>`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Amount {
    /// Bytes.
    pub size: Size,
    /// Where it stands.
    pub site: Site,
}

impl Amount {
    /// An amount that a default rule gives.
    pub fn implied(kib: u64) -> Amount {
        Amount { size: Size(kib * 1024), site: Site::NONE }
    }

    /// In KiB, rounded up.
    pub fn kib(&self) -> u64 {
        self.size.kib()
    }
}

impl Part for Amount {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        let unit = el.attr("unit");
        // formatdomain, "Memory Allocation": KiB without a unit.
        let name = unit.map_or("KiB", |u| u.value());
        let Some(number) = cx.text::<u64>(el) else { return };
        match Size::of(number, name) {
            Some(size) => self.size = size,
            None if Size::of(0, name).is_none() => {
                let span = unit.map_or(el.span(), |u| u.span());
                cx.diags
                    .error(&codes::WRONG_VALUE, span, format!("unknown unit '{name}' of element '{}'", el.name()))
                    .help("use b, KB, KiB, MB, MiB, GB, GiB, TB or TiB");
            }
            None => {
                cx.diags.error(
                    &codes::WRONG_VALUE,
                    el.text_span(),
                    format!("{number}{name} overflows: a numerical value so large is no amount of memory"),
                );
            }
        }
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        out.attr("unit", "KiB");
    }
    fn print_body(&self, out: &mut XmlWriter) {
        out.text(&self.kib().to_text());
    }
    fn shape(shape: &mut Shape) {
        shape.attr("unit");
        shape.text = true;
    }
}

/// `<memory>`: what the guest has at start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// How much.
    pub amount: Amount,
    /// Whether it is part of core dumps of QEMU.
    pub dump_core: Option<OnOff>,
}

impl Part for Memory {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.amount.bind(el, cx);
        self.dump_core = cx.attr(el, "dumpCore");
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        self.amount.print_attrs(out);
        print_attr(out, "dumpCore", &self.dump_core);
    }
    fn print_body(&self, out: &mut XmlWriter) {
        self.amount.print_body(out);
    }
    fn shape(shape: &mut Shape) {
        Amount::shape(shape);
        shape.attr("dumpCore");
    }
}

/// `<maxMemory>`: up to how much memory can be added while the guest runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MaxMemory {
    /// How much.
    pub amount: Amount,
    /// How many memory devices there can be.
    pub slots: Option<u32>,
}

impl Part for MaxMemory {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.amount.bind(el, cx);
        self.slots = cx.attr(el, "slots");
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "slots", &self.slots);
        self.amount.print_attrs(out);
    }
    fn print_body(&self, out: &mut XmlWriter) {
        self.amount.print_body(out);
    }
    fn shape(shape: &mut Shape) {
        Amount::shape(shape);
        shape.attr("slots");
    }
}

/// `<page>`: huge pages of one size, for some nodes or for all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HugePage {
    /// Size of a page; 0 stands for the host's default.
    pub size: Size,
    /// The guest nodes; none for all that no other entry names.
    pub nodeset: Option<NumberSet>,
    /// Where it stands.
    pub site: Site,
}

impl Part for HugePage {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        let unit: Option<String> = cx.attr(el, "unit");
        let unit = unit.as_deref().unwrap_or("KiB");
        if let Some(number) = cx.need::<u64>(el, "size") {
            match Size::of(number, unit) {
                Some(size) if size.0 > 0 => self.size = size,
                _ => {
                    cx.diags.error(
                        &codes::WRONG_VALUE,
                        el.span(),
                        format!("invalid size of huge pages: {number} {unit}"),
                    );
                }
            }
        }
        self.nodeset = cx.attr(el, "nodeset");
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        out.attr("size", &self.size.kib().to_text());
        out.attr("unit", "KiB");
        print_attr(out, "nodeset", &self.nodeset);
    }
    fn print_body(&self, _: &mut XmlWriter) {}
    fn shape(shape: &mut Shape) {
        for a in ["size", "unit", "nodeset"] {
            shape.attr(a);
        }
    }
}

impl Model for HugePage {
    const ELEMENT: &'static str = "page";
}

model! {
    /// `<hugepages>`
    pub struct HugePages = "hugepages" {
        many pages: HugePage,
    }
}

model! {
    /// `<source>` of `<memoryBacking>`
    pub struct BackingSource = "source" {
        attr kind: MemorySource = "type",
    }
}

model! {
    /// `<access>` of `<memoryBacking>`
    pub struct Access = "access" {
        attr mode: AccessMode = "mode",
    }
}

model! {
    /// `<allocation>` of `<memoryBacking>`
    pub struct Allocation = "allocation" {
        attr mode: AllocationMode = "mode",
        attr threads: u32 = "threads",
    }
}

model! {
    /// `<memoryBacking>`: what the guest's memory is made of.
    pub struct MemoryBacking = "memoryBacking" {
        mark hugepages: HugePages,
        flag nosharepages: bool = "nosharepages",
        flag locked: bool = "locked",
        child source: BackingSource,
        child access: Access,
        child allocation: Allocation,
        flag discard: bool = "discard",
    }
}

impl MemoryBacking {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        MemoryBacking { site: Site::NONE, ..self.clone() } == MemoryBacking::default()
    }

    /// Where the memory comes from.
    pub fn source(&self) -> Option<MemorySource> {
        self.source.as_ref().and_then(|s| s.kind)
    }

    /// Whether other processes see it.
    pub fn access(&self) -> Option<AccessMode> {
        self.access.as_ref().and_then(|a| a.mode)
    }

    /// Whether it is touched before the guest starts.
    pub fn is_immediate(&self) -> bool {
        self.allocation.as_ref().is_some_and(|a| a.mode == Some(AllocationMode::Immediate))
    }
}
