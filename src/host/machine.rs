//! Host facts about the hardware: the node `machine`.

use super::facts::{Bytes, Path};
use super::kdl::{Reader, Times};
use super::lines::Lines;
use super::rows::{Facts, Own, Plain, facts};
use crate::vocab::{Arch, keywords};
use ::kdl::KdlNode;

facts! {
    /// The hardware of the host. Sizes are in bytes.
    #[derive(Clone, PartialEq, Debug)]
    pub struct Machine {
        "arch" arch: Arch = Arch::X86_64 => one Plain told, "architecture, as x86_64, aarch64; always needed";
        "page-size" page_size: u64 = 4 << 10 => one Bytes told, "size of a page of memory; \"4KiB\"";
        "transparent-hugepage-size" transparent_hugepage_size: u64 = 2 << 20 => one Bytes told,
            "size of a transparent huge page; \"2MiB\"";
        "cpu" cpu: Option<HostCpu> = None => own CpuNode other,
            "model, vendor, sockets, cores, threads, and feature for what it has beyond the model; for host-model";
        "physical-address-bits" physical_address_bits: u32 = 0 => one Plain other,
            "bits of a physical address; 0: not known";
        "kvm"."max-vcpus" kvm_max_vcpus: u32 = i32::MAX as u32 => one Plain other,
            "max-vcpus: the most virtual CPUs that KVM takes";
        "vhost-net"."policy" vhost_net: VhostNetPolicy = VhostNetPolicy::Auto => one Plain told,
            "policy: always, never, or auto, as libvirt does";
        "vhost-vsock"."next-cid" vsock_next_cid: u32 = 3 => one Plain told,
            "next-cid: the address that <cid auto='yes'/> gets";
        "drm-render-node" drm_render_node: Option<String> = None => maybe Path other,
            "render node of GPUs when the domain names none";
        "cdrom" cdrom: Vec<String> = Vec::new() => list Path other, "block devices that are optical drives";
        "tpm" tpm: Option<Tpm> = None => own TpmNode other,
            "TPM of the host, and cancel-path: the file that ends a command";
    }
}

keywords! {
    /// Whether virtio NICs on a tap get a vhost descriptor.
    pub enum VhostNetPolicy {
        /// Every one.
        Always = "always",
        /// As libvirt does: KVM guests, unless `<driver name='qemu'>`.
        Auto = "auto",
        /// None.
        Never = "never",
    }
}

facts! {
    /// The CPU of the host, in libvirt's terms.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct HostCpu {
        "model" model: String = String::new() => one Plain told, "its model";
        "vendor" vendor: Option<String> = None => maybe Plain told, "who makes it";
        "sockets" sockets: u32 = 1 => one Plain told, "how many of it";
        "cores" cores: u32 = 1 => one Plain told, "cores of a socket";
        "threads" threads: u32 = 1 => one Plain told, "threads of a core";
        "feature" features: Vec<String> = Vec::new() => list Plain told, "what it has beyond the model";
    }
}

/// The node of the CPU: properties, and features as children.
struct CpuNode;

impl Own<Option<HostCpu>> for CpuNode {
    fn read(r: &mut Reader<'_>, node: &KdlNode, into: &mut Option<HostCpu>) {
        let mut cpu = HostCpu::default();
        let mut e = r.entries(node);
        let is_named = e.has_property("model");
        if !is_named {
            e.required_prop::<String>("model");
        }
        cpu.properties(&mut e);
        e.finish();
        for child in r.children(node, &[("feature", Times::Many)]) {
            r.list(child, &mut cpu.features);
        }
        *into = is_named.then_some(cpu);
    }

    fn write(w: &mut Lines, name: &str, value: &Option<HostCpu>) {
        let Some(cpu) = value else { return };
        cpu.write_properties(w.node(name));
        if !cpu.features.is_empty() {
            w.block(|w| {
                for some in cpu.features.chunks(8) {
                    w.node("feature").texts(some);
                }
            });
        }
    }
}

/// A TPM device of the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tpm {
    /// Its node.
    pub path: String,
    /// The file that cancels a command.
    pub cancel_path: Option<String>,
}

/// The node of the TPM.
struct TpmNode;

impl Own<Option<Tpm>> for TpmNode {
    fn read(r: &mut Reader<'_>, node: &KdlNode, into: &mut Option<Tpm>) {
        let mut e = r.entries(node);
        let device = e.required_arg::<Path>("the path of the device");
        let cancel = e.prop::<Path>("cancel-path");
        e.finish();
        r.no_children(node);
        *into = device.map(|Path(path)| Tpm { path, cancel_path: cancel.map(|p| p.0) });
    }

    fn write(w: &mut Lines, name: &str, value: &Option<Tpm>) {
        if let Some(tpm) = value {
            w.node(name).text(&tpm.path).prop_if("cancel-path", tpm.cancel_path.as_deref());
        }
    }
}
