//! Random number generators.

pub(crate) mod family;

use super::chardev::ChardevSource;
use super::info::{DeviceInfo, device};
use super::plug::VirtioModel;
use super::virtio::VirtioDriver;
use crate::bind::{Binder, Part, Shape, model, print_attr};
pub use crate::schema::words::RngSource;
use crate::xml::{El, XmlWriter};

model! {
    /// `<rate>`: how much the guest may draw.
    pub struct Rate = "rate" {
        key bytes: u32 = "bytes",
        attr period: u32 = "period",
    }
}

/// `<backend>` of an `<rng>`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backend {
    /// `model='…'`
    pub model: Option<RngSource>,
    /// The text: a file of the host, for `random`.
    pub path: Option<String>,
    /// How an entropy daemon is reached, for `egd`.
    pub source: Option<Box<ChardevSource>>,
}

impl Part for Backend {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.model = cx.need(el, "model");
        if self.model == Some(RngSource::Egd) {
            let mut source = ChardevSource::default();
            source.bind(el, cx);
            // libvirt reads no labels here.
            source.seclabels.clear();
            self.source = Some(Box::new(source));
        } else {
            self.path = cx.text(el);
        }
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "model", &self.model);
        if let Some(source) = &self.source {
            source.print_attrs(out);
        }
    }
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(source) = &self.source {
            source.print_body(out);
        }
        if let Some(path) = self.path.as_ref().filter(|path| !path.is_empty()) {
            out.text(path);
        }
    }
    fn shape(shape: &mut Shape) {
        shape.attr("model");
        shape.text = true;
        ChardevSource::shape(shape);
    }
}

model! {
    /// `<rng>`
    pub struct Rng = "rng" {
        need model: VirtioModel = "model",
        child rate: Rate,
        child backend: Backend = "backend",
        child driver: VirtioDriver,
        part info: DeviceInfo,
    }
}

device!(Rng, "rng");

impl Rng {
    /// The node that random numbers come from, if it is one of the kernel.
    pub fn random_node(&self) -> Option<&str> {
        let backend = self.backend.as_ref().filter(|_| self.source() == RngSource::Random)?;
        backend.path.as_deref()
    }

    fn source(&self) -> RngSource {
        self.backend.as_ref().and_then(|b| b.model).unwrap_or(RngSource::Random)
    }
}
