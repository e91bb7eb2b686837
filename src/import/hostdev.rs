//! Devices of the host that the guest gets.

use super::Import;
use super::element::Element;
use super::options::{Options, number};

impl Import {
    /// `<hostdev>`; none if it is another device, or one that the format cannot name.
    pub fn host_device(&mut self, driver: &str, device: &mut Options) -> Option<Element> {
        match driver {
            // With a screen of its own it cannot be unplugged, and has another name.
            "vfio-pci" | "vfio-pci-nohotplug" if device.get("host").is_some() => pci(device),
            "vfio-pci-nohotplug" => mediated("vfio-pci", device),
            "vfio-pci" | "vfio-ap" | "vfio-ccw" => mediated(driver, device),
            "usb-host" => usb(device),
            _ if driver.starts_with("vhost-scsi") => {
                let wwpn = device.get("wwpn")?.to_string();
                device.take("wwpn");
                device.take("vhostfd");
                let source = Element::new("source").attr("protocol", "vhost").attr("wwpn", wwpn);
                let mut out = hostdev("scsi_host").child(source);
                if let Some(model) = super::controllers::variant(driver) {
                    out.set("model", model);
                }
                Some(out)
            }
            _ => None,
        }
    }
}

fn hostdev(kind: &str) -> Element {
    Element::new("hostdev").attr("mode", "subsystem").attr("type", kind)
}

fn pci(device: &mut Options) -> Option<Element> {
    let host = device.get("host")?.to_string();
    let mut parts = host.rsplit(':');
    let (slot, function) = parts.next()?.split_once('.')?;
    let (bus, domain) = (parts.next()?, parts.next().unwrap_or("0000"));
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let address = Element::new("address")
        .attr("domain", format!("{:#06x}", hex(domain)?))
        .attr("bus", format!("{:#04x}", hex(bus)?))
        .attr("slot", format!("{:#04x}", hex(slot)?))
        .attr("function", format!("{:#x}", hex(function)?));
    device.take("host");
    let mut out = hostdev("pci").attr("managed", "yes").child(Element::new("source").child(address));
    if let Some(pair) = device.take("failover_pair_id") {
        out.push(Element::new("teaming").attr("type", "transient").attr("persistent", pair));
    }
    screen(&mut out, device);
    Some(out)
}

/// `display=` and `ramfb=`
fn screen(out: &mut Element, device: &mut Options) {
    for key in ["display", "ramfb"] {
        if let Some(state) = device.take_on_off(key) {
            out.set(key, state);
        }
    }
}

fn mediated(driver: &str, device: &mut Options) -> Option<Element> {
    let path = device.get("sysfsdev")?.to_string();
    let uuid = path.trim_end_matches('/').rsplit('/').next()?.to_string();
    // The path of a PCI device of the host is another way to name it.
    if !path.contains("/mdev") && uuid.contains(':') {
        device.take("sysfsdev");
        device.set("host", uuid);
        return pci(device);
    }
    <crate::vocab::Uuid as crate::vocab::Value>::parse(&uuid).ok()?;
    device.take("sysfsdev");
    let source = Element::new("source").child(Element::new("address").attr("uuid", uuid));
    let mut out = hostdev("mdev").attr("managed", "no").attr("model", driver).child(source);
    screen(&mut out, device);
    Some(out)
}

fn usb(device: &mut Options) -> Option<Element> {
    let mut source = Element::new("source");
    let hex = |text: Option<&str>| text.and_then(number).map(|n| format!("{n:#06x}"));
    let (vendor, product) = (hex(device.get("vendorid")), hex(device.get("productid")));
    let node = device.get("hostdevice").and_then(|path| {
        let mut parts = path.strip_prefix("/dev/bus/usb/")?.split('/');
        Some((parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?))
    });
    let given = (device.get("hostbus").and_then(number), device.get("hostaddr").and_then(number));
    match (vendor, product, node, given) {
        (Some(vendor), Some(product), ..) => {
            source.push(Element::new("vendor").attr("id", vendor));
            source.push(Element::new("product").attr("id", product));
        }
        (_, _, Some((bus, address)), _) => {
            source.push(Element::new("address").attr("bus", bus).attr("device", address));
        }
        (_, _, _, (Some(bus), Some(address))) => {
            source.push(Element::new("address").attr("bus", bus).attr("device", address));
        }
        _ => return None,
    }
    for key in ["vendorid", "productid", "hostdevice", "hostbus", "hostaddr"] {
        device.take(key);
    }
    match (device.take_switch("guest-reset"), device.take_switch("guest-resets-all")) {
        (Some(false), _) => source.set("guestReset", "off"),
        (Some(true), Some(false)) => source.set("guestReset", "uninitialized"),
        (Some(true), _) => source.set("guestReset", "on"),
        _ => {}
    }
    Some(hostdev("usb").attr("managed", "yes").child(source))
}
