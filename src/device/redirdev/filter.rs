//! `<redirfilter>`: which devices a client may redirect.

use crate::bind::{Binder, Model, Part, Shape, model};
use crate::device::info::{DeviceInfo, device};
use crate::diag::codes::{chardev as codes, schema};
use crate::vocab::YesNo;
use crate::xml::{El, Site, XmlWriter};
use std::fmt::Write;

/// `<usbdev>`: one rule. A number that is not there stands for any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UsbRule {
    /// USB class, 8 bits.
    pub class: Option<u8>,
    /// Vendor ID.
    pub vendor: Option<u16>,
    /// Product ID.
    pub product: Option<u16>,
    /// Version in BCD: 0x0110 is 1.10.
    pub version: Option<u16>,
    /// Whether such devices may be redirected.
    pub allow: bool,
    /// Where it stands.
    pub site: Site,
}

model! {
    /// `<redirfilter>`
    pub struct RedirFilter = "redirfilter" {
        many rules: UsbRule,
        extra info: DeviceInfo,
    }
}

device!(RedirFilter, "redirection filter");

/// A number in decimal or hexadecimal; -1 stands for any.
fn number<T: TryFrom<u64>>(el: El<'_>, name: &str, what: &str, cx: &mut Binder<'_>) -> Option<T> {
    let attr = el.attr(name)?;
    let text = attr.value().trim();
    if text == "-1" {
        return None;
    }
    let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    let value = value.and_then(|v| T::try_from(v).ok());
    if value.is_none() {
        cx.diags.error(&schema::WRONG_VALUE, attr.span(), format!("cannot parse USB {what} '{text}'"));
    }
    value
}

/// `1.10` in BCD; `1.1` means the same.
fn version(text: &str) -> Option<u16> {
    let (major, minor) = text.split_once('.')?;
    let digits = |t: &str| !t.is_empty() && t.len() <= 2 && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(major) || !digits(minor) {
        return None;
    }
    let major: u16 = major.parse().ok()?;
    let minor: u16 = if minor.len() == 1 { minor.parse::<u16>().ok()? * 10 } else { minor.parse().ok()? };
    Some(((major / 10) << 12) | ((major % 10) << 8) | ((minor / 10) << 4) | (minor % 10))
}

impl Part for UsbRule {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.class = number(el, "class", "class code", cx);
        self.vendor = number(el, "vendor", "vendor ID", cx);
        self.product = number(el, "product", "product ID", cx);
        if let Some(attr) = el.attr("version")
            && attr.value().trim() != "-1"
        {
            self.version = version(attr.value().trim());
            if self.version.is_none() {
                cx.diags
                    .error(&codes::REDIRECT, attr.span(), format!("incorrect USB version format {}", attr.value()))
                    .help("a version has the form 1.10");
            }
        }
        self.allow = cx.need(el, "allow").is_some_and(YesNo::is_yes);
    }

    fn print_attrs(&self, out: &mut XmlWriter) {
        if let Some(class) = self.class {
            out.attr("class", &format!("0x{class:02X}"));
        }
        if let Some(vendor) = self.vendor {
            out.attr("vendor", &format!("0x{vendor:04X}"));
        }
        if let Some(product) = self.product {
            out.attr("product", &format!("0x{product:04X}"));
        }
        if let Some(version) = self.version {
            // BCD: the hexadecimal digits are the decimal ones.
            out.attr("version", &format!("{:x}.{:02x}", version >> 8, version & 0xff));
        }
        out.attr("allow", YesNo::from(self.allow).as_str());
    }

    fn print_body(&self, _: &mut XmlWriter) {}

    fn shape(shape: &mut Shape) {
        ["class", "vendor", "product", "version", "allow"].into_iter().for_each(|a| shape.attr(a));
    }
}

impl Model for UsbRule {
    const ELEMENT: &'static str = "usbdev";
}

impl RedirFilter {
    /// The filter in QEMU's form: `class:vendor:product:version:allow`, joined by `|`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (i, rule) in self.rules.iter().enumerate() {
            if i > 0 {
                text.push('|');
            }
            let mut number = |value: Option<u16>, width: usize| {
                // Writing to a String cannot fail.
                let _ = match value {
                    Some(value) => write!(text, "0x{value:0width$X}:"),
                    None => write!(text, "-1:"),
                };
            };
            number(rule.class.map(u16::from), 2);
            number(rule.vendor, 4);
            number(rule.product, 4);
            number(rule.version, 4);
            text.push(if rule.allow { '1' } else { '0' });
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_decimal_digits_in_hexadecimal() {
        assert_eq!(version("1.10"), Some(0x0110));
        assert_eq!(version("1.1"), Some(0x0110));
        assert_eq!(version("1.09"), Some(0x0109));
        assert_eq!(version("12.34"), Some(0x1234));
        for wrong in ["", "1", "1.", ".1", "100.1", "1.100", "1.x", "-1.0"] {
            assert_eq!(version(wrong), None, "{wrong}");
        }
    }
}
