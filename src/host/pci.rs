//! PCI addresses of the host.

use std::fmt;

/// Address of a PCI device of the host: `0000:06:12.1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, PartialOrd, Ord)]
pub struct PciAddress {
    /// Domain (segment).
    pub domain: u32,
    /// Bus.
    pub bus: u8,
    /// Slot, 0 to 31.
    pub slot: u8,
    /// Function, 0 to 7.
    pub function: u8,
}

impl PciAddress {
    /// Reads `DOMAIN:BUS:SLOT.FUNCTION`, hexadecimal; none if it is not that.
    pub fn parse(text: &str) -> Option<PciAddress> {
        let (rest, function) = text.rsplit_once('.')?;
        let (rest, slot) = rest.rsplit_once(':')?;
        let (domain, bus) = rest.split_once(':')?;
        let hex = |digits: &str, most: u32| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
            if !plain {
                return None;
            }
            u32::from_str_radix(digits, 16).ok().filter(|n| *n <= most)
        };
        Some(PciAddress {
            domain: hex(domain, u32::MAX)?,
            bus: hex(bus, 0xff)? as u8,
            slot: hex(slot, 0x1f)? as u8,
            function: hex(function, 7)? as u8,
        })
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.slot, self.function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_printed() {
        let address = PciAddress::parse("0021:de:1f.1").expect("a PCI address");
        assert_eq!(address, PciAddress { domain: 0x21, bus: 0xde, slot: 0x1f, function: 1 });
        assert_eq!(address.to_string(), "0021:de:1f.1");
        for wrong in ["", "0000:00:20.0", "0000:00:1f.8", "00:1f.0", "+000:00:00.0", "0000:00:00"] {
            assert_eq!(PciAddress::parse(wrong), None, "{wrong}");
        }
    }
}
