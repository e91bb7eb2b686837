//! Controllers on the command line.

use super::{Controller, ControllerKind, ControllerModel};
use crate::lower::Lower;
use crate::plan::Props;
use crate::resolve::Board;

/// Adds the `-device` of a controller that is not part of the board.
pub fn controller(controller: &Controller, lx: &mut Lower<'_>) {
    let Some(kind) = controller.kind else { return };
    let driver = match (kind, controller.model) {
        (ControllerKind::Usb, Some(ControllerModel::Piix3Uhci)) => "piix3-usb-uhci",
        (ControllerKind::Scsi, Some(ControllerModel::Lsilogic)) => "lsi",
        (ControllerKind::Sata, _) if !(lx.machine.board == Board::Q35 && controller.index() == 0) => "ich9-ahci",
        (ControllerKind::Pci, Some(ControllerModel::PciBridge)) => "pci-bridge",
        _ => return,
    };
    let mut props = Props::driver(driver);
    if driver == "pci-bridge" {
        props.set("chassis_nr", controller.index());
    }
    props.set("id", controller.info.id.clone());
    lx.address(&mut props, &controller.info);
    lx.device(props, controller);
}
