//! Sets of CPU and node numbers: `0-3,^2,8`.

use super::Value;
use std::collections::BTreeSet;

/// A set of numbers, printed with ranges: `0-1,3,8`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash, PartialOrd, Ord)]
pub struct NumberSet(pub BTreeSet<u32>);

/// The highest number that a set may hold. libvirt's limit for host CPUs is 16384, for nodes 1024.
const MAX_NUMBER: u32 = 16383;

/// Small numbers as bits, so that a range costs as much as its words: `0-8000` may be said ten thousand times.
#[derive(Clone, Default)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// Puts `first..=last` in. The caller bounds `last`.
    pub fn set(&mut self, first: u32, last: u32) {
        let (from, to) = (first as usize / 64, last as usize / 64);
        if self.0.len() <= to {
            self.0.resize(to + 1, 0);
        }
        for (at, word) in self.0.iter_mut().enumerate().take(to + 1).skip(from) {
            let low = if at == from { first % 64 } else { 0 };
            let high = if at == to { last % 64 } else { 63 };
            *word |= (u64::MAX >> (63 - high)) & (u64::MAX << low);
        }
    }

    /// Takes a number out.
    pub fn clear(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let bits = |(at, word): (usize, &u64)| {
            let word = *word;
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at as u32 * 64 + bit)
        };
        self.0.iter().enumerate().flat_map(bits)
    }
}

impl NumberSet {
    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the number is in it.
    pub fn has(&self, number: u32) -> bool {
        self.0.contains(&number)
    }

    /// The ranges `first..=last` of which the set consists, ascending.
    pub fn ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for number in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => ranges.push((number, number)),
            }
        }
        ranges
    }
}

impl FromIterator<u32> for NumberSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> NumberSet {
        NumberSet(numbers.into_iter().collect())
    }
}

impl Value for NumberSet {
    /// Takes numbers and ranges, separated by commas; `^N` takes one out again.
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            let what = "a bitmap that can be parsed: numbers and ranges such as '0-3,^2,8'";
            what.to_string()
        };
        let number = |digits: &str| -> Result<u32, String> {
            let digits = digits.trim();
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let number = if plain { digits.parse().ok() } else { None };
            number.filter(|n| *n <= MAX_NUMBER).ok_or_else(expected)
        };
        let mut set = Bits::default();
        for part in text.trim().split(',') {
            let part = part.trim();
            if let Some(out) = part.strip_prefix('^') {
                set.clear(number(out)?);
            } else if let Some((first, last)) = part.split_once('-') {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return Err(expected());
                }
                set.set(first, last);
            } else {
                let one = number(part)?;
                set.set(one, one);
            }
        }
        Ok(set.iter().collect())
    }

    fn print(&self, out: &mut String) {
        use std::fmt::Write;
        for (i, (first, last)) in self.ranges().into_iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            let _ = if first == last { write!(out, "{first}") } else { write!(out, "{first}-{last}") };
        }
    }
}

/// `0-3,8`, as the kernel and systemd take it.
impl std::fmt::Display for NumberSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// In JSON it is text, `0-3,8`; the empty set is an empty one.
impl serde::Serialize for NumberSet {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for NumberSet {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<NumberSet, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(from)?;
        if text.is_empty() {
            return Ok(NumberSet::default());
        }
        NumberSet::parse(&text).map_err(|expected| serde::de::Error::custom(format!("'{text}' is not {expected}")))
    }
}

#[cfg(test)]
impl schemars::JsonSchema for NumberSet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NumberSet".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Numbers of CPUs or nodes: `0-1,3,8`.",
            "type": "string",
            "pattern": "^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_numbers() {
        let mut bits = Bits::default();
        for (first, last) in [(0, 0), (63, 64), (130, 200), (7, 9)] {
            bits.set(first, last);
        }
        bits.clear(8);
        bits.clear(9999);
        let expected: Vec<u32> = [0, 7, 9, 63, 64].into_iter().chain(130..=200).collect();
        assert_eq!(bits.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn sets_are_read_and_printed() {
        for (text, printed) in [("0-3,^2,8", "0-1,3,8"), ("1", "1"), ("4,3,2", "2-4"), (" 0 - 1 ", "0-1")] {
            assert_eq!(NumberSet::parse(text).map(|s| s.to_text()), Ok(printed.to_string()), "{text}");
        }
        assert_eq!(serde_json::from_str::<NumberSet>("\"\"").ok(), Some(NumberSet::default()));
        assert!(serde_json::from_str::<NumberSet>("\"0-99999\"").is_err());
        for wrong in ["", "aaa", "3-1", "1,,2", "-1", "99999999"] {
            assert!(NumberSet::parse(wrong).is_err(), "{wrong}");
        }
    }
}
