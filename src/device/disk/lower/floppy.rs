//! The floppy controller: its options hold the boot order of the drives.

use crate::device::address::Address;
use crate::device::disk::{Disk, DiskBus};
use crate::plan::Props;
use crate::stage::Board;
use crate::stage::Lower;
use crate::xml::Site;

/// Adds the controller where the board has none, or the boot order of the one it has.
pub fn controller(lx: &mut Lower<'_>) {
    let floppies = || lx.devices.disks.iter().filter(|d| d.bus() == Some(DiskBus::Fdc));
    let Some(site) = floppies().map(|d| d.site).next() else { return };
    let boot: Vec<(&'static str, u32, Site)> = floppies().filter_map(boot).collect();
    if has_no_controller(lx) {
        let mut props = Props::driver("isa-fdc");
        for (key, index, _) in boot {
            props.set(key, index);
        }
        lx.plain_device(props, site, "floppy controller");
        return;
    }
    for (key, index, site) in boot {
        lx.text("-global", format!("isa-fdc.{key}={index}"), site, "boot order of the floppy drive");
    }
}

fn boot(disk: &Disk) -> Option<(&'static str, u32, Site)> {
    let index = disk.info.bootindex?;
    let key = match disk.info.address.address {
        Some(Address::Drive(at)) if at.unit > 0 => "bootindexB",
        _ => "bootindexA",
    };
    Some((key, index, disk.site))
}

/// Boards of the Q35 kind have had none since 2.4.
fn has_no_controller(lx: &Lower<'_>) -> bool {
    let old = lx
        .machine
        .name
        .strip_prefix("pc-q35-")
        .is_some_and(|version| version.starts_with("1.") || ["2.0", "2.1", "2.2", "2.3"].contains(&version));
    lx.machine.board == Board::Q35 && !old
}
