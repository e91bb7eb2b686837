//! The vocabulary that all stages share: keywords, identifiers, sizes.

mod arch;
mod ident;
pub mod nodes;
mod numbers;
pub(crate) mod options;
mod parts;
mod release;
mod size;
mod sum;
mod time;

pub use arch::Arch;
pub use ident::{Mac, Uuid};
pub use numbers::{Bits, NumberSet};
pub use parts::{before, file_name};
pub use release::Release;
pub use size::{Size, parse_iec};
pub use sum::{base36, sum, sum_from};
pub use time::{iso_time, seconds_since_1970};

/// The file in the run-time directory of a machine into which QEMU writes what its guest shows, when it is asked.
pub const SCREEN: &str = "screen";

/// Declares an enumeration whose values are words of the domain format (or another text format).
///
/// Gives `as_str`, `parse`, `ALL`, `Display` and, for the model, [`Value`].
macro_rules! keywords {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* #[doc = concat!("`", $word, "`")] $variant),+ }

        #[allow(dead_code)]
        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word of the format.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            /// The value that a word names.
            pub fn parse(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::vocab::Value for $name {
            fn parse(text: &str) -> Result<Self, String> {
                $name::parse(text).ok_or_else(|| $crate::vocab::one_of(&[$($word),+]))
            }
            fn print(&self, out: &mut String) {
                out.push_str(self.as_str());
            }
        }
    };
}
pub(crate) use keywords;

/// A value that stands in an attribute or as the text of an element.
pub trait Value: Sized {
    /// Reads it. The error says what is expected instead, as in "expected …".
    fn parse(text: &str) -> Result<Self, String>;
    /// Prints it as libvirt does.
    fn print(&self, out: &mut String);
    /// Prints it into a new string.
    fn to_text(&self) -> String {
        let mut out = String::new();
        self.print(&mut out);
        out
    }
}

/// "one of 'a', 'b'", for the error of a keyword.
pub fn one_of(words: &[&str]) -> String {
    let list: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
    format!("one of {}", list.join(", "))
}

keywords! {
    /// `yes` or `no`.
    pub enum YesNo { Yes = "yes", No = "no" }
}

impl YesNo {
    /// Whether it is `yes`.
    pub fn is_yes(self) -> bool {
        self == YesNo::Yes
    }
}

impl From<bool> for YesNo {
    fn from(yes: bool) -> YesNo {
        if yes { YesNo::Yes } else { YesNo::No }
    }
}

keywords! {
    /// `on` or `off`.
    pub enum OnOff { On = "on", Off = "off" }
}

impl OnOff {
    /// Whether it is `on`.
    pub fn is_on(self) -> bool {
        self == OnOff::On
    }
}

impl From<bool> for OnOff {
    fn from(on: bool) -> OnOff {
        if on { OnOff::On } else { OnOff::Off }
    }
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_string())
    }
    fn print(&self, out: &mut String) {
        out.push_str(self);
    }
}

macro_rules! integer_values {
    ($($ty:ty: $what:literal),+) => { $(
        impl Value for $ty {
            fn parse(text: &str) -> Result<Self, String> {
                // libvirt takes hexadecimal and surrounding blanks, but no sign for an unsigned number.
                let digits = text.trim();
                let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
                    Some(hex) if !hex.starts_with(['+', '-']) => <$ty>::from_str_radix(hex, 16),
                    _ => digits.parse(),
                };
                value.map_err(|_| $what.to_string())
            }
            fn print(&self, out: &mut String) {
                use std::fmt::Write;
                let _ = write!(out, "{self}");
            }
        }
    )+ };
}
integer_values! {
    u8: "a non-negative integer value from 0 to 255",
    u16: "a non-negative integer value from 0 to 65535",
    u32: "a non-negative integer value from 0 to 4294967295",
    u64: "a non-negative integer value",
    i32: "an integer value",
    i64: "an integer value"
}

/// A number that is printed in hexadecimal with at least `WIDTH` digits: `0x0001`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, PartialOrd, Ord)]
pub struct Hex<const WIDTH: usize>(pub u64);

impl<const WIDTH: usize> Value for Hex<WIDTH> {
    fn parse(text: &str) -> Result<Self, String> {
        u64::parse(text).map(Hex)
    }
    fn print(&self, out: &mut String) {
        use std::fmt::Write;
        let _ = write!(out, "0x{:0width$x}", self.0, width = WIDTH);
    }
}
