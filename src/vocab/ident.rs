//! UUIDs and MAC addresses.

use super::Value;
use std::fmt;

/// A UUID, printed in lower case with hyphens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Uuid {
    /// Sets the version (4) and variant bits that RFC 4122 asks of a random UUID.
    pub fn from_random(mut bytes: [u8; 16]) -> Uuid {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Uuid(bytes)
    }
}

impl Value for Uuid {
    /// Takes 32 hexadecimal digits; hyphens and blanks between them do not count.
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || "a UUID such as 'c7a5fdbd-edaf-9455-926a-d65c16db1809'".to_string();
        let mut bytes = [0u8; 16];
        let mut count = 0;
        for c in text.trim().chars().filter(|c| *c != '-' && !c.is_whitespace()) {
            let digit = c.to_digit(16).ok_or_else(expected)? as u8;
            if count == 32 {
                return Err(expected());
            }
            bytes[count / 2] = bytes[count / 2] << 4 | digit;
            count += 1;
        }
        if count == 32 { Ok(Uuid(bytes)) } else { Err(expected()) }
    }
    fn print(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }
}

/// A MAC address, printed in lower case with colons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Value for Mac {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || "a MAC address such as '52:54:00:12:34:56'".to_string();
        let mut bytes = [0u8; 6];
        let mut parts = text.trim().split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| (1..=2).contains(&p.len())).ok_or_else(expected)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| expected())?;
        }
        if parts.next().is_none() { Ok(Mac(bytes)) } else { Err(expected()) }
    }
    fn print(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }
}
