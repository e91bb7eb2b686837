//! `<shmem>`: what the passes ask of the family.

use super::{Mebibytes, Model, Shmem, ShmemModel, ShmemRole};
use crate::caps::Cap;
use crate::device::address::AddressKind;
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::diag::codes::{address, general, hostdev as codes};
use crate::domain::Domain;
use crate::domain::memory::Amount;
use crate::plan::{PathKind, Props, Use};
use crate::stage::{Cx, Env, Machine};
use crate::stage::{Grant, Lower};
use crate::vocab::{OnOff, Size};

impl Family for Shmem {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {
        let model = *self.model.get_or_insert_with(Model::default).kind.get_or_insert(ShmemModel::Ivshmem);
        if model == ShmemModel::IvshmemPlain && self.bytes().is_none() {
            // Older releases had it as a fixed size.
            let amount = Amount { size: Size(4 << 20), ..Amount::default() };
            self.size = Some(Mebibytes(amount));
        }
        if let Some(msi) = &mut self.msi
            && model == ShmemModel::IvshmemDoorbell
        {
            msi.ioeventfd.get_or_insert(OnOff::On);
        }
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        Plug::Pci
    }

    fn rules(&self, _: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        let kind = self.kind();
        if let Some(bytes) = self.bytes()
            && (bytes < 1 << 20 || !bytes.is_power_of_two())
        {
            let site = self.size.as_ref().map_or(self.site, |s| s.0.site);
            cx.error(&codes::VALUE, site, "<size> of shmem: 1 MiB (1024 KiB) at least, and a power of 2");
        }
        if self.msi.is_some() && self.server.is_none() {
            cx.error(&codes::VALUE, self.site, "<msi>: interrupts come from a server, and none is given")
                .help("add <server path='…'/>");
        }
        if self.name.as_ref().is_some_and(|n| n.contains('/') || n == "." || n == "..") {
            cx.error_at(&codes::VALUE, self.site, "name", "the name of a shmem cannot include '/' or be a directory");
        }
        let (fault, cap) = match kind {
            // QEMU has dropped it in favour of the two others.
            ShmemModel::Ivshmem => (None, Cap::Ivshmem),
            ShmemModel::IvshmemPlain => (self.server.is_some().then_some("cannot have a server"), Cap::IvshmemPlain),
            ShmemModel::IvshmemDoorbell => {
                (self.server.is_none().then_some("must have a server"), Cap::IvshmemDoorbell)
            }
        };
        if let Some(fault) = fault {
            cx.error(&codes::VALUE, self.site, format!("shmem model '{kind}' {fault}"));
        }
        if kind == ShmemModel::IvshmemDoorbell && self.bytes().is_some() {
            cx.error(
                &codes::VALUE,
                self.site,
                format!("<shmem> of model '{kind}' has no <size> of its own: the server sets it"),
            );
        }
        if !cx.has(cap) {
            cx.error(&general::NOT_BY_QEMU, self.site, format!("this QEMU binary has no shmem of model '{kind}'"));
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        if let Some(kind) = self.info.address_kind().filter(|k| *k != AddressKind::Pci) {
            let message = format!(
                "the shared memory device cannot be at an address of type '{kind}': only 'pci' addresses are supported"
            );
            lx.error(&address::KIND, self.info.address_site(), message);
        }
        let id = self.info.id.clone();
        let name = lx.must(self.name.clone(), "the name of the shared memory", self.site);
        let plain = self.kind() == ShmemModel::IvshmemPlain || self.server.is_none();
        let mut props = Props::driver(if plain { "ivshmem-plain" } else { "ivshmem-doorbell" });
        props.set("id", id.clone());
        let mut chardev = None;
        let (path, kind) = if plain {
            let path = format!("/dev/shm/{name}");
            let mut object = Props::with("qom-type", "memory-backend-file");
            object.set("id", format!("shmmem-{id}")).set("mem-path", path.clone());
            object.set("size", self.bytes().unwrap_or(4 << 20)).set("share", true);
            lx.object(object, self.site, "shmem");
            props.set("memdev", format!("shmmem-{id}"));
            // One of three words for QEMU, though only two can be said here.
            props.maybe("master", self.role.map(|r| if r == ShmemRole::Master { "on" } else { "off" }));
            (path, PathKind::File)
        } else {
            let given = self.server.as_ref().and_then(|s| s.path.clone());
            let path = given.unwrap_or_else(|| format!("/var/lib/libvirt/shmem-{name}-sock"));
            let socket = chardev.insert(Props::new());
            socket.bare("socket").set("id", format!("char{id}")).set("path", path.clone());
            props.set("chardev", format!("char{id}"));
            if let Some(msi) = &self.msi {
                props.maybe("vectors", msi.vectors).maybe("ioeventfd", msi.ioeventfd.map(OnOff::is_on));
            }
            (path, PathKind::Socket)
        };
        lx.touch(&path, Grant::SHARED_MEMORY.on(kind), Use::SharedMemory, self.site, format!("shmem {name}"));
        lx.address(&mut props, &self.info);
        lx.device(props, self);
        if let Some(chardev) = chardev {
            lx.options("-chardev", chardev, self.site, "shmem");
        }
    }
}
