//! Descriptors of firmware, as hosts and distributions have them.

use crate::domain::os::{FirmwareFormat, FirmwareKind};
use crate::vocab::Arch;
use serde_json::Value as Json;

/// Where a firmware is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mapping {
    /// Flash with a variable store of its own.
    Split,
    /// Flash that holds code and variables.
    Combined,
    /// Flash without variables.
    Stateless,
    /// Read-only memory.
    Memory,
}

/// A firmware as its descriptor tells (QEMU's `docs/interop/firmware.json`).
#[derive(Debug)]
pub(super) struct Descriptor {
    /// UEFI, else BIOS, for what virtc can choose.
    pub(super) kinds: Vec<FirmwareKind>,
    pub(super) mapping: Mapping,
    pub(super) code: String,
    pub(super) code_format: FirmwareFormat,
    pub(super) template: Option<String>,
    pub(super) template_format: FirmwareFormat,
    /// The template of the store that QEMU's device uefi-vars keeps, if the firmware wants that device.
    pub(super) variables: Option<String>,
    /// Architectures in QEMU's spelling, with patterns of machine types.
    pub(super) targets: Vec<(String, Vec<String>)>,
    pub(super) features: Vec<String>,
}

impl Descriptor {
    /// Reads a descriptor; none if it does not follow the format, or is for a kind of firmware that the
    /// domain format has no word for.
    pub(super) fn read(text: &str) -> Option<Descriptor> {
        let json: Json = serde_json::from_str(text).ok()?;
        let strings = |value: &Json| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|v| v.as_str().map(str::to_string)).collect()
        };
        let format = |value: &Json| match value.as_str()? {
            "raw" => Some(FirmwareFormat::Raw),
            "qcow2" => Some(FirmwareFormat::Qcow2),
            _ => None,
        };
        let kinds = strings(json.get("interface-types")?)?
            .iter()
            .filter_map(|kind| match kind.as_str() {
                "bios" => Some(FirmwareKind::Bios),
                "uefi" => Some(FirmwareKind::Efi),
                _ => None,
            })
            .collect();
        let mapping = json.get("mapping")?;
        let mut new = Descriptor {
            kinds,
            mapping: Mapping::Memory,
            code: String::new(),
            code_format: FirmwareFormat::Raw,
            template: None,
            template_format: FirmwareFormat::Raw,
            variables: None,
            targets: Vec::new(),
            features: strings(json.get("features")?)?,
        };
        match mapping.get("device")?.as_str()? {
            "memory" => {
                new.code = mapping.get("filename")?.as_str()?.to_string();
                if let Some(variables) = mapping.get("uefi-vars") {
                    new.variables = Some(variables.get("template")?.as_str()?.to_string());
                }
            }
            "flash" => {
                new.mapping = match mapping.get("mode").map_or(Some("split"), Json::as_str)? {
                    "split" => Mapping::Split,
                    "combined" => Mapping::Combined,
                    "stateless" => Mapping::Stateless,
                    _ => return None,
                };
                let code = mapping.get("executable")?;
                new.code = code.get("filename")?.as_str()?.to_string();
                new.code_format = format(code.get("format")?)?;
                if new.mapping == Mapping::Split {
                    let template = mapping.get("nvram-template")?;
                    new.template = Some(template.get("filename")?.as_str()?.to_string());
                    new.template_format = format(template.get("format")?)?;
                }
            }
            _ => return None,
        }
        for target in json.get("targets")?.as_array()? {
            let arch = target.get("architecture")?.as_str()?.to_string();
            new.targets.push((arch, strings(target.get("machines")?)?));
        }
        Some(new)
    }

    pub(super) fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }
}

/// QEMU's name of an architecture in descriptors.
pub(super) fn target_name(arch: Arch) -> &'static str {
    match arch {
        Arch::I686 => "i386",
        Arch::Armv7l | Arch::Armv6l => "arm",
        other => other.as_str(),
    }
}

/// Whether a shell pattern with `*` and `?` matches.
pub(super) fn matches_glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_machine_types() {
        for (pattern, text, matches) in [
            ("pc-q35-*", "pc-q35-10.0", true),
            ("pc-*", "pc", false),
            ("virt", "virt-4.0", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("*35*0", "pc-q35-10.0", true),
        ] {
            assert_eq!(matches_glob(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn broken_descriptors_are_passed_over() {
        assert!(Descriptor::read("{\"firmware\":{}}").is_none());
        assert!(Descriptor::read("not json").is_none());
        let text = r#"{"interface-types":["uefi"],"mapping":{"device":"memory","filename":"/f"},
            "targets":[{"architecture":"x86_64","machines":["pc-q35-*"]}],"features":["x"]}"#;
        assert!(Descriptor::read(text).is_some_and(|d| d.code == "/f" && d.has("x")));
    }
}
