//! What QEMU refuses at the start.

use super::guest;
use crate::caps::{Accel, Version};
use crate::device::Devices;
use crate::device::chardev::{ChardevSource, SourceKind};
use crate::device::disk::{Disk, DiskBus};
use crate::device::graphics::{GraphicsKind, ListenKind};
use crate::device::interface::{Interface, InterfaceType};
use crate::device::storage::StorageKind;
use crate::diag::codes::lint as codes;
use crate::domain::Domain;
use crate::domain::os::{FirmwareFormat, LoaderKind};
use crate::plan::Listen;
use crate::stage::{Board, Cx, Machine};
use crate::vocab::Arch;
use crate::xml::Site;

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
    spice_gl(devices, cx);
    floppies(devices, machine, cx);
    devices.disks.iter().for_each(|disk| {
        kind(disk, cx);
        block_size(disk, cx);
    });
    network(devices, cx);
    names(devices, cx);
    kernel(domain, cx);
    rom(domain, machine, cx);
    firmware(domain, machine, cx);
    keymaps(devices, cx);
    page_size(domain, cx);
    paths(devices, cx);
    devices.filesystems.iter().for_each(|share| guest::tag(share, cx));
    devices.interfaces.iter().for_each(|interface| reserved(interface, cx));
}

/// Firmware for another architecture, and variables for firmware of another size.
fn firmware(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(os) = &domain.os else { return };
    let Some((loader, path)) = os.loader.as_ref().and_then(|l| Some((l, l.path.as_deref()?))) else { return };
    if let Some(arch) = guest::firmware_arch(path).filter(|arch| !arch.runs(machine.arch)) {
        let message = format!("'{path}' is firmware for {arch}, and the guest is of arch '{}'", machine.arch);
        cx.warn(&codes::FOREIGN_FIRMWARE, loader.site, message)
            .help("remove <loader> and <nvram> and write <os firmware='efi'>: then what fits is chosen");
        return;
    }
    let Some(nvram) = &os.nvram else { return };
    let template = nvram.template.as_deref();
    let Some((code, store)) = build_of(path).zip(template.and_then(build_of)) else { return };
    if code != store {
        let message = format!(
            "the firmware is the build of {code}, and the template of its variables that of {store}: the screen stays dark"
        );
        cx.warn_at(&codes::FIRMWARE_PAIR, nvram.site, "template", message)
            .help("name the two of one build, or remove <loader> and <nvram> and write <os firmware='efi'>");
    }
}

/// Which build of OVMF a file of it belongs to: that for flash of 4 MiB has the number in its name.
fn build_of(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next()?;
    let ours = name.starts_with("OVMF_CODE") || name.starts_with("OVMF_VARS");
    let large = name.contains("_4M") || name.contains(".4m");
    ours.then_some(if large { "4 MiB" } else { "2 MiB" })
}

/// The keyboard layouts that QEMU has.
static KEYMAPS: &[&str] = &[
    "ar", "bepo", "cz", "da", "de", "de-ch", "en-gb", "en-us", "es", "et", "fi", "fo", "fr", "fr-be", "fr-ca", "fr-ch",
    "hr", "hu", "is", "it", "ja", "lt", "lv", "mk", "nl", "no", "pl", "pt", "pt-br", "ru", "sl", "sv", "th", "tr",
];

/// Keyboard layouts that QEMU does not have.
fn keymaps(devices: &Devices, cx: &mut Cx<'_>) {
    for graphics in &devices.graphics {
        let Some(name) = graphics.keymap.as_deref().filter(|name| !KEYMAPS.contains(name)) else { continue };
        let message = format!("QEMU has no keyboard layout '{name}', and does not start");
        let small = name.to_lowercase().replace('_', "-");
        let exact = KEYMAPS
            .iter()
            .find(|known| **known == small)
            .or_else(|| KEYMAPS.iter().find(|known| small.starts_with(**known)));
        let help = match exact.copied().or_else(|| crate::schema::nearest(name, KEYMAPS.iter().copied())) {
            Some(meant) => format!("did you mean '{meant}'? Without keymap, the viewer sends its own"),
            None => "remove it: the viewer sends its own".to_string(),
        };
        cx.warn_at(&codes::KEYMAP, graphics.site, "keymap", message).help(help);
    }
}

/// Memory that does not fill its huge pages.
fn page_size(domain: &Domain, cx: &mut Cx<'_>) {
    // Before, QEMU rounded up.
    if cx.env.caps.version < Version::new(9, 0, 0) {
        return;
    }
    let Some(huge) = domain.memory_backing.as_ref().and_then(|b| b.hugepages.as_ref()) else { return };
    let cells = domain.cpu.as_ref().and_then(|c| c.numa.as_ref()).is_some_and(|n| !n.cells.is_empty());
    let Some(memory) = domain.memory.as_ref().filter(|_| !cells && huge.pages.len() <= 1) else { return };
    let page = huge
        .pages
        .first()
        .map_or_else(|| cx.env.host.default_hugepage_mount().map(|m| m.page_size / 1024), |p| Some(p.size.kib()));
    let (kib, Some(page)) = (memory.amount.kib(), page.filter(|p| *p > 0)) else { return };
    if kib % page != 0 {
        let message = format!("<memory> is {kib} KiB, which does not fill pages of {page} KiB: QEMU does not start");
        let more = kib.div_ceil(page) * page;
        cx.warn(&codes::PART_OF_PAGE, memory.amount.site, message)
            .help(format!("write <memory unit='KiB'>{more}</memory>"));
    }
}

/// Files and sockets of the host of which two character devices make use.
fn paths(devices: &Devices, cx: &mut Cx<'_>) {
    let serials = devices.serials.iter().map(|d| (&d.source, d.site));
    let parallels = devices.parallels.iter().map(|d| (&d.source, d.site));
    let channels = devices.channels.iter().map(|d| (&d.source, d.site));
    let own = |s: &&ChardevSource| match s.kind() {
        SourceKind::File => true,
        SourceKind::Unix => s.listens(),
        _ => false,
    };
    let ours = serials.chain(parallels).chain(channels).filter(|(s, _)| own(s));
    let named = ours.filter_map(|(s, site)| Some((s.path.as_deref().filter(|p| *p != "/dev/null")?, site)));
    for (path, first, second) in twice(named) {
        let (one, two) = (cx.span(first), cx.span(second));
        let message = format!("'{path}' is that of another device of the machine already: one overwrites the other");
        cx.diags
            .warning(&codes::PATH_TWICE, two, message)
            .related(one, "the first is here")
            .help("give each a file or socket of its own");
    }
}

/// Addresses of cards that the host has use for.
fn reserved(interface: &Interface, cx: &mut Cx<'_>) {
    let Some((address, site)) = interface.mac.as_ref().and_then(|m| Some((m.address?.0, m.site))) else { return };
    let on_bridge = matches!(interface.kind(), InterfaceType::Bridge | InterfaceType::Network);
    let why = match address {
        [0, 0, 0, 0, 0, 0] => "is none: switches do not forward it",
        [0xfe, ..] if on_bridge => "begins with fe, as do those of the host's ends of such cables",
        _ => return,
    };
    let message = format!("the MAC address {} {why}", interface.mac());
    cx.warn_at(&codes::RESERVED_MAC, site, "address", message)
        .help("choose one that begins with 52:54:00, or remove <mac>: virtc derives one from the name of the domain");
}

/// Names of which there can be one only: of interfaces on the host, of channels in the guest.
fn names(devices: &Devices, cx: &mut Cx<'_>) {
    // The name of a template (`vnet%d`) is made into one.
    let own = |dev: &&str| !dev.contains('%');
    let taps = devices.interfaces.iter().filter_map(|i| i.target.as_ref());
    let taps = taps.filter_map(|t| Some((t.dev.as_deref().filter(own)?, t.site)));
    for (name, first, second) in twice(taps) {
        let message = format!("another interface of the machine is named '{name}' on the host already");
        let place = cx.doc.span_of_attr(second, "dev");
        cx.diags
            .warning(&codes::INTERFACE_TWICE, place, message)
            .related(cx.doc.span_of_attr(first, "dev"), "the first is here")
            .help("give it another name, or remove <target>: then a free name is taken");
    }
    let ports = devices.channels.iter().filter_map(|c| Some((c.name()?, c.target.as_ref()?.site)));
    for (name, first, second) in twice(ports) {
        let message = format!("another channel has the name '{name}' already: QEMU has each name once");
        let place = cx.doc.span_of_attr(second, "name");
        cx.diags
            .warning(&codes::CHANNEL_TWICE, place, message)
            .related(cx.doc.span_of_attr(first, "name"), "the first is here")
            .help("remove one of the two channels, or give it a name of its own");
    }
}

/// Ports on which the machine would listen twice.
pub fn ports(listens: &[Listen], cx: &mut Cx<'_>) {
    for (at, second) in listens.iter().enumerate() {
        let Some(first) = listens.iter().take(at).find(|first| first.collides(second)) else { continue };
        // The later in the file is the one that cannot have it.
        let (first, second) = if second.cause.span < first.cause.span { (second, first) } else { (first, second) };
        if first.cause.span == second.cause.span {
            continue;
        }
        let message =
            format!("port {} is that of another part of the machine already ({})", second.port, first.cause.what);
        cx.diags
            .warning(&codes::PORT_TWICE, second.cause.span, message)
            .related(first.cause.span, "the first is here")
            .help("choose another port; with autoport='yes', a display finds one that is free");
    }
}

/// Names that come twice: the name, the first place, the second.
fn twice<'n>(all: impl Iterator<Item = (&'n str, Site)>) -> Vec<(&'n str, Site, Site)> {
    let mut seen = std::collections::BTreeMap::new();
    all.filter_map(|(name, site)| {
        let first = *seen.entry(name).or_insert(site);
        (first != site).then_some((name, first, site))
    })
    .collect()
}

/// What goes with a kernel, and there is none.
fn kernel(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(os) = domain.os.as_ref().filter(|os| os.kernel.is_none()) else { return };
    for (name, there) in [("initrd", os.initrd.is_some()), ("cmdline", os.cmdline.is_some())] {
        let Some(span) = cx.doc.element(os.site).and_then(|el| el.child(name)).map(|el| el.span()) else { continue };
        if there {
            let message = format!("<{name}> goes with a <kernel>, and there is none: QEMU does not start");
            cx.diags.warning(&codes::NO_KERNEL, span, message).help(format!(
                "add <kernel>, or remove <{name}>: a machine that boots from its disk finds its own there"
            ));
        }
    }
}

/// An image for flash memory that would be a ROM.
fn rom(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let loader = domain.os.as_ref().and_then(|os| os.loader.as_ref()).filter(|l| l.kind != Some(LoaderKind::Pflash));
    let Some((loader, path)) = loader.and_then(|l| Some((l, l.path.as_deref()?))) else { return };
    let name = path.rsplit('/').next().unwrap_or("");
    let is_code = ["OVMF_CODE", "AAVMF_CODE", "edk2-"].iter().any(|begin| name.starts_with(begin))
        && name.to_ascii_lowercase().contains("code");
    if is_code && (machine.arch.is_x86() || machine.arch.is_arm()) {
        let message = format!("'{name}' is the code of UEFI, for flash memory, and without type='pflash' it is a ROM");
        cx.warn(&codes::FIRMWARE_ROM, loader.site, message).help(format!(
            "write <os firmware='efi'> and remove <loader>, or write <loader readonly='yes' type='pflash'>{path}</loader>"
        ));
    }
}

/// Sizes of blocks that QEMU does not take.
fn block_size(disk: &Disk, cx: &mut Cx<'_>) {
    let Some(blocks) = &disk.blockio else { return };
    for (size, name) in [(blocks.logical, "logical_block_size"), (blocks.physical, "physical_block_size")] {
        let fits = |size: u32| size == 0 || size.is_power_of_two() && (512..=2 << 20).contains(&size);
        if let Some(size) = size.filter(|size| !fits(*size)) {
            let near = size.clamp(512, 2 << 20).next_power_of_two();
            let message = format!("{name}='{size}': a block has 512 bytes to 2 MiB, and a power of 2 of them");
            cx.warn_at(&codes::BLOCK_SIZE, blocks.site, name, message).help(format!("write {name}='{near}'"));
        }
    }
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

/// Floppy drives of a board that has no controller for them.
fn floppies(devices: &Devices, machine: &Machine, cx: &mut Cx<'_>) {
    let board = matches!(machine.board, Board::I440fx | Board::Q35 | Board::Isapc);
    for disk in devices.disks.iter().filter(|d| d.bus() == Some(DiskBus::Fdc) && !board) {
        let site = disk.target.as_ref().map_or(disk.site, |t| t.site);
        let message = format!("the machine type '{}' has no controller for floppy drives", machine.name);
        cx.warn_at(&codes::NO_FLOPPY, site, "bus", message)
            .help("use a <disk device='disk'> with <target dev='sda' bus='usb'/>, or a CD-ROM");
    }
}

/// SPICE that draws with OpenGL and waits on a port.
fn spice_gl(devices: &Devices, cx: &mut Cx<'_>) {
    // Since then it can send pictures over the network.
    if cx.env.caps.version >= Version::new(10, 1, 0) {
        return;
    }
    for graphics in devices.graphics.iter().filter(|g| g.is(GraphicsKind::Spice) && g.has_gl()) {
        let ports = graphics.autoport || graphics.port.is_some() || graphics.tls_port.is_some();
        if ports && !graphics.listens.iter().any(|l| matches!(l.kind(), ListenKind::None | ListenKind::Socket)) {
            let site = graphics.gl.as_ref().map_or(graphics.site, |gl| gl.site);
            let message = "SPICE with OpenGL is for programs on this host: QEMU does not start it with a port";
            cx.warn(&codes::SPICE_GL, site, message).help("add <listen type='none'/>, or <listen type='socket'/>");
        }
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

/// The bridge or the card that an interface is on.
fn interface_of_host(interface: &Interface, cx: &mut Cx<'_>) {
    let source = &interface.source;
    let direct = interface.kind() == InterfaceType::Direct;
    let card = source.fields.dev.as_deref().filter(|_| direct);
    if let Some(bridge) = source.fields.bridge.as_deref().filter(|name| is_card(name)) {
        let message = format!("'{bridge}' is the name of a network card, not of a bridge");
        cx.warn_at(&codes::BRIDGE_IS_CARD, source.site, "bridge", message).help(format!(
            "make a bridge with {bridge} as its port and name that, or write <interface type='direct'> with \
             <source dev='{bridge}' mode='bridge'/>"
        ));
    }
    if let Some(card) = card.filter(|name| is_wireless(name)) {
        let message = format!("'{card}' is a wireless card, which sends nothing under the MAC address of a guest");
        cx.warn_at(&codes::WIRELESS, source.site, "dev", message)
            .help("use <interface type='network'> or type='user', which send under the address of the host");
    }
}

/// Names that the kernel and systemd give to cards on a bus: `eth0`, `enp3s0`, `eno1`, `ens18`, `wlan0`, `wlp2s0`.
fn is_card(name: &str) -> bool {
    let digits = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let numbered = |prefix: &str| name.strip_prefix(prefix).is_some_and(digits);
    ["eth", "eno", "ens", "enp", "enP"].into_iter().any(numbered) || is_wireless(name)
}

fn is_wireless(name: &str) -> bool {
    let digits = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    ["wlan", "wlp", "wlo", "wls"].into_iter().any(|prefix| name.strip_prefix(prefix).is_some_and(digits))
}

/// Names that neither Linux nor QEMU has.
fn network(devices: &Devices, cx: &mut Cx<'_>) {
    for interface in &devices.interfaces {
        interface_of_host(interface, cx);
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
