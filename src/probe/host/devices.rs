//! Devices of the host: drives, TPM, render node, PCI and SCSI devices.

use super::Source;
use crate::host::*;

/// Fills in the devices.
pub fn probe(source: &Source, host: &mut Host) {
    let drives = source.list("/dev").into_iter().filter(|name| is_drive(name));
    host.machine.cdrom = drives.map(|name| format!("/dev/{name}")).collect();
    let render = source.list("/dev/dri").into_iter().find(|name| name.starts_with("renderD"));
    host.machine.drm_render_node = render.map(|name| format!("/dev/dri/{name}"));
    if source.exists("/dev/tpm0") {
        let cancel = ["/sys/class/tpm/tpm0/device/cancel", "/sys/class/misc/tpm0/device/cancel"];
        let cancel = cancel.iter().find(|path| source.exists(path));
        host.machine.tpm = Some(Tpm { path: "/dev/tpm0".to_string(), cancel_path: cancel.map(|p| p.to_string()) });
    }
    host.pci_devices = source.list("/sys/bus/pci/devices").iter().filter_map(|name| pci(source, name)).collect();
    host.scsi_devices = source.list("/sys/class/scsi_generic").iter().filter_map(|name| scsi(source, name)).collect();
}

/// An optical drive: `sr0`, `cdrom`.
fn is_drive(name: &str) -> bool {
    let numbered = |rest: &str| rest.bytes().all(|b| b.is_ascii_digit());
    ["sr", "cdrom", "dvd"].iter().any(|kind| name.strip_prefix(kind).is_some_and(numbered)) && name != "sr"
}

fn pci(source: &Source, name: &str) -> Option<PciDevice> {
    let address = PciAddress::parse(name)?;
    let base = format!("/sys/bus/pci/devices/{name}");
    let id = |file: &str| source.number(&format!("{base}/{file}"));
    Some(PciDevice {
        address,
        vendor: id("vendor").map(|n| n as u16),
        device: id("device").map(|n| n as u16),
        class: id("class").map(|n| n as u32 & 0xff_ffff),
        iommu_group: source.link(&format!("{base}/iommu_group")).and_then(|group| group.parse().ok()),
        express: is_express(source, &base),
        physfn: source.link(&format!("{base}/physfn")).and_then(|target| PciAddress::parse(&target)),
    })
}

/// Whether the device has the PCI Express capability. Without the right to read all of its
/// configuration space, the kernel's link attributes tell.
fn is_express(source: &Source, base: &str) -> bool {
    const EXPRESS: u8 = 0x10;
    let config = std::fs::read(source.at(&format!("{base}/config"))).unwrap_or_default();
    let byte = |at: u8| config.get(usize::from(at)).copied();
    if config.len() < 256 || byte(0x06).is_some_and(|status| status & 0x10 == 0) {
        return source.exists(&format!("{base}/max_link_speed"));
    }
    // The list of capabilities: each has its kind and the place of the next.
    let mut at = byte(0x34).unwrap_or(0) & 0xfc;
    for _ in 0..48 {
        match (at, byte(at), byte(at.wrapping_add(1))) {
            (0, ..) => return false,
            (_, Some(EXPRESS), _) => return true,
            (_, _, Some(next)) => at = next & 0xfc,
            _ => return false,
        }
    }
    false
}

fn scsi(source: &Source, name: &str) -> Option<ScsiDevice> {
    // The device is named after its place: 0:0:0:0.
    let place = source.link(&format!("/sys/class/scsi_generic/{name}/device"))?;
    let mut parts = place.split(':').map(|part| part.parse::<u64>().ok());
    let (host, bus, target, unit) = (parts.next()??, parts.next()??, parts.next()??, parts.next()??);
    Some(ScsiDevice { host: host as u32, bus: bus as u32, target: target as u32, unit, sg: name.to_string() })
}
