//! `<pstore>`: what the passes ask of the family.

use super::Pstore;
use crate::caps::Cap;
use crate::device::address::AddressKind;
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::diag::codes::{general, hostdev as codes};
use crate::domain::Domain;
use crate::plan::{NewFile, Props, Use};
use crate::stage::{Cx, Env, Machine};
use crate::stage::{Grant, Lower};

impl Family for Pstore {
    fn defaults(&mut self, _: &Machine, cx: &mut Cx<'_>) {
        let name = cx.doc.root().and_then(|root| root.child("name")).map_or("", |name| name.text().trim());
        let folder = &cx.env.host.directories.nvram;
        self.path.get_or_insert_with(|| format!("{folder}/{name}_PSTORE.raw"));
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        Plug::Pci
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        // libvirt does not ask.
        let strict = cx.env.is_guardian();
        if strict && !machine.arch.is_x86() {
            cx.error(
                &codes::UNSUPPORTED_MODEL,
                self.site,
                "<pstore backend='acpi-erst'>: this architecture has no such device",
            );
        }
        if strict && !domain.features.as_ref().is_some_and(|f| f.acpi) {
            cx.error(
                &codes::UNSUPPORTED_MODEL,
                self.site,
                "<pstore backend='acpi-erst'> is a part of ACPI, which is off",
            )
            .help("add <acpi/> to <features>");
        }
        if !cx.has(Cap::AcpiErst) {
            cx.error(&general::NOT_BY_QEMU, self.site, "this QEMU binary has no acpi-erst device");
        }
        let kind = self.info.address_kind();
        if let Some(kind) = kind.filter(|k| *k != AddressKind::Pci) {
            let message = format!(
                "the ACPI ERST device of a pstore must reside on a PCI bus, not at an address of type '{kind}'"
            );
            cx.error(&codes::VALUE, self.info.address_site(), message);
        }
        if let Some(size) = self.size.as_ref().filter(|s| s.kib() < 4 || !s.kib().is_power_of_two()) {
            let message = "invalid size of an ACPI ERST pstore device: it must be a power of two and at least 4 KiB";
            cx.error(&codes::VALUE, size.site, message);
        }
        if self.size.is_none() {
            cx.error(&codes::VALUE, self.site, "pstore needs a <size>");
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let path = lx.must(self.path.clone(), "the path of the pstore", self.site);
        let id = &self.info.id;
        let mut object = Props::with("qom-type", "memory-backend-file");
        object.set("id", format!("mem{id}")).set("mem-path", path.clone());
        let size = lx.must(self.size.as_ref().map(|s| s.kib() * 1024), "the size of the pstore", self.site);
        object.set("size", size).set("share", true);
        lx.object(object, self.site, "pstore");
        lx.touch(&path, Grant::MEMORY_FILE, Use::ErrorLog, self.site, "pstore");
        let cause = lx.cause(self.site, "pstore");
        lx.plan.files.push(NewFile { path, usage: Use::ErrorLog, template: None, cause });
        let mut props = Props::driver("acpi-erst");
        props.set("id", id.clone()).set("memdev", format!("mem{id}"));
        lx.address(&mut props, &self.info);
        lx.device(props, self);
    }
}
