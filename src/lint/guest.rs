//! What the system in the guest will not make anything of.

use crate::device::disk::{Disk, DiskBus, DiskDevice};
use crate::device::{Devices, filesystem::Filesystem};
use crate::diag::codes::lint as codes;
use crate::domain::Domain;
use crate::domain::clock::ClockOffset;
use crate::domain::os::{FirmwareKind, LoaderKind, Os};
use crate::stage::Cx;
use crate::vocab::Arch;

/// The prefix of libosinfo's names for the Windowses.
const WINDOWS: &str = "http://microsoft.com/win/";
/// Names of channels that programs of guests look for, and what does.
const CHANNELS: &[(&str, &str)] = &[
    ("org.qemu.guest_agent.0", "QEMU's guest agent"),
    ("com.redhat.spice.0", "the agent of SPICE"),
    ("org.spice-space.webdav.0", "the shared folder of SPICE"),
    ("org.spice-space.stream.0", "the streaming agent of SPICE"),
];

pub fn check(domain: &Domain, cx: &mut Cx<'_>) {
    let Some(devices) = &domain.devices else { return };
    channels(devices, cx);
    if is_for_windows(devices, cx) {
        clock(domain, cx);
        drivers(devices, cx);
        shares(devices, cx);
        demands(domain, devices, cx);
    }
}

/// Whether the guest runs Windows, or is about to get it, as the metadata of the tools or the disc in the drive tell.
fn is_for_windows(devices: &Devices, cx: &Cx<'_>) -> bool {
    let metadata = cx.doc.root().and_then(|root| root.children().find(|e| e.is("metadata")).map(|m| m.whole()));
    let noted = metadata.and_then(|m| {
        let mut inside = cx.doc.elements().filter(|e| m.start <= e.span().start && e.span().end <= m.end);
        inside.find_map(|e| e.peek("id").filter(|_| e.name() == "os").map(|id| id.value().to_string()))
    });
    match noted {
        Some(system) => system.starts_with(WINDOWS),
        None => installer(devices).is_some(),
    }
}

/// The name of the disc in the drive that installs Windows.
fn installer(devices: &Devices) -> Option<String> {
    discs(devices).find_map(|(disk, name)| (disk.device() == DiskDevice::Cdrom && is_windows(&name)).then_some(name))
}

/// The discs in the drives, with their names in small letters.
fn discs(devices: &Devices) -> impl Iterator<Item = (&Disk, String)> {
    let removable = devices.disks.iter().filter(|d| matches!(d.device(), DiskDevice::Cdrom | DiskDevice::Floppy));
    removable.filter_map(|d| Some((d, d.source.path()?.rsplit('/').next()?.to_ascii_lowercase())))
}

/// Whether this is the name of an installation disc of Windows: `Win11_23H2_English_x64.iso`, `en-us_windows_10_….iso`.
fn is_windows(name: &str) -> bool {
    let bare: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let version = |rest: &str| {
        rest.starts_with(|c: char| c.is_ascii_digit()) || rest.starts_with("xp") || rest.starts_with("server")
    };
    !name.contains("virtio") && (bare.strip_prefix("win").is_some_and(version) || bare.contains("windows"))
}

/// Windows takes the clock of the machine for local time.
fn clock(domain: &Domain, cx: &mut Cx<'_>) {
    let offset = domain.clock.as_ref().and_then(|c| c.offset).unwrap_or(ClockOffset::Utc);
    if offset == ClockOffset::Utc {
        let given = domain.clock.as_ref().map(|c| c.site).filter(|s| !s.is_none());
        let message =
            "the guest is a Windows, which takes the clock of the machine for local time, and it has that of UTC";
        cx.warn(&codes::WINDOWS_CLOCK, given.unwrap_or(domain.site), message).help("write <clock offset='localtime'>");
    }
}

/// The installer of Windows knows neither virtio-blk nor virtio-scsi.
fn drivers(devices: &Devices, cx: &mut Cx<'_>) {
    let mut discs = discs(devices);
    // On a second disc, or another, there may be drivers.
    let (Some((_, name)), None) = (discs.next(), discs.next()) else { return };
    if !is_windows(&name) {
        return;
    }
    let foreign = |d: &&Disk| matches!(d.bus(), Some(DiskBus::Virtio | DiskBus::Scsi));
    let mut disks = devices.disks.iter().filter(|d| d.device() == DiskDevice::Disk);
    let Some(first) = disks.next().filter(foreign) else { return };
    if disks.all(|d| foreign(&d)) {
        let site = first.target.as_ref().map_or(first.site, |t| t.site);
        let message =
            "the installer of Windows finds no disk: it has no drivers for virtio, and no second drive has them";
        cx.warn_at(&codes::NO_DRIVERS, site, "bus", message).help(
            "add <disk type='file' device='cdrom'> with the image of the drivers (virtio-win.iso), or use <target dev='sda' bus='sata'/>",
        );
    }
}

/// Windows has no 9p.
fn shares(devices: &Devices, cx: &mut Cx<'_>) {
    for share in devices.filesystems.iter().filter(|f| !f.is_virtiofs()) {
        let message = "the guest is a Windows, which has nothing that mounts 9p";
        cx.warn(&codes::NO_9P, share.site, message)
            .help("use virtiofs, whose driver is among those for virtio: <driver type='virtiofs'/>, and memory that is shared");
    }
}

/// What the installer of Windows 11 asks for. What is installed already has come by without.
fn demands(domain: &Domain, devices: &Devices, cx: &mut Cx<'_>) {
    let disc: String = installer(devices).unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
    if !disc.contains("win11") && !disc.contains("windows11") {
        return;
    }
    let efi = domain.os.as_ref().is_some_and(is_efi);
    let missing = match (efi, devices.tpms.is_empty()) {
        (true, false) => return,
        (false, false) => "UEFI",
        (true, true) => "a TPM of version 2.0",
        (false, true) => "UEFI and a TPM of version 2.0",
    };
    let site = domain.os.as_ref().map_or(domain.site, |os| os.site);
    cx.warn(&codes::WINDOWS_11, site, format!("Windows 11 asks for {missing}, and does not install without"))
        .help("write <os firmware='efi'>, and <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>");
}

fn is_efi(os: &Os) -> bool {
    os.firmware == Some(FirmwareKind::Efi) || os.loader.as_ref().is_some_and(|l| l.kind == Some(LoaderKind::Pflash))
}

/// A channel that nobody looks for, with a name much like one that somebody does.
fn channels(devices: &Devices, cx: &mut Cx<'_>) {
    for channel in &devices.channels {
        let Some((name, target)) = channel.name().zip(channel.target.as_ref()) else { continue };
        // A second one of a kind is counted on.
        let kind = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()).to_string();
        if CHANNELS.iter().any(|(known, _)| kind(known) == kind(name)) {
            continue;
        }
        let Some(meant) = crate::schema::nearest(name, CHANNELS.iter().map(|(known, _)| *known)) else { continue };
        let who = CHANNELS.iter().find(|(known, _)| *known == meant).map_or("", |(_, who)| who);
        let message = format!("nothing in a guest looks for a channel of the name '{name}'");
        cx.warn_at(&codes::CHANNEL_NAME, target.site, "name", message).help(format!("write name='{meant}', for {who}"));
    }
}

/// The longest tag of a share by 9p, in bytes: QEMU refuses longer ones (MAX_TAG_LEN in hw/9pfs).
const LONGEST: usize = 31;

/// Tags that are too long for 9p; those of virtiofs are a rule's.
pub fn tag(share: &Filesystem, cx: &mut Cx<'_>) {
    let too_long = !share.is_virtiofs() && share.tag().len() > LONGEST;
    let Some(target) = share.target.as_ref().filter(|_| too_long) else { return };
    let message = format!("the tag '{}' has {} bytes, and 9p takes {LONGEST} at most", share.tag(), share.tag().len());
    cx.warn_at(&codes::LONG_TAG, target.site, "dir", message)
        .help("write a shorter one: it is a name by which the guest mounts the share, not a folder");
}

/// Whether the firmware at a path is for another architecture, by its name.
pub fn firmware_arch(path: &str) -> Option<Arch> {
    let lower = path.to_ascii_lowercase();
    [
        ("aavmf", Arch::Aarch64),
        ("aarch64", Arch::Aarch64),
        ("riscv64", Arch::Riscv64),
        ("riscv_virt", Arch::Riscv64),
        ("loongarch64", Arch::Loongarch64),
        ("ovmf", Arch::X86_64),
        ("x86_64", Arch::X86_64),
    ]
    .into_iter()
    .find_map(|(word, arch)| lower.contains(word).then_some(arch))
}
