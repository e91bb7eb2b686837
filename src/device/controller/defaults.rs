//! Models of controllers that the XML does not name.

use super::{Controller, ControllerKind, ControllerModel};
use crate::caps::Cap;
use crate::device::info::DeviceInfo;
use crate::stage::{Board, Cx, Machine, Quirk};
use crate::vocab::Arch;

/// Chooses the model by machine and capabilities.
pub fn model(controller: &mut Controller, machine: &Machine, cx: &mut Cx<'_>) {
    if controller.kind == Some(ControllerKind::Scsi) && controller.model == Some(ControllerModel::Auto) {
        controller.model = None;
    }
    if controller.model.is_some() {
        if controller.kind == Some(ControllerKind::Scsi) && controller.model == Some(ControllerModel::Virtio) {
            controller.model = Some(ControllerModel::VirtioScsi);
        }
        companion(controller);
        return;
    }
    controller.model = match controller.kind {
        Some(ControllerKind::Usb) => usb(controller, machine, cx),
        Some(ControllerKind::Scsi) => scsi(machine, cx),
        Some(ControllerKind::Pci) if controller.index() == 0 => root(machine),
        _ => None,
    };
    // No USB is at no place.
    if controller.kind == Some(ControllerKind::Usb) && controller.model == Some(ControllerModel::None) {
        controller.info = DeviceInfo { site: controller.info.site, ..DeviceInfo::default() };
    }
}

/// The root bus of the machine.
fn root(machine: &Machine) -> Option<ControllerModel> {
    if machine.has_pcie_root() {
        Some(ControllerModel::PcieRoot)
    } else if machine.has_pci_root() {
        Some(ControllerModel::PciRoot)
    } else {
        None
    }
}

/// The first of these that QEMU has.
fn first(cx: &Cx<'_>, wanted: &[(Cap, ControllerModel)]) -> Option<ControllerModel> {
    wanted.iter().find(|(cap, _)| cx.has(*cap)).map(|(_, model)| *model)
}

/// The model of a USB controller that the XML has without one. Migration to a newer host must not
/// change it, hence the old models.
fn usb(controller: &Controller, machine: &Machine, cx: &Cx<'_>) -> Option<ControllerModel> {
    type M = ControllerModel;
    let arch = machine.arch;
    if arch.is_s390() {
        let none = !controller.info.has_address() || !cx.env.behaves(Quirk::OldUsbOnArm);
        return none.then_some(M::None);
    }
    if arch.is_ppc64() {
        let newer = [(Cap::QemuXhci, M::QemuXhci), (Cap::NecUsbXhci, M::NecXhci)];
        return cx.env.options.define.then(|| first(cx, &newer)).flatten().or(first(cx, &[(Cap::PciOhci, M::PciOhci)]));
    }
    if !cx.env.behaves(Quirk::OldUsbOnArm) {
        if arch.is_arm() || arch.is_riscv() {
            return first(cx, &[(Cap::QemuXhci, M::QemuXhci), (Cap::NecUsbXhci, M::NecXhci)]);
        }
        if arch.is_ppc() {
            return first(cx, &[(Cap::PciOhci, M::PciOhci)]);
        }
    }
    match arch {
        Arch::Aarch64 | Arch::Loongarch64 => first(cx, &[(Cap::QemuXhci, M::QemuXhci), (Cap::NecUsbXhci, M::NecXhci)]),
        Arch::X86_64 | Arch::I686 | Arch::Riscv32 | Arch::Riscv64 => first(cx, &[(Cap::Piix3UsbUhci, M::Piix3Uhci)]),
        _ => first(cx, &[(Cap::Piix3UsbUhci, M::Piix3Uhci), (Cap::PciOhci, M::PciOhci)]),
    }
}

/// The model of the USB controller that a board gets without being asked; none if it gets none.
pub fn automatic_usb(machine: &Machine, cx: &Cx<'_>) -> Option<ControllerModel> {
    type M = ControllerModel;
    match (machine.board, machine.arch) {
        (Board::Q35, _) => {
            first(cx, &[(Cap::QemuXhci, M::QemuXhci), (Cap::NecUsbXhci, M::NecXhci), (Cap::Ich9UsbEhci1, M::Ich9Ehci1)])
        }
        (_, Arch::Aarch64 | Arch::Armv7l | Arch::Armv6l) if cx.env.behaves(Quirk::OldUsbOnArm) => Some(M::PciOhci),
        (_, arch) if arch.is_arm() && !machine.has_pci_root() && !machine.has_pcie_root() => None,
        _ => usb(&Controller::default(), machine, cx),
    }
}

/// The model of a SCSI controller without one.
fn scsi(machine: &Machine, cx: &Cx<'_>) -> Option<ControllerModel> {
    type M = ControllerModel;
    if machine.board == Board::Pseries {
        return Some(M::Ibmvscsi);
    }
    let arm = machine.arch.is_arm() && !cx.env.behaves(Quirk::LsilogicOnArm);
    let riscv = machine.arch.is_riscv() && !cx.env.behaves(Quirk::OldScsiOnRiscv);
    let virtio =
        machine.arch.is_s390() || (machine.arch.is_loongarch() && machine.board == Board::Virt) || arm || riscv;
    if virtio {
        return Some(M::VirtioScsi);
    }
    let builtin = machine.has_builtin_esp().then_some(M::Ncr53c90);
    first(cx, &[(Cap::Lsi, M::Lsilogic), (Cap::VirtioScsiPci, M::VirtioScsi)]).or(builtin)
}

/// The ports of the USB 2 controller that a companion serves (Intel ICH9 datasheet): two each.
fn companion(controller: &mut Controller) {
    let startport = match controller.model {
        Some(ControllerModel::Ich9Uhci1) => 0,
        Some(ControllerModel::Ich9Uhci2) => 2,
        Some(ControllerModel::Ich9Uhci3) => 4,
        _ => return,
    };
    let master = controller.info.alias.master.get_or_insert_with(super::Master::default);
    master.startport.get_or_insert(startport);
}
