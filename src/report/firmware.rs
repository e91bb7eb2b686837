//! Which firmware the descriptors offer to a machine type.

use crate::host::Host;
use crate::vocab::Arch;
use serde_json::Value;

/// What there is.
#[derive(Default, Debug, PartialEq)]
pub struct Offer {
    /// Some UEFI firmware fits.
    pub efi: bool,
    /// Some BIOS fits.
    pub bios: bool,
    /// Some firmware has Secure Boot that the guest cannot switch off.
    pub secure: bool,
    /// Some firmware has Secure Boot, and some has none.
    pub secure_boot: Choice,
    /// Some firmware comes with keys enrolled, and some without.
    pub enrolled_keys: Choice,
    /// Some firmware keeps its variables in QEMU's device `uefi-vars`.
    pub device_variables: bool,
    /// The executables, in the order in which they are tried.
    pub loaders: Vec<String>,
}

/// Whether there is firmware with a feature, and firmware without.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Choice {
    /// With it.
    pub with: bool,
    /// Without.
    pub without: bool,
}

impl Choice {
    fn note(&mut self, there: bool) {
        self.with |= there;
        self.without |= !there;
    }

    /// What a domain may ask for.
    pub fn values(self) -> Vec<&'static str> {
        [("yes", self.with), ("no", self.without)].iter().filter(|(_, there)| *there).map(|(value, _)| *value).collect()
    }
}

/// What the descriptors offer to `machine` (its full name).
pub fn offer(host: &Host, arch: Arch, machine: &str) -> Offer {
    let mut offer = Offer::default();
    for file in &host.files.firmware {
        let Ok(descriptor) = serde_json::from_str::<Value>(&file.text) else { continue };
        let fits = |target: &Value| {
            let names = strings(&target["machines"]);
            target["architecture"] == arch.as_str() && names.iter().any(|pattern| matches(pattern, machine))
        };
        if !descriptor["targets"].as_array().is_some_and(|all| all.iter().any(fits)) {
            continue;
        }
        let kinds = strings(&descriptor["interface-types"]);
        offer.efi |= kinds.contains(&"uefi");
        offer.bios |= kinds.contains(&"bios");
        let features = strings(&descriptor["features"]);
        offer.secure |= features.contains(&"secure-boot") && features.contains(&"requires-smm");
        if kinds.contains(&"uefi") {
            offer.secure_boot.note(features.contains(&"secure-boot"));
            offer.enrolled_keys.note(features.contains(&"enrolled-keys"));
        }
        let mapping = &descriptor["mapping"];
        offer.device_variables |= mapping.get("uefi-vars").is_some();
        let path = match mapping["device"].as_str() {
            Some("flash") => mapping["executable"]["filename"].as_str(),
            _ => mapping["filename"].as_str(),
        };
        if let Some(path) = path
            && !offer.loaders.iter().any(|known| known == path)
        {
            offer.loaders.push(path.to_string());
        }
    }
    offer
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether a name fits a pattern with `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last `*` does not fit.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
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
    use crate::host::DescriptorFile;

    #[test]
    fn patterns() {
        for (pattern, name) in
            [("pc-q35-*", "pc-q35-7.2"), ("*", ""), ("virt-*", "virt-"), ("a?c*e", "abcde"), ("q35", "q35")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("pc-q35-*", "pc-i440fx-7.2"), ("", "a"), ("a*b", "ac"), ("q35", "q3")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn descriptors_are_matched_with_the_machine() {
        let mut host = Host::default();
        let text = r#"{"interface-types":["uefi"],"mapping":{"device":"flash","executable":{"filename":"/code.fd"}},
            "targets":[{"architecture":"x86_64","machines":["pc-q35-*"]}],"features":["secure-boot","requires-smm"]}"#;
        for text in [text, "{", text] {
            host.files.firmware.push(DescriptorFile { path: "/x.json".to_string(), text: text.to_string() });
        }
        let found = offer(&host, Arch::X86_64, "pc-q35-7.2");
        assert!(found.efi && !found.bios && found.secure && !found.device_variables);
        assert_eq!(found.loaders, ["/code.fd"]);
        assert_eq!((found.secure_boot.values(), found.enrolled_keys.values()), (vec!["yes"], vec!["no"]));
        assert_eq!(offer(&host, Arch::X86_64, "pc-i440fx-7.2"), Offer::default());
        assert_eq!(offer(&host, Arch::Aarch64, "pc-q35-7.2"), Offer::default());
    }
}
