//! Checks of a complete controller.

use super::{Controller, ControllerKind, ControllerModel};
use crate::caps::Cap;
use crate::device::address::Address;
use crate::device::disk::DiskBus;
use crate::device::plug::Plug;
use crate::diag::codes::{address as codes, general, machine as machine_codes};
use crate::domain::Domain;
use crate::stage::{Board, Cx, Machine, Quirk};
use crate::xml::Site;
use std::collections::BTreeSet;

/// Whether controllers of this type come in this model at all.
fn belongs(kind: ControllerKind, model: ControllerModel) -> bool {
    type M = ControllerModel;
    match kind {
        ControllerKind::Pci => matches!(
            model,
            M::PciRoot
                | M::PcieRoot
                | M::PciBridge
                | M::DmiToPciBridge
                | M::PcieToPciBridge
                | M::PcieRootPort
                | M::PcieSwitchUpstreamPort
                | M::PcieSwitchDownstreamPort
                | M::PciExpanderBus
                | M::PcieExpanderBus
        ),
        ControllerKind::Usb => {
            matches!(
                model,
                M::Piix3Uhci | M::Piix4Uhci | M::Ehci | M::Ich9Ehci1 | M::Ich9Uhci1 | M::Ich9Uhci2 | M::Ich9Uhci3
            ) || matches!(
                model,
                M::Vt82c686bUhci | M::PciOhci | M::NecXhci | M::Qusb1 | M::Qusb2 | M::QemuXhci | M::None
            )
        }
        ControllerKind::Scsi => model >= M::Auto && model <= M::Am53c974,
        ControllerKind::Ide => matches!(model, M::Piix3 | M::Piix4 | M::Ich6),
        ControllerKind::VirtioSerial => matches!(model, M::Virtio | M::VirtioTransitional | M::VirtioNonTransitional),
        _ => false,
    }
}

/// Checks one controller.
pub fn controller(c: &Controller, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    if let (Some(kind), Some(model)) = (c.kind, c.model)
        && !belongs(kind, model)
    {
        let message = format!("'{model}' is no model of a controller of type '{kind}'");
        cx.error_at(&general::CONTROLLER_MODEL, c.site, "model", message);
        return;
    }
    if let Some(driver) = &c.driver {
        let virtio = matches!(c.plug_of_kind(), Plug::Virtio(_));
        if !virtio {
            driver.virtio.idle("controller", cx);
        }
        if !(c.is(ControllerKind::Scsi) && virtio) {
            let only = [
                ("queues", driver.queues),
                ("cmd_per_lun", driver.cmd_per_lun),
                ("max_sectors", driver.max_sectors),
                ("iothread", driver.iothread),
            ];
            for (name, _) in only.iter().filter(|(_, value)| value.is_some()) {
                cx.error_at(
                    &general::ONLY_VIRTIO_SCSI,
                    driver.site,
                    name,
                    format!("<driver {name}>: only a virtio-scsi controller has this option, and this one is none"),
                );
            }
        }
    }
    if c.is(ControllerKind::Scsi) {
        iothreads(c, domain, cx);
    }
    match c.kind {
        Some(ControllerKind::Ide) => ide(c, domain, machine, cx),
        Some(ControllerKind::Xenbus) => {
            let message = "a controller of type 'xenbus' belongs to Xen: QEMU has none";
            cx.error_at(&general::OTHER_HYPERVISOR, c.site, "type", message).help("remove it");
        }
        Some(ControllerKind::Sata) => sata(c, domain, machine, cx),
        Some(ControllerKind::Scsi) => scsi(c, machine, cx),
        Some(ControllerKind::Usb) => usb(c, domain, cx),
        Some(ControllerKind::Pci) => pci(c, domain, machine, cx),
        Some(ControllerKind::Nvme) => nvme(c, domain, cx),
        _ => {}
    }
}

fn ide(c: &Controller, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    // One that the XML does not have is there for a disk.
    let mut disks = domain.devices.iter().flat_map(|d| &d.disks).filter(|d| d.bus() == Some(DiskBus::Ide));
    let disk = disks.next().filter(|_| c.site.is_none()).and_then(|d| d.target.as_ref());
    let span = disk.map_or_else(|| cx.doc.span_of_attr(c.site, "index"), |t| cx.doc.span_of_attr(t.site, "bus"));
    // QEMU's isapc has one, but libvirt does not know.
    if !machine.has_builtin_ide() || (machine.board == Board::Isapc && cx.env.behaves(Quirk::IsapcHasNoIde)) {
        let message = "an IDE controller: this machine type has none on its board, and QEMU has none to add";
        cx.diags.error(&general::NO_IDE, span, message).help("use bus='sata' or bus='virtio' for the disks");
    } else if c.index() != 0 {
        let message = "a second IDE controller: the board has one, with index='0', and QEMU has none to add";
        cx.diags.error(&general::ON_BOARD, span, message).help("use bus='sata' or bus='virtio' for more disks");
    }
}

/// QEMU for IBM Z has no SATA, for example; on `q35` it is a part of the board.
fn sata(c: &Controller, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    if cx.has(Cap::Ich9Ahci) || machine.board == Board::Q35 && c.index() == 0 {
        return;
    }
    let mut disks = domain.devices.iter().flat_map(|d| &d.disks).filter(|d| d.bus() == Some(DiskBus::Sata));
    let disk = disks.next().filter(|_| c.site.is_none()).and_then(|d| d.target.as_ref());
    let span = disk.map_or_else(|| cx.doc.span_of(c.site), |t| cx.doc.span_of_attr(t.site, "bus"));
    let message = "a SATA controller: this QEMU binary has none";
    cx.diags.error(&general::NOT_BY_QEMU, span, message).help("use bus='virtio' or bus='scsi' for the disks");
}

/// The serial number of an NVMe controller is that of its namespaces.
fn nvme(c: &Controller, domain: &Domain, cx: &mut Cx<'_>) {
    if !cx.has(Cap::Nvme) {
        cx.error(&general::NOT_BY_QEMU, c.site, "this QEMU binary has no NVMe controller");
    }
    if c.serial.is_none() {
        cx.error(&codes::CONTROLLERS, c.site, "an NVMe controller has a serial number, and none is given")
            .help("add <serial> to the controller, or to a disk on it");
    }
    let disks = domain.devices.iter().flat_map(|d| &d.disks).filter(|d| d.bus() == Some(DiskBus::Nvme));
    for disk in disks.filter(|d| d.serial.is_some() && d.serial != c.serial) {
        if matches!(&disk.info.address.address, Some(Address::Drive(at)) if at.controller == c.index()) {
            let message = "<serial> of a disk on the bus nvme is that of its controller, which has another";
            cx.error(&codes::CONTROLLERS, disk.site, message);
        }
    }
}

fn scsi(c: &Controller, machine: &Machine, cx: &mut Cx<'_>) {
    type M = ControllerModel;
    match c.model {
        Some(model @ M::Buslogic) => {
            let message = format!("<controller model='{model}'>: QEMU has no such controller, it is VMware's");
            cx.error_at(&general::OTHER_HYPERVISOR, c.site, "model", message)
                .help("use model='virtio-scsi' or 'lsilogic'");
        }
        Some(model @ M::Ncr53c90) if !machine.has_builtin_esp() => {
            let message = format!(
                "<controller model='{model}'>: some boards have it built in, this one has not, and QEMU has none to add"
            );
            cx.error_at(&general::ON_BOARD, c.site, "model", message);
        }
        Some(model @ M::Ncr53c90) if c.index() != 0 => {
            let message =
                format!("<controller model='{model}'>: the board has one, with index='0', and QEMU has none to add");
            cx.error_at(&general::ON_BOARD, c.site, "index", message);
        }
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
            "<iothreads>: this QEMU binary knows one IOThread for virtio-scsi controllers, and no mapping of queues",
        )
        .help("name one thread: <driver iothread='1'/>");
    }
    queue_map(driver, cx);
    let used = driver.iothread.into_iter().chain(driver.iothreads.iter().filter_map(|t| t.id));
    for id in used {
        if !domain.all_iothreads.iter().any(|t| t.id == Some(id)) {
            cx.error(
                &machine_codes::IOTHREAD,
                driver.site,
                format!("a controller wants iothread '{id}', and neither <iothreads> nor an <iothread> in <iothreadids> defines it"),
            )
            .help("define it: <iothreads>N</iothreads> makes those from 1 to N");
        }
    }
}

/// Each queue of the controller is served by one thread, once it is said of any.
fn queue_map(driver: &super::ControllerDriver, cx: &mut Cx<'_>) {
    let threads = &driver.iothreads;
    let with = threads.iter().filter(|t| !t.queues.is_empty()).count();
    let count = driver.queues.unwrap_or(0);
    let mut faults: Vec<(Site, String)> = Vec::new();
    if with != 0 && with != threads.len() {
        faults
            .push((driver.site, "the mapping of iothreads to queues is given for all of them or for none".to_string()));
    }
    if with != 0 && count == 0 {
        let message =
            "<iothread> names queues: their count, 'queues' of <driver>, must be configured for explicit mapping";
        faults.push((driver.site, message.to_string()));
    }
    let (mut seen, mut served) = (BTreeSet::new(), BTreeSet::new());
    for thread in threads {
        if !seen.insert(thread.id) {
            let id = thread.id.unwrap_or(0);
            faults.push((thread.site, format!("<iothreads> lists iothread '{id}' twice (duplicate mapping)")));
        }
        for queue in &thread.queues {
            let number = queue.id.unwrap_or(0);
            if count != 0 && number >= count {
                let message =
                    format!("the mapping of iothread queue '{number}' is out of range: there are {count} queues");
                faults.push((queue.site, message));
            } else if !served.insert(number) {
                faults.push((
                    queue.site,
                    format!("iothread queue '{number}' is already assigned, to another thread or this one"),
                ));
            }
        }
    }
    if with != 0
        && with == threads.len()
        && let Some(missing) = (0..count).find(|n| !served.contains(n))
    {
        faults.push((driver.site, format!("the iothread mapping has no thread for queue '{missing}': it is missing")));
    }
    for (site, message) in faults {
        cx.error(&machine_codes::IOTHREAD, site, message);
    }
}

fn usb(c: &Controller, domain: &Domain, cx: &mut Cx<'_>) {
    if let Some(model @ (ControllerModel::Qusb1 | ControllerModel::Qusb2)) = c.model {
        let message = format!("<controller model='{model}'>: that is a USB controller of Xen, and QEMU has none of it");
        cx.error_at(&general::OTHER_HYPERVISOR, c.site, "model", message).help("use model='qemu-xhci'");
    }
    let written = |o: &&Controller| o.is(ControllerKind::Usb) && !o.site.is_none();
    let all = || domain.devices.iter().flat_map(|d| d.controllers.iter()).filter(written);
    let none = all().find(|o| o.model == Some(ControllerModel::None));
    if none.is_some_and(|none| none.site != c.site) && !c.site.is_none() {
        cx.error(&codes::CONTROLLERS, c.site, "a second <controller type='usb'>: one with model='none' says that USB is disabled in this domain, so another can't be")
            .help("remove <controller type='usb' model='none'/>");
    }
    let xhci = matches!(c.model, Some(ControllerModel::NecXhci | ControllerModel::QemuXhci));
    // Before, it was said when the command line was made.
    let model = c.model.filter(|m| !xhci && *m != ControllerModel::None && !cx.env.behaves(Quirk::UsbPortsOfUhciLater));
    if let (Some(model), true) = (model, c.ports.is_some()) {
        let message =
            format!("ports: a USB controller of model '{model}' has a fixed number of them, which cannot be set");
        cx.error_at(&general::USB_PORTS, c.site, "ports", message).help("remove 'ports', or use model='qemu-xhci'");
    }
    if let (true, Some(model), Some(ports)) = (xhci, c.model, c.ports)
        && ports > 15
    {
        cx.error_at(
            &general::USB_PORTS,
            c.site,
            "ports",
            format!("a USB controller of model '{model}' has at most 15 ports"),
        );
    }
    if c.info.alias.master.is_some() {
        let masters = || all().filter(|m| m.info.alias.master.is_none());
        // libvirt looks for the right one when it makes the command line.
        let found = masters().any(|m| m.index() == c.index() || cx.env.behaves(Quirk::FirstMasterLater));
        if !found {
            cx.error(
                &codes::CONTROLLERS,
                c.site,
                "companions need their master: no ICH9 EHCI (ehci1) with this index is specified as a USB controller",
            )
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
                format!("<target index='{index}'> of a PCI controller: 0 to 30 is the range"),
            );
        }
        if target.index.is_some_and(|t| (t == 0) != (c.index() == 0)) {
            cx.error_at(
                &codes::CONTROLLERS,
                target.site,
                "index",
                "<target index='0'> is for the PCI controller with index='0', which has no other (and vice versa)",
            );
        }
    }
    if matches!(c.model, Some(M::PciRoot | M::PcieRoot)) && (c.info.has_address() || c.info.address.wanted.is_some()) {
        let message = "pci-root and pcie-root are where all addresses begin, so they have no <address> of their own";
        cx.error(&codes::CONTROLLERS, c.info.address_site(), message).help("remove the <address>");
    }
    options(c, &target, machine, cx);
    if let (Some(Address::Pci(at)), index) = (&c.info.address.address, c.index())
        && index > 0
        && at.bus >= index
        && c.model == Some(M::PciBridge)
    {
        let bus = at.bus;
        let message = format!(
            "a PCI controller is behind a bus with a smaller number than its own: index {index} (0x{index:02x}) cannot be on bus='0x{bus:02x}'"
        );
        cx.error(&codes::CONTROLLERS, c.info.address_site(), message);
    }
    if let Some(number) = target.bus_nr.filter(|n| !(1..=254).contains(n)) {
        let message = format!("<target busNr='{number}'> of a PCI controller: 1 to 254 is the range");
        cx.error_at(&codes::CONTROLLERS, target.site, "busNr", message);
    }
    let numa = domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref());
    let cells = numa.map_or(0, |numa| numa.cells.len());
    if let (Some(node), Some(model)) = (target.node, c.model)
        && node as usize >= cells
    {
        let index = c.index();
        let message = format!(
            "<target> of the {model} with index {index} puts it at NUMA node {node}, and <cpu><numa> has {cells} cells"
        );
        cx.error(&codes::CONTROLLERS, target.site, message);
    }
    if c.hole.0.is_some() && c.index() != 0 {
        cx.error(&codes::CONTROLLERS, c.site, "pcihole64 is only possible for a PCI root controller");
    }
    let of_arm = machine.board == Board::Virt && machine.arch.is_arm() && !cx.env.behaves(Quirk::PciHoleOfPcs);
    if let Some(hole) = &c.hole.0
        && !matches!(machine.board, Board::I440fx | Board::Q35)
        && !of_arm
    {
        let message = format!(
            "<pcihole64>: the machine type '{}' has no 64-bit PCI hole whose size could be set: it is not supported",
            machine.name
        );
        cx.error(&general::PCI_HOLE, hole.site, message).help("remove it");
    }
    let boards = match c.model {
        Some(M::PcieExpanderBus) => matches!(machine.board, Board::Q35 | Board::Virt),
        Some(M::PciExpanderBus) => machine.board == Board::I440fx,
        _ => true,
    };
    if !boards {
        let model = c.model.map_or("", M::as_str);
        let message = format!("<controller model='{model}'>: this machine type has no bus on which it could be");
        cx.error_at(&general::EXPANDER, c.site, "model", message);
    }
    if target.hotplug.is_some() && !cx.has(Cap::PcieRootPortHotplug) {
        cx.error_at(
            &general::NOT_BY_QEMU,
            target.site,
            "hotplug",
            "<target hotplug>: the pcie-root-port of this QEMU has no such property",
        );
    }
}

/// What only some models of PCI controllers have.
fn options(c: &Controller, target: &super::PciTarget, machine: &Machine, cx: &mut Cx<'_>) {
    type M = ControllerModel;
    type D = super::PciDriver;
    let Some(model) = c.model else { return };
    let driver = c.pci_model.as_ref().and_then(|m| m.name);
    let host_bridge = model == M::PciRoot && machine.board == Board::Pseries;
    let expander = matches!(model, M::PciExpanderBus | M::PcieExpanderBus);
    let port = matches!(model, M::PcieRootPort | M::PcieSwitchDownstreamPort);
    let drivers: &[D] = match model {
        M::PciBridge => &[D::PciBridge],
        M::DmiToPciBridge => &[D::I82801b11Bridge],
        M::PcieToPciBridge => &[D::PciePciBridge],
        M::PcieRootPort => &[D::PcieRootPort, D::Ioh3420],
        M::PcieSwitchUpstreamPort => &[D::X3130Upstream],
        M::PcieSwitchDownstreamPort => &[D::Xio3130Downstream],
        M::PciExpanderBus => &[D::Pxb],
        M::PcieExpanderBus => &[D::PxbPcie],
        M::PciRoot if host_bridge => &[D::SpaprPciHostBridge],
        _ => &[],
    };
    let fits = driver.is_none_or(|d| drivers.contains(&d));
    let wrong = [
        ("modelName", !fits, if drivers.is_empty() { "is not valid" } else { "has an invalid value" }),
        ("chassisNr", target.chassis_nr.is_some() && model != M::PciBridge, "is not valid"),
        ("chassis", target.chassis.is_some() && !port, "is not valid"),
        ("port", target.port.is_some() && !port, "is not valid"),
        ("busNr", target.bus_nr.is_some() && !expander, "is not valid"),
        ("node", target.node.is_some() && !expander && !host_bridge, "is not valid"),
        ("index", target.index.is_some() && !host_bridge, "is not valid"),
        ("hotplug", target.hotplug.is_some() && !(port || model == M::PciRoot), "is not valid"),
        (
            "memReserve",
            target.mem_reserve.is_some() && !matches!(model, M::PcieRootPort | M::PciBridge),
            "is not valid",
        ),
    ];
    if let Some((option, _, what)) = wrong.iter().find(|(_, wrong, _)| *wrong) {
        let (index, name) = (c.index(), driver.map_or("none", D::as_str));
        let message = format!(
            "PCI controller with index '{index}', model '{model}' and modelName '{name}': the option '{option}' {what}"
        );
        cx.error(&codes::CONTROLLERS, c.site, message);
    }
}
