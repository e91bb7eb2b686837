//! Checks of a complete controller.

use super::{Controller, ControllerKind, ControllerModel};
use crate::caps::Cap;
use crate::device::plug::Plug;
use crate::diag::codes::{address as codes, general, machine as machine_codes};
use crate::domain::Domain;
use crate::resolve::{Board, Cx, Machine};

/// Checks one controller.
pub fn controller(c: &Controller, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    if let Some(driver) = &c.driver {
        let virtio = matches!(c.plug_of_kind(), Plug::Virtio(_));
        driver.virtio.rules(virtio, cx);
        if c.is(ControllerKind::Scsi) && !virtio {
            let only = [
                ("queues", driver.queues),
                ("cmd_per_lun", driver.cmd_per_lun),
                ("max_sectors", driver.max_sectors),
                ("iothread", driver.iothread),
            ];
            for (name, _) in only.iter().filter(|(_, value)| value.is_some()) {
                cx.error_at(
                    &general::NOT_BY_QEMU,
                    driver.site,
                    name,
                    format!("'{name}' is only supported by virtio-scsi controller"),
                );
            }
        }
    }
    if c.is(ControllerKind::Scsi) {
        iothreads(c, domain, cx);
    }
    match c.kind {
        Some(ControllerKind::Usb) => usb(c, domain, cx),
        Some(ControllerKind::Pci) => pci(c, domain, machine, cx),
        _ => {}
    }
}

/// The threads that serve a virtio-scsi controller: by its attribute, or a list of them for its queues.
fn iothreads(c: &Controller, domain: &Domain, cx: &mut Cx<'_>) {
    let Some(driver) = &c.driver else { return };
    if driver.iothread.is_some() && !driver.iothreads.is_empty() {
        let message = "the attribute 'iothread' and the element <iothreads> of a controller exclude each other";
        cx.error(&machine_codes::IOTHREAD, driver.site, message);
    }
    if !driver.iothreads.is_empty() && !cx.has(Cap::VirtioScsiIothreadMapping) {
        cx.error(
            &general::NOT_BY_QEMU,
            driver.site,
            "IOThread mapping for virtio-scsi controllers is not available with this QEMU binary",
        )
        .help("name one thread: <driver iothread='1'/>");
    }
    let used = driver.iothread.into_iter().chain(driver.iothreads.iter().filter_map(|t| t.id));
    for id in used {
        if !domain.all_iothreads.iter().any(|t| t.id == Some(id)) {
            cx.error(
                &machine_codes::IOTHREAD,
                driver.site,
                format!("controller iothread '{id}' is not defined in iothreadid"),
            )
            .help("define it: <iothreads>N</iothreads> makes those from 1 to N");
        }
    }
}

fn usb(c: &Controller, domain: &Domain, cx: &mut Cx<'_>) {
    let xhci = matches!(c.model, Some(ControllerModel::NecXhci | ControllerModel::QemuXhci));
    if let (true, Some(model), Some(ports)) = (xhci, c.model, c.ports)
        && ports > 15
    {
        cx.error_at(
            &general::NOT_BY_QEMU,
            c.site,
            "ports",
            format!("'{model}' controller only supports up to '15' ports"),
        );
    }
    if c.master.is_some() {
        let controllers = domain.devices.iter().flat_map(|d| d.controllers.iter());
        let mut masters =
            controllers.filter(|m| m.is(ControllerKind::Usb) && m.index() == c.index() && m.master.is_none());
        if masters.next().is_none() {
            cx.error(&codes::CONTROLLERS, c.site, "No master USB controller specified")
                .help(format!("add <controller type='usb' index='{}' model='ich9-ehci1'/>", c.index()));
        }
    }
}

fn pci(c: &Controller, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    type M = ControllerModel;
    let target = c.target.clone().unwrap_or_default();
    if machine.board == Board::Pseries && c.model == Some(M::PciRoot) {
        if let Some(index) = target.index
            && index > 30
        {
            cx.error_at(
                &codes::CONTROLLERS,
                target.site,
                "index",
                format!("PCI controller target index '{index}' out of range - must be 0-30"),
            );
        }
        if target.index.is_some_and(|t| (t == 0) != (c.index() == 0)) {
            cx.error_at(
                &codes::CONTROLLERS,
                target.site,
                "index",
                "only the PCI controller with index 0 can have target index 0, and vice versa",
            );
        }
    }
    let numa = domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref());
    let cells = numa.map_or(0, |numa| numa.cells.len());
    if let (Some(node), Some(model)) = (target.node, c.model)
        && node as usize >= cells
    {
        let index = c.index();
        let message = format!(
            "{model} with index {index} is configured for a NUMA node ({node}) not present in the domain's \
             <cpu><numa> array ({cells})"
        );
        cx.error(&codes::CONTROLLERS, target.site, message);
    }
    if c.hole.0.is_some() && c.index() != 0 {
        cx.error(&codes::CONTROLLERS, c.site, "pcihole64 is only possible for a PCI root controller");
    }
    let boards = match c.model {
        Some(M::PcieExpanderBus) => matches!(machine.board, Board::Q35 | Board::Virt),
        Some(M::PciExpanderBus) => machine.board == Board::I440fx,
        _ => true,
    };
    if !boards {
        let model = c.model.map_or("", M::as_str);
        cx.error_at(
            &general::NOT_BY_QEMU,
            c.site,
            "model",
            format!("{model} controllers are not supported with this machine type"),
        );
    }
    if target.hotplug.is_some() && !cx.has(Cap::PcieRootPortHotplug) {
        cx.error_at(
            &general::NOT_BY_QEMU,
            target.site,
            "hotplug",
            "setting the hotplug property on a pcie-root-port is not supported by this QEMU",
        );
    }
}
