//! Amounts of memory.

use super::model::{Binder, Part, Shape, print_attr};
use crate::diag::codes::schema as codes;
use crate::vocab::{OnOff, Size, Value};
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
                let span = unit.map_or(el.span(), |u| u.value_span());
                cx.diags
                    .error(&codes::WRONG_VALUE, span, format!("unknown unit '{name}' of element '{}'", el.name()))
                    .help("use b, KB, KiB, MB, MiB, GB, GiB, TB or TiB");
            }
            None => {
                cx.diags.error(&codes::WRONG_VALUE, el.text_span(), format!("the value {number} {name} is too large"));
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
