//! The first console and the first serial port are one device.
//!
//! The oldest form of the format had only `<console>` for the serial port of a machine; since then each is
//! derived from the other where one is missing. The ports of both are numbered here.

use crate::device::Devices;
use crate::device::console::{Console, ConsoleTarget, ConsoleTargetType};
use crate::device::serial::{Serial, SerialTargetType};
use crate::diag::codes::chardev as codes;
use crate::domain::Domain;
use crate::stage::Cx;

/// Numbers the ports that have no number: one more than the highest of all.
fn number<'a>(ports: impl Iterator<Item = &'a mut Option<u32>>) {
    let ports: Vec<&mut Option<u32>> = ports.collect();
    let mut next = ports.iter().filter_map(|p| **p).max().map_or(0, |highest| highest.saturating_add(1));
    for port in ports {
        if port.is_none() {
            *port = Some(next);
            next = next.saturating_add(1);
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
    number(devices.serials.iter_mut().map(|s| &mut s.target.get_or_insert_default().port));
    number(devices.parallels.iter_mut().map(|p| &mut p.target.get_or_insert_default().port));
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
