//! Sizes with units.

/// How many bytes a unit of the domain format stands for (formatdomain, "Memory Allocation"):
/// `KiB` and `k` are 1024, `KB` is 1000; case does not count. None for an unknown unit.
fn unit(name: &str) -> Option<u64> {
    let lower = name.to_ascii_lowercase();
    if matches!(lower.as_str(), "b" | "byte" | "bytes") {
        return Some(1);
    }
    let power = match lower.as_bytes().first()? {
        b'k' => 1,
        b'm' => 2,
        b'g' => 3,
        b't' => 4,
        b'p' => 5,
        b'e' => 6,
        _ => return None,
    };
    match &lower[1..] {
        "" | "ib" => Some(1u64 << (10 * power)),
        "b" => Some(10u64.pow(3 * power)),
        _ => None,
    }
}

/// A size in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// Number and unit, in the largest unit that gives a whole number.
    pub fn in_largest_unit(self) -> (u64, &'static str) {
        const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
        let (mut value, mut unit) = (self.0, 0);
        while value > 0 && value.is_multiple_of(1024) && unit + 1 < UNITS.len() {
            value /= 1024;
            unit += 1;
        }
        (value, UNITS[unit])
    }

    /// `number` of `unit_name`; none for an unknown unit or more than 2^64 bytes.
    pub fn of(number: u64, unit_name: &str) -> Option<Size> {
        number.checked_mul(unit(unit_name)?).map(Size)
    }

    /// In KiB, rounded up.
    pub fn kib(self) -> u64 {
        self.0.div_ceil(1024)
    }
}

/// Parses `"2MiB"`, the form of the host facts; none if it is not a number and an IEC unit.
pub fn parse_iec(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "" | "B" => Some(number),
        unit_name if unit_name.ends_with("iB") => Size::of(number, unit_name).map(|s| s.0),
        _ => None,
    }
}
