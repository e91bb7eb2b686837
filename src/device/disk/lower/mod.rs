//! Disks on the command line: block nodes for the image, a `-device` for the drive.

mod device;
mod filters;
mod floppy;
mod sd;
mod transient;
mod vhost_user;

pub use filters::throttle_groups;
pub use floppy::controller as floppy_controller;

use super::{Cache, DetectZeroes, Discard, Disk, DiskBus, DiskDevice};
use crate::device::storage::lower::{Chain, ChainOptions, Found, chain, find, is_dropped};
use crate::device::storage::{Format, Layer, Location, StorageKind, StorageSource};
use crate::diag::codes::storage as codes;
use crate::host::Host;
use crate::plan::{LabelRole, OwnerRule, PathKind, Process, Props, Ready, Role, Text, Use};
use crate::stage::Board;
use crate::stage::{Env, Grant, Lower, Quirk};
use crate::vocab::{OnOff, YesNo, nodes};

/// The first number of the nodes of each disk, in the order of the disks. The last disk gets the lowest
/// numbers; those of a disk go from the topmost image down, its filters come last.
pub fn node_numbers(disks: &[Disk], env: &Env<'_>) -> Vec<u32> {
    let mut next = 1;
    let mut numbers = vec![0; disks.len()];
    for (disk, number) in disks.iter().zip(&mut numbers).rev() {
        *number = next;
        next += nodes_of(disk, env.host) + filters::count(disk, env) + u32::from(transient::applies(disk, env));
    }
    numbers
}

/// How many numbers the images of a disk take.
fn nodes_of(disk: &Disk, host: &Host) -> u32 {
    if disk.kind() == StorageKind::Vhostuser || disk.bus() == Some(DiskBus::Sd) || is_dropped(&disk.source, host) {
        return 0;
    }
    let data = |source: &StorageSource| u32::from(source.data_store.is_some());
    let mut count = 1 + data(&disk.source);
    let mut layer: Option<&Layer> = disk.source.backing.as_deref();
    while let Some(image) = layer.filter(|l| l.kind.is_some()) {
        count += 1 + data(&image.source);
        layer = image.backing.as_deref();
    }
    count
}

/// Adds the block nodes, the device and the access of one disk.
pub fn disk(disk: &Disk, lx: &mut Lower<'_>) {
    let counted = lx.block_nodes.take();
    let number = lx.must(counted, "a number for the disk's block nodes", disk.site);
    if disk.bus() == Some(DiskBus::Fdc) && lx.machine.board == Board::Pseries {
        lx.error(&codes::BUS, disk.site, "a pseries guest (PowerPC) has no controller for floppy devices");
        return;
    }
    let real = match find(&disk.source, lx) {
        Found::Itself => None,
        Found::Volume(source) => Some(source),
        Found::Fault => return,
        Found::Missing if matches!(disk.device(), DiskDevice::Cdrom | DiskDevice::Floppy) => {
            device::add(disk, device::Backend::None, lx);
            return;
        }
        Found::Missing => return,
    };
    if disk.is_plugged_later() && lx.env.has_parent() {
        return;
    }
    let source = real.as_deref().unwrap_or(&disk.source);
    if let Location::VhostUser(socket) = &source.location {
        let chardev = vhost_user::chardev(disk, socket, lx);
        device::add(disk, device::Backend::Chardev(chardev), lx);
        return;
    }
    if source.is_empty() {
        if disk.kind() == StorageKind::Volume && !source.site.is_none() {
            lx.error(&codes::EMPTY, source.site, "the <source> of a volume names no pool")
                .help("pool='…' and volume='…' name what storage of the host it is");
        }
        if disk.bus() != Some(DiskBus::Sd) {
            device::add(disk, device::Backend::None, lx);
        }
        return;
    }
    let auth = if real.is_some() { source.auth.as_ref() } else { disk.auth() };
    let mut named = disk.dev().to_string();
    if let Location::Volume(volume) = &disk.source.location {
        named.push_str(&format!(", a volume of {}", volume.pool));
    }
    if transient::applies(disk, &lx.env) {
        named.push_str(", transient");
    }
    let options = ChainOptions { disk: &named, ..options(disk, &lx.env) };
    let top = Chain {
        source,
        format: disk.driver(|d| d.format).unwrap_or(Format::Raw),
        auth,
        encryption: disk.encryption(),
        backing: disk.source.backing.as_deref(),
        number,
    };
    if transient::applies(disk, &lx.env) {
        let Some(overlay) = transient::overlay(disk, &top, lx) else { return };
        let Some(node) = chain(&overlay.chain(number), &options, lx) else { return };
        overlay.give_back(lx);
        let node = filters::add(disk, node, number + 1 + nodes_of(disk, lx.env.host), &options, lx);
        return device::add(disk, device::Backend::Drive(node), lx);
    }
    if disk.bus() == Some(DiskBus::Sd) {
        sd::drive(disk, &top, &options, lx);
        return;
    }
    let Some(node) = chain(&top, &options, lx) else { return };
    let node = filters::add(disk, node, number + nodes_of(disk, lx.env.host), &options, lx);
    device::add(disk, device::Backend::Drive(node), lx);
}

/// What the disk says about its images.
fn options<'a>(disk: &'a Disk, env: &Env<'_>) -> ChainOptions<'a> {
    let discard = disk.driver(|d| d.discard);
    let detect_zeroes = disk.driver(|d| d.detect_zeroes).map(|zeroes| match zeroes {
        // Zeroes can only become holes where holes are allowed (QEMU manual, "-blockdev", detect-zeroes).
        DetectZeroes::Unmap if discard != Some(Discard::Unmap) => DetectZeroes::On,
        other => other,
    });
    let tables = disk.driver.as_ref().and_then(|d| d.metadata_cache.as_ref()).and_then(|c| c.max_size.as_ref());
    ChainOptions {
        cache: disk.cache().flags(),
        aio: disk.driver(|d| d.io).map(|io| io.as_str()),
        discard: discard.map(Discard::as_str),
        detect_zeroes: detect_zeroes.map(DetectZeroes::as_str),
        zeroes_below: !env.behaves(Quirk::TopImageFindsZeroes),
        filters_discard: !env.behaves(Quirk::FiltersKeepBlocks),
        discard_no_unref: disk.driver(|d| d.discard_no_unref).map(OnOff::is_on),
        metadata_cache: tables.map(|t| t.bytes),
        readonly: disk.is_readonly(),
        shareable: disk.shareable,
        floppy: disk.device() == DiskDevice::Floppy,
        cdrom: disk.device() == DiskDevice::Cdrom,
        disk: disk.dev(),
    }
}

/// `-object pr-manager-helper` of the domain, when a disk wants its reservations managed; and for a
/// standalone machine, the helper.
pub fn reservations(lx: &mut Lower<'_>) {
    let managed = |d: &&Disk| d.source.reservations.as_ref().is_some_and(|r| r.is_managed());
    let Some(disk) = lx.devices.disks.iter().find(managed) else { return };
    let site = disk.site;
    let what = "persistent reservations";
    let dir = if lx.env.has_parent() { &lx.paths.lib } else { &lx.paths.run };
    let path = format!("{dir}/pr-helper0.sock");
    let mut props = Props::with("qom-type", "pr-manager-helper");
    props.set("id", "pr-helper0").set("path", path.clone());
    lx.object(props, site, what);
    if lx.env.has_parent() {
        return;
    }
    let cause = lx.cause(site, what);
    let id = "pr-helper0".to_string();
    lx.listens(&id, &path, &cause);
    lx.plan.processes.push(Process {
        role: Role::PrHelper,
        id,
        program: lx.env.host.helper_program("pr").unwrap_or("/usr/bin/qemu-pr-helper").to_string(),
        args: vec![crate::plan::Arg::text("-k", path.clone(), cause.clone())],
        env: vec![("LC_ALL".into(), "C".to_string())],
        user: Some("root".to_string()),
        // The first makes its socket in the folder of the account. By the next three it gives up all but the last two, which it
        // insists on having: to send reservations, and to ask device-mapper for paths (QEMU's scsi/qemu-pr-helper.c; libcap-ng
        // asks for CAP_SETUID even where the account stays).
        capabilities: ["CAP_DAC_OVERRIDE", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_SYS_RAWIO", "CAP_SYS_ADMIN"]
            .map(Text::from)
            .into(),
        ready: Ready::Socket(path),
        cause,
        ..Process::default()
    });
    let devices: Vec<String> =
        lx.devices.disks.iter().filter(managed).filter_map(|d| d.source.path().map(str::to_string)).collect();
    for path in devices {
        let grant = Grant { label: LabelRole::Keep, owner: OwnerRule::Keep, ..Grant::IMAGE };
        lx.touch_by("pr-helper0", &path, grant.on(PathKind::BlockDevice), Use::Reservations, site, what);
    }
    // Where it was built with multipath it does not start without.
    lx.touch_by("pr-helper0", nodes::DEVICE_MAPPER, Grant::SYSTEM_NODE, Use::Reservations, site, what);
}

/// Linux capabilities that QEMU keeps for the disks: a guest with raw access sends any SCSI command.
pub fn capabilities(disks: &[Disk]) -> Vec<Text> {
    let raw = disks.iter().any(|d| d.rawio.is_some_and(YesNo::is_yes));
    if raw { vec!["CAP_SYS_RAWIO".into()] } else { Vec::new() }
}

impl Disk {
    /// The write cache that the guest sees; none where QEMU decides. A SCSI device that is handed
    /// through has its own.
    fn write_cache(&self) -> Option<OnOff> {
        if self.device() == DiskDevice::Lun {
            return None;
        }
        Cache::write_cache(self.cache())
    }
}
