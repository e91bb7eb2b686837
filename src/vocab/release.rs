//! A release of libvirt.

use std::fmt;
use std::str::FromStr;

/// A release of libvirt: 12.8. What a later digit says (12.8.1) never changed the format.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Release {
    /// 12 of 12.8.
    pub major: u16,
    /// 8 of 12.8.
    pub minor: u16,
}

impl Release {
    /// The oldest that can be asked for.
    pub const OLDEST: Release = Release::new(11, 3);
    /// The newest that is known.
    pub const NEWEST: Release = Release::new(12, 8);

    /// The release `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Release {
        Release { major, minor }
    }
}

impl Default for Release {
    fn default() -> Release {
        Release::NEWEST
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Release {
    type Err = String;

    fn from_str(text: &str) -> Result<Release, String> {
        let wrong = || format!("'{text}' is no version of libvirt, such as {}", Release::NEWEST);
        let mut parts = text.split('.');
        let mut number = || parts.next().and_then(|p| p.parse::<u16>().ok());
        let (major, minor) = number().zip(number()).ok_or_else(wrong)?;
        let rest: Vec<&str> = parts.collect();
        match rest.as_slice() {
            [] => {}
            [micro] if micro.parse::<u16>().is_ok() => {}
            _ => return Err(wrong()),
        }
        Ok(Release { major, minor })
    }
}

#[cfg(test)]
mod tests {
    use super::Release;

    #[test]
    fn reads_two_or_three_numbers() {
        assert_eq!("12.8".parse(), Ok(Release::new(12, 8)));
        assert_eq!("11.3.0".parse(), Ok(Release::new(11, 3)));
        for wrong in ["", "12", "12.x", "12.8.", "12.8.0.1", "v12.8"] {
            assert!(wrong.parse::<Release>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn orders_by_number() {
        assert!(Release::new(11, 10) > Release::new(11, 9));
        assert!(Release::new(12, 0) > Release::new(11, 10));
    }
}
