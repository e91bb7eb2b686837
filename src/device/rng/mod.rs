//! Random number generators.

use super::chardev::{self, Chardev, ChardevSource};
use super::info::DeviceInfo;
use super::plug::{Plug, VirtioModel};
use super::virtio::VirtioDriver;
use super::{Family, device};
use crate::caps::Cap;
use crate::diag::codes::general;
use crate::domain::Domain;
use crate::domain::model::{Binder, Part, Shape, model, print_attr};
use crate::lower::{Grant, Lower};
use crate::plan::Props;
use crate::resolve::{Cx, Env, Machine};
use crate::vocab::keywords;
use crate::xml::{El, XmlWriter};

keywords! {
    /// `<backend model='…'>`: where the entropy comes from.
    pub enum RngSource { Random = "random", Egd = "egd", Builtin = "builtin" }
}

model! {
    /// `<rate>`: how much the guest may draw.
    pub struct Rate = "rate" {
        need bytes: u32 = "bytes",
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
        if let Some(path) = &self.path {
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

impl Family for Rng {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {
        let Some(backend) = &mut self.backend else { return };
        match backend.model {
            Some(RngSource::Random) => {
                let path = backend.path.take().filter(|p| !p.trim().is_empty());
                backend.path = Some(path.unwrap_or_else(|| "/dev/random".to_string()));
            }
            _ => backend.path = None,
        }
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        Plug::Virtio(self.model.unwrap_or_default())
    }

    fn rules(&self, _: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        if !cx.has(Cap::VirtioRng) {
            cx.error(&general::NOT_BY_QEMU, self.site, "this QEMU has no RNG device for model 'virtio'");
        }
        let (name, cap) = match self.source() {
            RngSource::Random => ("random", Cap::RngRandom),
            RngSource::Egd => ("egd", Cap::RngEgd),
            RngSource::Builtin => ("builtin", Cap::RngBuiltin),
        };
        if !cx.has(cap) {
            cx.error(&general::NOT_BY_QEMU, self.site, format!("<backend> of the rng: this QEMU has no '{name}'"));
        }
        if self.backend.is_none() {
            cx.error(&general::NOT_BY_QEMU, self.site, "an rng needs exactly one RNG backend: only one is supported");
        }
        if self.source() == RngSource::Egd
            && self.backend.as_ref().is_some_and(|b| b.source.as_ref().is_none_or(|s| s.kind.is_none()))
        {
            cx.error(&general::NOT_BY_QEMU, self.site, "the EGD backend of the rng is missing its type");
        }
        if let Some(source) = self.backend.as_ref().and_then(|b| b.source.as_ref()) {
            chardev::rules(source, self.site, cx);
            chardev::unix_needs_path(source, self.site, cx);
        }
        if let Some(driver) = &self.driver {
            driver.virtio.rules(true, cx);
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let id = &self.info.id;
        let object = format!("obj{id}");
        let mut props = match self.source() {
            RngSource::Random => Props::with("qom-type", "rng-random"),
            RngSource::Builtin => Props::with("qom-type", "rng-builtin"),
            RngSource::Egd => {
                let Some(source) = self.backend.as_ref().and_then(|b| b.source.as_ref()) else { return };
                let of = Chardev { id, site: self.site, family: "rng", spicevmc: "", generated: None };
                let chardev = chardev::chardev(source, of, lx);
                let mut props = Props::with("qom-type", "rng-egd");
                props.set("id", object.clone()).set("chardev", chardev);
                props
            }
        };
        if self.source() != RngSource::Egd {
            props.set("id", object.clone());
        }
        if self.source() == RngSource::Random {
            let path = self.backend.as_ref().and_then(|b| b.path.clone()).unwrap_or_default();
            props.set("filename", path.clone());
            lx.touch(&path, Grant::SYSTEM_SOURCE, self.site, "rng");
        }
        lx.object(props, self.site, "rng");
        let options = self.driver.as_ref().map(|d| &d.virtio);
        let mut props = lx.virtio_device("virtio-rng", &self.info, self.model.unwrap_or_default(), options);
        props.set("rng", object).set("id", id.clone());
        if let Some(rate) = &self.rate {
            props.maybe("max-bytes", rate.bytes);
            props.set("period", rate.period.filter(|p| *p > 0).unwrap_or(1000));
        }
        lx.address(&mut props, &self.info);
        lx.device(props, self);
    }
}
