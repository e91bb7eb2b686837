//! What works, and most likely not as it was meant.

use crate::caps::Accel;
use crate::device::disk::{DiskBus, DiskDevice};
use crate::device::graphics::GraphicsKind;
use crate::device::hostdev::HostdevType;
use crate::device::video::{Video, VideoType};
use crate::diag::codes::lint as codes;
use crate::domain::Domain;
use crate::domain::general::LifecycleAction;
use crate::domain::os::BootDevice;
use crate::stage::{Board, Cx, Machine};
use std::collections::BTreeMap;

/// So much of a serial number a virtio disk shows (VIRTIO_BLK_ID_BYTES).
const VIRTIO_SERIAL: usize = 20;
/// With less, nothing that anybody runs boots.
const LEAST_KIB: u64 = 16 * 1024;

/// Sizes as they are written.
pub fn memory(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(memory) = &domain.memory else { return };
    let (kib, site) = (memory.amount.kib(), memory.amount.site);
    if kib > 0 && kib < LEAST_KIB {
        let number = cx.doc.element(site).map_or("", |e| e.text().trim()).to_string();
        let bare = cx.doc.element(site).is_some_and(|e| e.peek("unit").is_none());
        let (message, help) = if bare {
            let unit = if number.parse::<u64>().is_ok_and(|n| n < 128) { "GiB" } else { "MiB" };
            (
                format!("<memory>{number}</memory> is {kib} KiB: without a unit, the number counts KiB"),
                format!("write <memory unit='{unit}'>{number}</memory>"),
            )
        } else {
            (format!("the guest has {kib} KiB of memory: nothing boots with so little"), "give it more".to_string())
        };
        cx.warn(&codes::TINY_MEMORY, site, message).help(help);
    }
    if let Some(current) = domain.current_memory.as_ref().filter(|c| c.kib() > kib && kib > 0) {
        let message = format!(
            "<currentMemory> is {} KiB, and <memory> only {kib} KiB: the guest gets no more than that",
            current.kib()
        );
        cx.warn(&codes::CURRENT_MEMORY, current.site, message)
            .help("raise <memory>, which is the most that the guest can have, or lower <currentMemory>");
    }
}

/// A limit of QEMU's memory that is below that of the guest.
pub fn limit(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(memory) = domain.memory.as_ref().map(|m| m.amount.kib()) else { return };
    let Some(limit) = domain.memtune.as_ref().and_then(|t| t.hard_limit.as_ref()) else { return };
    if limit.kib() > 0 && limit.kib() <= memory {
        let message = format!(
            "<hard_limit> lets QEMU have {} KiB, and the guest alone has {memory} KiB: the kernel kills it when it uses them",
            limit.kib()
        );
        cx.warn(&codes::HARD_LIMIT, limit.site, message)
            .help("remove <hard_limit>, or raise it well above <memory>: QEMU itself needs some hundred MiB");
    }
}

/// Devices to boot from that are not there.
pub fn boot(domain: &Domain, cx: &mut Cx<'_>) {
    let (Some(os), Some(devices)) = (&domain.os, &domain.devices) else { return };
    // What comes besides (direct boot, arguments of one's own) is not looked into.
    if os.kernel.is_some() || !domain.qemu.args.is_empty() {
        return;
    }
    let disk = |kind: DiskDevice| devices.disks.iter().any(|d| d.device() == kind);
    for boot in &os.boot {
        let (there, what) = match boot.dev {
            Some(BootDevice::Hd) => {
                let block = devices.hostdevs.iter().any(|h| !matches!(h.kind(), HostdevType::Mdev));
                (disk(DiskDevice::Disk) || disk(DiskDevice::Lun) || block, "disk")
            }
            Some(BootDevice::Cdrom) => (disk(DiskDevice::Cdrom), "CD-ROM drive"),
            Some(BootDevice::Fd) => (disk(DiskDevice::Floppy), "floppy drive"),
            Some(BootDevice::Network) => {
                let card = devices.hostdevs.iter().any(|h| matches!(h.kind(), HostdevType::Pci));
                (!devices.interfaces.is_empty() || card, "network card")
            }
            None => continue,
        };
        if !there {
            let dev = boot.dev.map_or("", |d| d.as_str());
            let message = format!("<boot dev='{dev}'/>: the machine has no {what}");
            cx.warn(&codes::BOOT_OF_NOTHING, boot.site, message).help(format!("remove it, or add a {what}"));
        }
    }
}

/// Serial numbers of disks.
pub fn serials(domain: &Domain, cx: &mut Cx<'_>) {
    let mut seen = BTreeMap::new();
    for disk in domain.devices.iter().flat_map(|d| &d.disks) {
        let Some(serial) = disk.serial.as_deref().filter(|s| !s.is_empty()) else { continue };
        let Some(span) = cx.doc.element(disk.site).and_then(|el| el.child("serial")).map(|el| el.span()) else {
            continue;
        };
        let on_virtio = disk.bus() == Some(DiskBus::Virtio) || disk.bus().is_none() && disk.dev().starts_with("vd");
        if on_virtio && serial.len() > VIRTIO_SERIAL {
            let short: String = serial.chars().take(VIRTIO_SERIAL).collect();
            let message = format!("the guest sees '{short}' only: a virtio disk shows {VIRTIO_SERIAL} characters");
            cx.diags
                .warning(&codes::LONG_SERIAL, span, message)
                .help(format!("write <serial>{short}</serial>, or another that is as short"));
        }
        let first = *seen.entry(serial.to_string()).or_insert(span);
        if first != span {
            let message = format!("another disk has the serial number '{serial}' already");
            cx.diags
                .warning(&codes::SERIAL_TWICE, span, message)
                .related(first, "the first is here")
                .help("give each disk a number of its own, or remove <serial>");
        }
    }
}

/// Memory that a balloon would take away, and there is none, or none that can.
pub fn balloon(domain: &Domain, cx: &mut Cx<'_>) {
    let Some((memory, current)) = domain.memory.as_ref().zip(domain.current_memory.as_ref()) else { return };
    let Some(devices) = domain.devices.as_ref().filter(|_| current.kib() > 0 && current.kib() < memory.amount.kib())
    else {
        return;
    };
    let card = devices.hostdevs.iter().any(|h| h.kind() == HostdevType::Pci);
    let why = match devices.memballoons.first() {
        Some(balloon) if !balloon.is_present() => "there is no memory balloon that would take the rest away",
        _ if card => "all of it is held fast for a device of the host, so that the balloon takes nothing away",
        _ => return,
    };
    let message = format!("<currentMemory> is less than <memory>, and the guest has the whole of it: {why}");
    cx.warn(&codes::NO_BALLOON, current.site, message)
        .help("write into <memory> what the guest shall have, and remove <currentMemory>");
}

/// A machine that cannot be switched off.
fn off(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(span) = cx.doc.root().and_then(|r| r.child("on_poweroff")).map(|e| e.span()) else { return };
    if domain.on_poweroff == Some(LifecycleAction::Restart) {
        let message = "<on_poweroff>restart</on_poweroff>: a guest that shuts down starts again, however often";
        cx.diags
            .warning(&codes::NEVER_OFF, span, message)
            .help("write <on_poweroff>destroy</on_poweroff>, which is the default; on_reboot is what follows a reboot");
    }
}

/// Pins of CPUs that are not there.
pub fn pins(domain: &Domain, cx: &mut Cx<'_>) {
    // A count that could not be read is told already.
    let Some(count) = domain.vcpu.as_ref().map_or(Some(1), |v| v.count) else { return };
    for pin in domain.cputune.iter().flat_map(|t| &t.vcpupins) {
        if let Some(vcpu) = pin.vcpu.filter(|v| *v >= count) {
            let message =
                format!("<vcpupin vcpu='{vcpu}'>: the guest has {count} CPUs, 0 to {}", count.saturating_sub(1));
            cx.warn_at(&codes::PIN_OF_NOTHING, pin.site, "vcpu", message)
                .help("CPUs count from 0; libvirt passes over such an entry, and so does virtc");
        }
    }
}

/// A port that is given and chosen.
pub fn ports(domain: &Domain, cx: &mut Cx<'_>) {
    for graphics in domain.devices.iter().flat_map(|d| &d.graphics) {
        let Some(el) = cx.doc.element(graphics.site).filter(|_| graphics.autoport) else { continue };
        let port = el.peek("port").and_then(|a| a.value().parse::<u16>().ok()).unwrap_or(0);
        // What a running machine tells has the port that was chosen.
        let says = el.peek("autoport").is_some() && port > 0;
        let running = cx.doc.root().is_some_and(|r| r.peek("id").is_some());
        if says && !running {
            let message = format!("autoport='yes' chooses the port, and port='{port}' counts for nothing");
            cx.warn_at(&codes::PORT_AND_AUTOPORT, graphics.site, "port", message)
                .help(format!("remove the port, or write autoport='no' to have {port}"));
        }
    }
}

/// Two cards with one address.
pub fn addresses(domain: &Domain, cx: &mut Cx<'_>) {
    let mut seen = BTreeMap::new();
    for interface in domain.devices.iter().flat_map(|d| &d.interfaces) {
        let Some(mac) = interface.mac.as_ref().and_then(|m| Some((m.address?.0, m.site))) else { continue };
        let first = *seen.entry(mac.0).or_insert(mac.1);
        // A pair for failover has one address.
        if first == mac.1 || interface.teaming.is_some() {
            continue;
        }
        let (one, two) = (cx.span(first), cx.doc.span_of_attr(mac.1, "address"));
        cx.diags
            .warning(
                &codes::SAME_MAC,
                two,
                format!("another network card has the MAC address {} already", interface.mac()),
            )
            .related(one, "the first is here")
            .help("change one of them, or remove <mac>: virtc derives one from the name of the domain");
    }
}

pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let acpi = domain.features.as_ref().is_some_and(|f| f.acpi);
    if machine.arch.is_x86() && matches!(machine.board, Board::I440fx | Board::Q35) && !acpi {
        let site = domain.features.as_ref().map(|f| f.site).filter(|s| !s.is_none());
        let site = site.or(domain.os.as_ref().map(|os| os.site)).unwrap_or(domain.site);
        cx.warn(&codes::NO_ACPI, site, "the machine has no ACPI, so that nothing can ask the guest to shut down")
            .help("add <features><acpi/></features>");
    }
    console(domain, cx);
    screen(domain, cx);
    off(domain, cx);
    // Where the processor is emulated, speed is not what anybody is after.
    if machine.accel != Accel::Tcg {
        emulated(domain, cx);
    }
}

/// Nobody sees the machine.
fn console(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(devices) = &domain.devices else { return };
    let shown = !devices.graphics.is_empty()
        || !devices.serials.is_empty()
        || !devices.consoles.is_empty()
        // A graphics card of the host is one.
        || devices.hostdevs.iter().any(|h| matches!(h.kind(), HostdevType::Pci | HostdevType::Mdev));
    if !shown && !domain.qemu.is_present() {
        cx.warn(&codes::NO_CONSOLE, devices.site, "the machine has no display, serial port or console")
            .help("add <console type='pty'/>, or <graphics type='vnc'/>");
    }
}

/// A display on which nothing draws.
fn screen(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(devices) = &domain.devices else { return };
    let dark = |video: &&Video| video.kind() == Some(VideoType::None);
    let (Some(video), false) = (devices.videos.iter().find(dark), devices.videos.iter().any(|v| !dark(&v))) else {
        return;
    };
    let shown = devices.graphics.iter().any(|g| matches!(g.kind, Some(GraphicsKind::Vnc | GraphicsKind::Sdl)));
    let card = devices.hostdevs.iter().any(|h| matches!(h.kind(), HostdevType::Pci | HostdevType::Mdev));
    if shown && !card && domain.qemu.args.is_empty() {
        let message = "the machine has a display, and no video adapter that would draw on it";
        cx.warn(&codes::NO_SCREEN, video.site, message)
            .help("write <video><model type='virtio'/></video>, or remove <graphics>");
    }
}

/// Old devices beside virtio.
fn emulated(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(devices) = &domain.devices else { return };
    let boots = devices.disks.iter().any(|d| d.bus() == Some(DiskBus::Virtio) && d.device() == DiskDevice::Disk);
    let modern_card = devices.interfaces.iter().any(|i| i.is_virtio());
    for interface in devices.interfaces.iter().filter(|i| boots && matches!(i.model(), "e1000" | "rtl8139")) {
        let model = interface.model.as_ref().map(|m| m.site).filter(|s| !s.is_none());
        let message = match model {
            Some(_) => format!("the guest has a virtio disk, and an emulated {} for its network", interface.model()),
            None => format!(
                "without <model>, the network card is an emulated {}, and the guest knows virtio",
                interface.model()
            ),
        };
        cx.warn(&codes::OLD_DEVICE, model.unwrap_or(interface.site), message).help("use <model type='virtio'/>");
    }
    let ide = devices.disks.iter().filter(|d| d.bus() == Some(DiskBus::Ide) && d.device() == DiskDevice::Disk);
    for disk in ide.filter(|_| modern_card && !boots) {
        let site = disk.target.as_ref().map_or(disk.site, |t| t.site);
        let message = "the guest has a virtio network card, and its disk is on IDE";
        cx.warn_at(&codes::OLD_DEVICE, site, "bus", message).help("use <target dev='vda' bus='virtio'/>");
    }
}
