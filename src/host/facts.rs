//! How the values of host facts are written: sizes, paths, lists of CPUs, times.

use super::kdl::Fact;
use super::lines::Written;
use super::rows::{How, Tell};
use super::*;
use crate::vocab::{NumberSet, Value, iso_time, parse_iec, seconds_since_1970};
use ::kdl::KdlValue;

/// The text of a value.
fn text(value: &KdlValue, expected: &str) -> Result<String, String> {
    String::read(value).map_err(|_| expected.to_string())
}

macro_rules! word_facts {
    ($($ty:ty),+ $(,)?) => { $(
        impl Fact for $ty {
            fn read(value: &KdlValue) -> Result<Self, String> {
                let word = text(value, "a string in quotes")?;
                <$ty as Value>::parse(&word)
            }
        }

        impl Tell for $ty {
            fn written(&self) -> Written {
                Written::Text(self.to_text())
            }
        }
    )+ };
}
word_facts!(
    Arch,
    Uuid,
    VhostNetPolicy,
    InstanceMode,
    SecurityDriver,
    Seccomp,
    Deprecation,
    DeprecatedFeatures,
    VhostUserKind,
    SecretUsage,
    ForwardMode,
    Plug,
    PoolKind,
    VolumeKind,
    Distribution,
);

/// A size in bytes, written as `"2MiB"`.
pub struct Bytes(pub u64);

impl Fact for Bytes {
    fn read(value: &KdlValue) -> Result<Self, String> {
        let expected = "a size with a unit, such as \"4KiB\" or \"2MiB\"";
        let text = text(value, expected)?;
        parse_iec(&text).filter(|_| text.ends_with('B')).map(Bytes).ok_or_else(|| expected.to_string())
    }
}

impl Fact for std::net::Ipv4Addr {
    fn read(value: &KdlValue) -> Result<Self, String> {
        let expected = "an IPv4 address, such as \"192.168.122.2\"";
        text(value, expected)?.parse().map_err(|_| expected.to_string())
    }
}

/// A MAC address.
pub struct Mac(pub String);

impl Fact for Mac {
    fn read(value: &KdlValue) -> Result<Self, String> {
        let expected = "a MAC address, such as \"52:54:00:12:34:56\"";
        let text = text(value, expected)?;
        let parts = Vec::from_iter(text.split(':'));
        let pair = |p: &&str| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit());
        if parts.len() == 6 && parts.iter().all(pair) {
            Ok(Mac(text.to_ascii_lowercase()))
        } else {
            Err(expected.to_string())
        }
    }
}

/// A level of detail from 0 to 9.
pub struct Level(pub u8);

impl Fact for Level {
    fn read(value: &KdlValue) -> Result<Self, String> {
        let level = value.as_integer().and_then(|n| u8::try_from(n).ok()).filter(|n| *n <= 9);
        level.map(Level).ok_or_else(|| "a number from 0 to 9".to_string())
    }
}

/// An absolute path.
pub struct Path(pub String);

impl Fact for Path {
    fn read(value: &KdlValue) -> Result<Self, String> {
        let expected = "an absolute path";
        let text = text(value, expected)?;
        if text.starts_with('/') { Ok(Path(text)) } else { Err(expected.to_string()) }
    }
}

/// A list of numbers and ranges: `"0-3,8"`.
pub struct Numbers(pub Vec<u32>);

impl Fact for Numbers {
    fn read(value: &KdlValue) -> Result<Self, String> {
        let expected = "a list of numbers and ranges up to 16383, such as \"0-3,8\"";
        let text = text(value, expected)?;
        // A node without CPUs has an empty list.
        if text.is_empty() {
            return Ok(Numbers(Vec::new()));
        }
        parse_numbers(&text).map(Numbers).ok_or_else(|| expected.to_string())
    }
}

impl How<String> for Path {
    fn read(value: &KdlValue) -> Result<String, String> {
        <Path as Fact>::read(value).map(|path| path.0)
    }
    fn written(value: &String) -> Written {
        Written::Text(value.clone())
    }
}

impl How<u64> for Bytes {
    fn read(value: &KdlValue) -> Result<u64, String> {
        <Bytes as Fact>::read(value).map(|bytes| bytes.0)
    }
    fn written(value: &u64) -> Written {
        Written::Text(print_size(*value))
    }
}

impl How<u8> for Level {
    fn read(value: &KdlValue) -> Result<u8, String> {
        <Level as Fact>::read(value).map(|level| level.0)
    }
    fn written(value: &u8) -> Written {
        value.written()
    }
}

/// Reads `0-3,8`: the numbers, ascending, each once.
pub fn parse_numbers(text: &str) -> Option<Vec<u32>> {
    NumberSet::parse(text).ok().map(|set| set.iter().collect())
}

/// Writes `0-3,8`.
pub fn print_numbers(numbers: &[u32]) -> String {
    numbers.iter().copied().collect::<NumberSet>().to_text()
}

impl Fact for PciAddress {
    fn read(value: &KdlValue) -> Result<Self, String> {
        let expected = "a PCI address such as \"0000:06:12.1\"";
        PciAddress::parse(&text(value, expected)?).ok_or_else(|| expected.to_string())
    }
}

impl Fact for Random {
    fn read(value: &KdlValue) -> Result<Self, String> {
        let expected = "\"derived\", \"counting\" or \"seed:\" and an even number of hexadecimal digits";
        let text = text(value, expected)?;
        match text.as_str() {
            "derived" => Ok(Random::Derived),
            "counting" => Ok(Random::Counting),
            other => other
                .strip_prefix("seed:")
                .and_then(|hex| {
                    let digits: Option<Vec<u8>> = hex.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
                    digits.filter(|d| !d.is_empty() && d.len() % 2 == 0)
                })
                .map(|digits| Random::Seed(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
                .ok_or_else(|| expected.to_string()),
        }
    }
}

/// Seconds since 1970, written as an RFC 3339 time in UTC.
pub struct Time(pub i64);

impl Fact for Time {
    fn read(value: &KdlValue) -> Result<Self, String> {
        let expected = "a time in UTC such as \"2009-02-13T23:31:30Z\"";
        parse_time(&text(value, expected)?).map(Time).ok_or_else(|| expected.to_string())
    }
}

/// Reads `2009-02-13T23:31:30Z`; a fraction of a second does not count.
fn parse_time(text: &str) -> Option<i64> {
    let text = text.strip_suffix(['Z', 'z']).or_else(|| text.strip_suffix("+00:00"))?;
    let time = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit()) => whole,
        Some(_) => return None,
        None => text,
    };
    let has_time = time.contains(['T', 't', ' ']);
    seconds_since_1970(time).filter(|_| has_time)
}

/// Writes `2009-02-13T23:31:30Z`.
pub fn print_time(seconds: i64) -> String {
    iso_time(seconds) + "Z"
}

/// An address with a prefix length: `192.168.122.1/24`.
pub struct Cidr(pub String);

impl Fact for Cidr {
    fn read(value: &KdlValue) -> Result<Self, String> {
        let expected = "an address with a prefix length, such as \"192.168.122.1/24\"";
        let text = text(value, expected)?;
        let valid = text.split_once('/').is_some_and(|(address, prefix)| {
            let most = match address.parse::<std::net::IpAddr>() {
                Ok(std::net::IpAddr::V4(_)) => 32,
                Ok(std::net::IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            prefix.bytes().all(|b| b.is_ascii_digit()) && prefix.parse::<u8>().is_ok_and(|bits| bits <= most)
        });
        if valid { Ok(Cidr(text)) } else { Err(expected.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_time("2009-02-13T23:31:30Z"), Some(1_234_567_890));
        assert_eq!(parse_time("2000-02-29T12:00:00.5+00:00"), Some(951_825_600));
        for seconds in [0, 1_234_567_890, 951_825_600, 951_868_799, 4_102_444_800, -1] {
            assert_eq!(parse_time(&print_time(seconds)), Some(seconds));
        }
        for wrong in ["", "2009-02-13", "2009-02-30T00:00:00Z", "2009-02-13T24:00:00Z", "2009-02-13T00:00:00", "é"] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lists_of_numbers_are_read_and_printed() {
        assert_eq!(parse_numbers("0-3,8"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(print_numbers(&[0, 1, 2, 3, 8]), "0-3,8");
        assert_eq!(print_numbers(&[5]), "5");
        assert_eq!(print_numbers(&[]), "");
        for wrong in ["", "3-1", "a", "1-", "0-99999999", "-1", "1,,2"] {
            assert_eq!(parse_numbers(wrong), None, "{wrong}");
        }
    }
}
