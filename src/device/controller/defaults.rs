//! Models of controllers that the XML does not name.

use super::{Controller, ControllerKind, ControllerModel};
use crate::caps::Cap;
use crate::resolve::{Board, Cx, Machine};

/// Chooses the model by machine and capabilities.
pub fn model(controller: &mut Controller, machine: &Machine, cx: &mut Cx<'_>) {
    if controller.model.is_some() {
        return;
    }
    controller.model = match controller.kind {
        Some(ControllerKind::Usb) if machine.board == Board::I440fx || machine.board == Board::Q35 => {
            cx.has(Cap::Piix3UsbUhci).then_some(ControllerModel::Piix3Uhci)
        }
        Some(ControllerKind::Scsi) if machine.arch.is_x86() => cx.has(Cap::Lsi).then_some(ControllerModel::Lsilogic),
        _ => None,
    };
}
