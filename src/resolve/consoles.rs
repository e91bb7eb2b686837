//! The first console and the first serial port are one device.
//!
//! The oldest form of the format had only `<console>` for the serial port of a machine; since then each is
//! derived from the other where one is missing. The ports of both are numbered here.

use crate::device::Devices;
use crate::device::console::{Console, ConsoleTarget, ConsoleTargetType};
use crate::device::parallel::Parallel;
use crate::device::serial::{Serial, SerialTargetType};
use crate::diag::codes::chardev as codes;
use crate::domain::Domain;
use crate::stage::Cx;

/// One more than the highest of these ports.
fn beyond<'a>(ports: impl Iterator<Item = &'a Option<u32>>) -> u32 {
    ports.flatten().max().map_or(0, |highest| highest.saturating_add(1))
}

/// Numbers the serial ports that have no number: one more than the highest of all.
fn number_serials(serials: &mut [Serial]) {
    let mut next = beyond(serials.iter().filter_map(|s| s.target.as_ref()).map(|t| &t.port));
    for serial in serials {
        let port = &mut serial.target.get_or_insert_default().port;
        if port.is_none() {
            *port = Some(next);
            next = next.saturating_add(1);
        }
    }
}

/// Numbers the parallel ports that have no number: one more than the highest before.
fn number_parallels(parallels: &mut [Parallel]) {
    for i in 0..parallels.len() {
        let next = beyond(parallels[..i].iter().filter_map(|p| p.target.as_ref()).map(|t| &t.port));
        parallels[i].target.get_or_insert_default().port.get_or_insert(next);
    }
}

/// COM1 to COM4 (QEMU, isa-serial).
const ISA_PORTS: u32 = 4;

/// The ports of an ISA bus, where the XML says that it means that bus: each is one port's, and who names none gets the
/// first that is free.
fn number_isa(serials: &mut [Serial], cx: &mut Cx<'_>) {
    let isa = |s: &Serial| s.target.as_ref().is_some_and(|t| t.kind == Some(SerialTargetType::IsaSerial));
    let mut taken = [false; ISA_PORTS as usize];
    for serial in serials.iter().filter(|s| isa(s)) {
        let Some(port) = serial.target.as_ref().and_then(|t| t.port) else { continue };
        let fault = match taken.get_mut(port as usize) {
            None => format!("ISA has at most {ISA_PORTS} serial ports, 0 to 3, and this is port {port}"),
            Some(taken) if *taken => {
                format!("two ISA serial ports have the same number: port '{port}' is taken already")
            }
            Some(free) => {
                *free = true;
                continue;
            }
        };
        cx.error_in(&codes::UNSUPPORTED, serial.site, "target", fault).help("remove 'port', and virtc chooses one");
    }
    for serial in serials.iter_mut().filter(|s| isa(s)) {
        let free = taken.iter().position(|t| !t);
        let (site, Some(target)) = (serial.site, &mut serial.target) else { continue };
        if target.port.is_some() {
            continue;
        }
        match free {
            Some(free) => {
                taken[free] = true;
                target.port = Some(free as u32);
            }
            None => {
                let message = format!("ISA has at most {ISA_PORTS} serial ports, and no one is free for this");
                cx.error(&codes::UNSUPPORTED, site, message)
                    .help("make it <target type='pci-serial'/> or <target type='usb-serial'/>");
            }
        }
    }
}

/// Derives the first console from the first serial port, or the other way round.
pub fn pair(domain: &mut Domain, cx: &mut Cx<'_>) {
    let Some(devices) = &mut domain.devices else { return };
    let kind = |c: &Console| c.target_type();
    for console in devices.consoles.iter().skip(1) {
        if kind(console) == Some(ConsoleTargetType::Serial) {
            cx.error(&codes::CONSOLE, console.site, "a <console> with <target type='serial'/> has to come before all other consoles: the serial port of the machine is its first console")
                .help("give the further consoles <target type='virtio'/>");
        }
    }
    number_isa(&mut devices.serials, cx);
    number_serials(&mut devices.serials);
    number_parallels(&mut devices.parallels);
    // Consoles are numbered as they stand, whatever the XML says.
    for (i, console) in devices.consoles.iter_mut().enumerate() {
        console.target.get_or_insert_default().port = Some(i as u32);
    }
    let first = devices.consoles.first().map(kind);
    match first {
        Some(None | Some(ConsoleTargetType::Serial)) => console_is_serial(devices),
        _ => serial_is_console(devices),
    }
}

/// The first console means the serial port.
fn console_is_serial(devices: &mut Devices) {
    let Some(console) = devices.consoles.first_mut() else { return };
    if devices.serials.is_empty() {
        let port = console.target.as_ref().and_then(|t| t.port);
        let mut serial = Serial { source: console.source.clone(), info: console.info.clone(), ..Serial::default() };
        serial.site = console.site;
        serial.target.get_or_insert_default().port = port;
        devices.serials.push(serial);
    }
    let target = console.target.get_or_insert_default();
    target.kind = Some(ConsoleTargetType::Serial);
    console.info = Default::default();
}

/// A serial port that a guest would use as its console gets one.
fn serial_is_console(devices: &mut Devices) {
    use SerialTargetType as T;
    let Some(serial) = devices.serials.first() else { return };
    if !matches!(serial.target_type(), None | Some(T::IsaSerial | T::SpaprVioSerial | T::SystemSerial | T::SclpSerial))
    {
        return;
    }
    let target = ConsoleTarget { kind: Some(ConsoleTargetType::Serial), port: Some(0), ..ConsoleTarget::default() };
    devices.consoles.insert(0, Console { target: Some(target), ..Console::default() });
    for (i, console) in devices.consoles.iter_mut().enumerate() {
        console.target.get_or_insert_default().port = Some(i as u32);
    }
}

/// Prints the first serial port as the first console, with everything that has been assigned to it.
pub fn mirror(domain: &mut Domain) {
    let Some(devices) = &mut domain.devices else { return };
    let Some(serial) = devices.serials.first() else { return };
    if let Some(console) = devices.consoles.first_mut()
        && console.target_type() == Some(ConsoleTargetType::Serial)
    {
        console.source = serial.source.clone();
        console.info = serial.info.clone();
        console.target.get_or_insert_default().port = Some(serial.port());
    }
}
