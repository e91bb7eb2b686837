//! Ids of the devices in QEMU, derived from kind, position and address.

use crate::device::address::Address;
use crate::device::controller::{Controller, ControllerKind, ControllerModel};
use crate::device::disk::{Disk, DiskBus};
use crate::device::{Device, Devices, families};
use crate::domain::Domain;
use crate::stage::{Board, Machine};

/// Gives every device its id: the user's alias, or one derived as libvirt does.
pub fn assign(domain: &mut Domain, machine: &Machine) {
    let Some(devices) = &mut domain.devices else { return };
    for disk in &mut devices.disks {
        let id = disk_id(disk, &devices.controllers);
        set(disk, id);
    }
    for controller in &mut devices.controllers {
        let id = controller_id(controller, machine);
        let board = controller.index() == 0
            && match controller.kind {
                Some(ControllerKind::Pci) => true,
                Some(ControllerKind::Ide) => machine.has_builtin_ide(),
                Some(ControllerKind::Sata) => machine.board == Board::Q35,
                _ => false,
            };
        if board {
            // QEMU names the buses of the board, whatever alias the user gives them.
            controller.info.id = id;
        } else {
            set(controller, id);
        }
    }
    number_unnamed(&mut devices.interfaces, "net", |i| !i.is_host_device());
    numbered(devices);
    let nics = devices.interfaces.iter_mut().filter(|i| i.is_host_device());
    let nics = nics.map(|i| i as &mut dyn Device).chain(devices.hostdevs.iter_mut().map(|h| h as &mut dyn Device));
    // A name of the user's takes no number.
    let mut next = 0;
    for device in nics {
        let own = device.info().alias.user.is_some();
        set(device, format!("hostdev{next}"));
        next += u32::from(!own);
    }
    let ids = crate::device::memory::ids(&devices.memories);
    for (device, id) in devices.memories.iter_mut().zip(ids) {
        set(device, id);
    }
    keep(devices);
}

macro_rules! numbers {
    (@ (each $prefix:literal), $devices:expr) => {
        number($devices, $prefix)
    };
    (@ (unnamed $prefix:literal), $devices:expr) => {
        number_unnamed($devices, $prefix, |_| true)
    };
    (@ (own), $devices:expr) => {};
    (@ (none), $devices:expr) => {};
    ($($field:ident: $module:ident::$model:ident {
        lower: $lower:tt, id: $id:tt, plug: $plug:tt, lock: $lock:tt, import: $import:tt
    })*) => {
        /// Numbers the families for which the table says no more than that.
        fn numbered(devices: &mut Devices) {
            $(numbers!(@ $id, &mut devices.$field);)*
        }
    };
}
families!(numbers);

/// Gives devices the names that a lock has for them; the others get numbers that are free. Names of disks and controllers
/// say where they are, and stay.
fn keep(devices: &mut Devices) {
    if devices.held.ids.is_empty() {
        return;
    }
    let ids = std::mem::take(&mut devices.held.ids);
    let mut taken: Vec<String> = ids.iter().map(|(_, id)| id.clone()).collect();
    devices.each_named_mut(&mut |element, device| {
        if matches!(element, "disk" | "controller") || device.info().alias.user.is_some() {
            return;
        }
        let site = device.site();
        let id = device.info().id.clone();
        // A console and the serial port that it is stand at one place.
        let word = id.trim_end_matches(|c: char| c.is_ascii_digit());
        let own = |kept: &str| kept.trim_end_matches(|c: char| c.is_ascii_digit()) == word;
        if let Some((_, kept)) = ids.iter().find(|(at, kept)| *at == site && !site.is_none() && own(kept)) {
            device.info_mut().id = kept.clone();
        } else if taken.contains(&id) {
            let free = (0..).map(|n: u32| format!("{word}{n}")).find(|name| !taken.contains(name));
            let free = free.unwrap_or_else(|| id.clone());
            taken.push(free.clone());
            device.info_mut().id = free;
        }
    });
    devices.held.ids = ids;
}

fn set(device: &mut dyn Device, id: String) {
    let info = device.info_mut();
    info.id = info.alias.user.clone().unwrap_or(id);
}

fn number<D: Device>(devices: &mut [D], prefix: &str) {
    for (i, device) in devices.iter_mut().enumerate() {
        set(device, format!("{prefix}{i}"));
    }
}

/// Numbers those that count; one to which the user gives a name takes no number.
fn number_unnamed<D: Device>(devices: &mut [D], prefix: &str, counts: impl Fn(&D) -> bool) {
    let mut next = 0;
    for device in devices.iter_mut().filter(|d| counts(d)) {
        let own = device.info().alias.user.is_some();
        set(device, format!("{prefix}{next}"));
        next += u32::from(!own);
    }
}

fn disk_id(disk: &Disk, controllers: &[Controller]) -> String {
    let bus = disk.bus().map_or("disk", DiskBus::as_str);
    match (&disk.info.address.address, disk.bus()) {
        (Some(Address::Drive(d)), Some(DiskBus::Ide | DiskBus::Sata | DiskBus::Fdc | DiskBus::Nvme)) => {
            format!("{bus}{}-{}-{}", d.controller, d.bus, d.unit)
        }
        (Some(Address::Drive(d)), Some(DiskBus::Scsi)) => {
            let controller = controllers.iter().find(|c| c.is(ControllerKind::Scsi) && c.index() == d.controller);
            if controller.and_then(|c| c.model) == Some(ControllerModel::Lsilogic) {
                format!("scsi{}-{}-{}", d.controller, d.bus, d.unit)
            } else {
                format!("scsi{}-{}-{}-{}", d.controller, d.bus, d.target, d.unit)
            }
        }
        _ if disk.number().is_none() && disk.dev().starts_with("nvme") => format!("{bus}-disk-1"),
        _ => format!("{bus}-disk{}", disk.number().unwrap_or(0)),
    }
}

/// The bus of a controller is named after its id: `usb.0`, `pci.1`. QEMU has names of its own for the
/// buses of the board, and for those that libvirt takes the id from QEMU's name.
fn controller_id(controller: &Controller, machine: &Machine) -> String {
    let index = controller.index();
    match controller.kind {
        Some(ControllerKind::Pci) if index == 0 && machine.has_pcie_root() => "pcie.0".to_string(),
        Some(ControllerKind::Pci) if index == 0 && !machine.numbers_pci_buses() => "pci".to_string(),
        Some(ControllerKind::Pci) => format!("pci.{index}"),
        Some(ControllerKind::Ide) if index == 0 && machine.has_builtin_ide() => "ide".to_string(),
        Some(ControllerKind::Sata) if index == 0 && machine.board == Board::Q35 => "ide".to_string(),
        Some(ControllerKind::Usb) if index == 0 => "usb".to_string(),
        Some(ControllerKind::Scsi) if index == 0 && controller.model == Some(ControllerModel::Ncr53c90) => {
            "scsi".to_string()
        }
        Some(kind) => format!("{kind}{index}"),
        None => String::new(),
    }
}
