//! `<shmem>`: memory that several guests share.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use crate::bind::{Binder, Part, Shape, model};
use crate::domain::memory::Amount;
pub use crate::schema::words::{ShmemModel, ShmemRole};
use crate::vocab::{OnOff, Value};
use crate::xml::{El, XmlWriter};

model! {
    /// `<model>`
    pub struct Model = "model" {
        attr kind: ShmemModel = "type",
    }
}

model! {
    /// `<server>`: who hands out the memory, and interrupts.
    pub struct Server = "server" {
        attr path: String = "path",
    }
}

model! {
    /// `<msi>`: interrupts.
    pub struct Msi = "msi" {
        attr vectors: u32 = "vectors",
        attr ioeventfd: OnOff = "ioeventfd",
    }
}

/// A size that is printed in MiB.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mebibytes(pub Amount);

impl Part for Mebibytes {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.0.bind(el, cx);
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        out.attr("unit", "M");
    }
    fn print_body(&self, out: &mut XmlWriter) {
        out.text(&(self.0.size.0 >> 20).to_text());
    }
    fn shape(shape: &mut Shape) {
        Amount::shape(shape);
    }
}

model! {
    /// `<shmem>`
    pub struct Shmem = "shmem" {
        need name: String = "name",
        attr role: ShmemRole = "role",
        child model: Model,
        child size: Mebibytes = "size",
        mark server: Server,
        mark msi: Msi,
        part info: DeviceInfo,
    }
}

device!(Shmem, "shmem");

impl Shmem {
    fn kind(&self) -> ShmemModel {
        self.model.as_ref().and_then(|m| m.kind).unwrap_or(ShmemModel::Ivshmem)
    }

    fn bytes(&self) -> Option<u64> {
        self.size.as_ref().map(|s| s.0.size.0).filter(|s| *s > 0)
    }
}
