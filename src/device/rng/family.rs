//! Random number generators: what the passes ask of the family.

use super::{Rng, RngSource};
use crate::caps::Cap;
use crate::device::chardev::{self, lower::Chardev};
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::diag::codes::general;
use crate::domain::Domain;
use crate::plan::{Props, Use};
use crate::stage::{Cx, Env, Machine};
use crate::stage::{Grant, Lower};

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
            cx.error(
                &general::RNG_BACKEND,
                self.site,
                "an <rng> without <backend>: nothing says where its random bytes come from",
            )
            .help("add <backend model='random'>/dev/urandom</backend>");
        }
        if self.source() == RngSource::Egd
            && self.backend.as_ref().is_some_and(|b| b.source.as_ref().is_none_or(|s| s.kind.is_none()))
        {
            cx.error(
                &general::RNG_BACKEND,
                self.site,
                "<backend model='egd'> of an <rng>: nothing says how the daemon is reached",
            )
            .help("add type='unix' (or tcp, udp…) and a <source> to the backend");
        }
        if let Some(source) = self.backend.as_ref().and_then(|b| b.source.as_ref()) {
            chardev::rules::rules(source, self.site, cx);
            chardev::rules::unix_needs_path(source, self.site, cx);
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
                let of =
                    Chardev { id, site: self.site, family: "rng", usage: Use::Random, spicevmc: "", generated: None };
                let chardev = chardev::lower::chardev(source, of, lx);
                let mut props = Props::with("qom-type", "rng-egd");
                props.set("id", object.clone()).set("chardev", chardev);
                props
            }
        };
        if self.source() != RngSource::Egd {
            props.set("id", object.clone());
        }
        if self.source() == RngSource::Random {
            let path = self.backend.as_ref().and_then(|b| b.path.clone());
            let path = lx.must(path, "the source of random numbers", self.site);
            props.set("filename", path.clone());
            // Anybody may read the kernel's own; a generator in hardware is root's, which a libvirt leaves as it is.
            let open = ["/dev/random", "/dev/urandom"].contains(&path.as_str()) || lx.env.has_parent();
            let grant = if open { Grant::SYSTEM_SOURCE } else { Grant::PRIVILEGED_SOURCE };
            lx.touch(&path, grant, Use::Random, self.site, "rng");
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
