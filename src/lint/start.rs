//! What QEMU refuses at the start.

use crate::caps::Accel;
use crate::device::Devices;
use crate::device::disk::Disk;
use crate::device::graphics::GraphicsKind;
use crate::device::storage::StorageKind;
use crate::diag::codes::lint as codes;
use crate::domain::Domain;
use crate::domain::os::FirmwareFormat;
use crate::stage::{Cx, Machine};
use crate::vocab::Arch;

pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    accelerator(domain, machine, cx);
    if let Some(hyperv) = domain.features.as_ref().and_then(|f| f.hyperv.as_ref()).filter(|_| machine.arch.is_arm()) {
        let message = "<hyperv>: QEMU has Hyper-V enlightenments on x86 only, and does not start with them on ARM";
        cx.warn(&codes::HYPERV_ON_ARM, hyperv.site, message).help("remove <hyperv>");
    }
    nvram(domain, cx);
    let Some(devices) = &domain.devices else { return };
    emulator(devices, machine, cx);
    gl(devices, cx);
    devices.disks.iter().for_each(|disk| kind(disk, cx));
    network(devices, cx);
}

/// KVM for a guest of another architecture than the host's.
fn accelerator(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let host = cx.env.host.machine.arch;
    if machine.accel == Accel::Kvm && !host.runs(machine.arch) {
        let message = format!("type='kvm': KVM of a host of {host} does not run guests of {}", machine.arch);
        cx.warn_at(&codes::FOREIGN_KVM, domain.site, "type", message)
            .help(format!("use type='qemu' to emulate it; for a host of {} say so in the host facts", machine.arch));
    }
}

/// An emulator whose name says that it is for another architecture.
fn emulator(devices: &Devices, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(path) = devices.emulator.as_deref() else { return };
    let name = path.rsplit('/').next().unwrap_or("");
    let Some(arch) = name.strip_prefix("qemu-system-").and_then(|arch| Arch::parse(qemu_arch(arch))) else {
        return;
    };
    if arch.runs(machine.arch) {
        return;
    }
    let message = format!("'{name}' emulates {arch}, and the guest is of arch '{}'", machine.arch);
    let Some(span) = cx.doc.element(devices.site).and_then(|d| d.child("emulator")).map(|e| e.span()) else { return };
    cx.diags
        .warning(&codes::FOREIGN_EMULATOR, span, message)
        .help("remove <emulator>, or name that of the architecture");
}

/// The domain format's name of an architecture in the name of a QEMU binary.
fn qemu_arch(name: &str) -> &str {
    match name {
        "i386" => "i686",
        "arm" => "armv7l",
        other => other,
    }
}

/// A copy of a template has the format of the template.
fn nvram(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(nvram) = domain.os.as_ref().and_then(|os| os.nvram.as_ref()) else { return };
    let Some(template) = nvram.template.as_deref() else { return };
    let by_name = if template.ends_with(".qcow2") { FirmwareFormat::Qcow2 } else { FirmwareFormat::Raw };
    let (of_template, own) = (nvram.template_format.unwrap_or(by_name), nvram.format.unwrap_or(by_name));
    if of_template != own {
        let message = format!(
            "<nvram format='{own}'>: its template '{template}' is of format '{of_template}', and the store is a copy of it"
        );
        cx.warn_at(&codes::NVRAM_FORMAT, nvram.site, "format", message)
            .help(format!("write format='{of_template}', or take a template of format '{own}'"));
    }
}

/// Who draws with OpenGL.
fn gl(devices: &Devices, cx: &mut Cx<'_>) {
    let draws = devices.graphics.iter().find(|g| g.has_gl());
    for video in devices.videos.iter().filter(|v| v.has_3d() && draws.is_none() && !v.is_vhost_user()) {
        let model = video.model.as_ref();
        let site = model.and_then(|m| m.acceleration.as_ref()).map_or(video.site, |a| a.site);
        let message = "accel3d='yes' needs a display that draws with OpenGL, and there is none";
        cx.warn_at(&codes::NO_GL_DISPLAY, site, "accel3d", message)
            .help("add <graphics type='egl-headless'/>, or <gl enable='yes'/> to SPICE on a socket");
    }
    let own = |kind: GraphicsKind| devices.graphics.iter().find(|g| g.is(kind));
    if let (Some(sdl), Some(spice)) =
        (own(GraphicsKind::Sdl).filter(|g| g.has_gl()), own(GraphicsKind::Spice).filter(|g| !g.has_gl()))
    {
        let message = "SDL with OpenGL and SPICE: QEMU gives the GL context to one of the two and stops";
        let (one, two) = (cx.span(sdl.site), cx.span(spice.site));
        let (first, second) = if one < two { (one, two) } else { (two, one) };
        cx.diags
            .warning(&codes::TWO_GL_DISPLAYS, second, message)
            .related(first, "the other display")
            .help("remove one of them, or <gl> from SDL");
    }
}

/// Files opened as devices, and devices as files.
fn kind(disk: &Disk, cx: &mut Cx<'_>) {
    let Some(path) = disk.source.path() else { return };
    let is_device = path.starts_with("/dev/") && !path.starts_with("/dev/shm/");
    // Removable drives are opened by other rules.
    match disk.kind() {
        StorageKind::File if is_device && path != "/dev/null" && !path.starts_with("/dev/fd/") => {
            let message = format!("'{path}' is a device, and the disk is of type 'file'");
            cx.warn_at(&codes::FILE_IS_DEVICE, disk.source.site, "file", message)
                .help(format!("write <disk type='block' …> and <source dev='{path}'/>"));
        }
        StorageKind::Block if !is_device && path.starts_with('/') && has_image_name(path) => {
            let message = format!("'{path}' is an image file, and the disk is of type 'block'");
            cx.warn_at(&codes::DEVICE_IS_FILE, disk.source.site, "dev", message)
                .help(format!("write <disk type='file' …> and <source file='{path}'/>"));
        }
        _ => {}
    }
}

/// Whether the name of a file ends like that of an image.
fn has_image_name(path: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, end)| matches!(end, "img" | "raw" | "qcow2" | "qcow" | "iso" | "vmdk" | "vdi"))
}

/// The network cards that QEMUs from 7.2 to 11.1 have on any board, and the names that the domain format has for virtio.
pub static NIC_MODELS: &[&str] = &[
    "virtio",
    "virtio-transitional",
    "virtio-non-transitional",
    "virtio-net",
    "virtio-net-device",
    "virtio-net-pci",
    "virtio-net-pci-transitional",
    "virtio-net-pci-non-transitional",
    "e1000e",
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "igb",
    "rtl8139",
    "vmxnet3",
    "rocker",
    "pvrdma",
    "pcnet",
    "ne2k_pci",
    "ne2k_isa",
    "i82550",
    "i82551",
    "i82557a",
    "i82557b",
    "i82557c",
    "i82558a",
    "i82558b",
    "i82559a",
    "i82559b",
    "i82559c",
    "i82559er",
    "i82562",
    "i82801",
    "tulip",
    "sungem",
    "sunhme",
    "lance",
    "usb-net",
    "spapr-vlan",
    "lan9118",
    "smc91c111",
    "cadence_gem",
    "xgmac",
    "ftgmac100",
    "imx.fec",
    "imx.enet",
    "mcf_fec",
    "dp8393x",
    "dp83932",
    "allwinner-emac",
    "allwinner-sun8i-emac",
    "xlnx.xps-ethernetlite",
    "xlnx.axi-ethernet",
    "open_eth",
    "opencores_eth",
    "mipsnet",
    "etsec",
    "eTSEC",
    "stellaris_enet",
    "msf2-emac",
    "npcm7xx-emc",
    "npcm-gmac",
];

/// Names that neither Linux nor QEMU has.
fn network(devices: &Devices, cx: &mut Cx<'_>) {
    for interface in &devices.interfaces {
        if let Some(bridge) = interface.source.fields.bridge.as_ref().filter(|b| b.len() > 15) {
            let message =
                format!("'{bridge}' has {} characters: no network interface of Linux has more than 15", bridge.len());
            cx.warn_at(&codes::LONG_BRIDGE, interface.source.site, "bridge", message)
                .help("`ip link show type bridge` lists those that are there");
        }
        let model = interface.model();
        let Some(site) = interface.model.as_ref().map(|m| m.site).filter(|s| !s.is_none()) else { continue };
        if !NIC_MODELS.contains(&model) {
            let message = format!("QEMU has no network card '{model}'");
            let help = match crate::schema::meant(model, NIC_MODELS.iter().copied()).as_slice() {
                [] => "use 'virtio', or 'e1000e' for a guest without its drivers".to_string(),
                like => format!("did you mean '{}'?", like.join("' or '")),
            };
            cx.warn_at(&codes::NIC_MODEL, site, "type", message).help(help);
        }
    }
}
