//! Which firmware the guest has: by path, chosen from the descriptors of the host, or by old custom.

use crate::diag::codes::machine as codes;
use crate::domain::Domain;
use crate::domain::features::Smm;
use crate::domain::os::{
    FirmwareFeature, FirmwareFeatureName, FirmwareFormat, FirmwareKind, Loader, LoaderKind, Nvram, Os,
};
use crate::domain::security::LaunchKind;
use crate::host::{Distribution, Fact, Host};
use crate::stage::{Cx, Machine, Quirk};
use crate::vocab::{Arch, OnOff, YesNo};
use crate::xml::Site;
use serde_json::Value as Json;

/// Where a firmware is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mapping {
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
struct Descriptor {
    /// UEFI, else BIOS, for what virtc can choose.
    kinds: Vec<FirmwareKind>,
    mapping: Mapping,
    code: String,
    code_format: FirmwareFormat,
    template: Option<String>,
    template_format: FirmwareFormat,
    /// Architectures in QEMU's spelling, with patterns of machine types.
    targets: Vec<(String, Vec<String>)>,
    features: Vec<String>,
}

impl Descriptor {
    /// Reads a descriptor; none if it does not follow the format, or is for a kind of firmware that the
    /// domain format has no word for.
    fn read(text: &str) -> Option<Descriptor> {
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
            targets: Vec::new(),
            features: strings(json.get("features")?)?,
        };
        match mapping.get("device")?.as_str()? {
            "memory" => new.code = mapping.get("filename")?.as_str()?.to_string(),
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

    fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }
}

/// QEMU's name of an architecture in descriptors.
fn target_name(arch: Arch) -> &'static str {
    match arch {
        Arch::I686 => "i386",
        Arch::Armv7l | Arch::Armv6l => "arm",
        other => other.as_str(),
    }
}

/// Whether a shell pattern with `*` and `?` matches.
fn matches_glob(pattern: &str, text: &str) -> bool {
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

/// Checks what `<os>` says, and fills in loader, variable store and features.
pub fn choose(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let define = cx.env.options.define;
    let Some(os) = &mut domain.os else { return };
    if os.firmware.is_none() && !define {
        // Old files may have features without a kind of firmware; they never meant anything.
        os.firmware_features.clear();
    }
    if let Some(loader) = &mut os.loader
        && os.firmware.is_none()
        && loader.path.is_some()
        && loader.kind.is_none()
    {
        loader.kind = Some(LoaderKind::Rom);
        loader.format.get_or_insert(FirmwareFormat::Raw);
    }
    let before = cx.diags.iter().count();
    validate(os, cx);
    if cx.diags.iter().count() > before {
        return;
    }
    let automatic = os.firmware.is_some();
    let is_rom = |l: &Loader| l.path.is_some() && l.kind != Some(LoaderKind::Pflash);
    if !automatic && os.loader.as_ref().is_none_or(is_rom) {
        return;
    }
    let descriptors = cx.env.host.files.firmware.iter().filter_map(|f| Descriptor::read(&f.text));
    let any_rom = cx.env.behaves(Quirk::RomBesideNvram);
    let fitting = |d: &Descriptor| fits(domain, machine, d, define, any_rom);
    let found = descriptors.into_iter().find(fitting).or_else(|| assumed(domain, fitting, cx));
    let Some(os) = &mut domain.os else { return };
    match found {
        Some(found) => {
            let needs_smm = take(os, &found);
            if needs_smm {
                let features = domain.features.get_or_insert_with(Default::default);
                let smm = features.smm.get_or_insert_with(Smm::default);
                smm.switch.state.get_or_insert(OnOff::On);
            }
        }
        None if automatic => {
            os.loader.get_or_insert_default().format.get_or_insert(FirmwareFormat::Raw);
            os.no_firmware = true;
            // An old domain is told when it is to start.
            if define {
                let (site, message) = (os.site, no_firmware(os));
                let help = no_firmware_help(cx.env.host);
                cx.error(&codes::NO_FIRMWARE, site, message).help(help);
            }
            return;
        }
        None => by_custom(os, cx),
    }
    let name = domain.name().to_string();
    if let Some(os) = &mut domain.os {
        variable_store(os, &name, cx);
    }
}

/// Where nobody has told what firmware the host has: that of the distribution whose file the domain names, else the first
/// that fits.
fn assumed(domain: &Domain, fits: impl Fn(&Descriptor) -> bool, cx: &mut Cx<'_>) -> Option<Descriptor> {
    let os = domain.os.as_ref()?;
    if !cx.env.host.open || cx.env.host.firmware.shipped_by.is_some() {
        return None;
    }
    let of = |distribution: Distribution| {
        let all = distribution.descriptors();
        all.iter().filter_map(|f| Descriptor::read(&f.text)).find(&fits)
    };
    let (shipped_by, found) = Distribution::ALL.iter().find_map(|d| Some((*d, of(*d)?)))?;
    let named = os.loader.as_ref().is_some_and(|l| l.path.is_some());
    let what = if named { "the firmware" } else { "UEFI" };
    let message = format!("{what} is taken to be as {} ships it: {}", shipped_by.title(), found.code);
    let span = cx.doc.span_of_attr(os.site, "firmware");
    let help = crate::assume::in_host_kdl(&Fact::Firmware(shipped_by));
    cx.diags.note(&crate::diag::codes::assume::FIRMWARE, span, message).help(help);
    Some(found)
}

/// That no descriptor fits, and what to do.
pub fn no_firmware(os: &Os) -> String {
    let kind = os.firmware.map_or("", |k| k.as_str());
    format!(
        "unable to find '{kind}' firmware among the host's descriptors: none is compatible with this machine type, \
         secure boot and format"
    )
}

/// What to do when no descriptor fits.
pub fn no_firmware_help(host: &Host) -> &'static str {
    if host.files.firmware.is_empty() {
        "the host facts in use list no firmware: take those of the machine that is to run the guest (there: virtc probe host \
         > host.kdl; then --host host.kdl), or name the files in <loader> and <nvram>"
    } else {
        "compare what <os> and <features> ask for with the descriptors in /usr/share/qemu/firmware"
    }
}

/// What contradicts itself.
fn validate(os: &Os, cx: &mut Cx<'_>) {
    let feature = |name| os.firmware_feature(name);
    let mut fault = |site: Site, message: String| {
        cx.error(&codes::FIRMWARE, site, message);
    };
    let loader = os.loader.as_ref();
    let path = loader.and_then(|l| l.path.as_ref());
    match os.firmware {
        Some(kind) => {
            let enrolled = feature(FirmwareFeatureName::EnrolledKeys) == Some(true);
            if enrolled && feature(FirmwareFeatureName::SecureBoot) == Some(false) {
                let message = "the firmware feature 'enrolled-keys' is enabled, but 'secure-boot', which checks those keys, is disabled";
                return fault(os.site, message.to_string());
            }
            if os.nvram.is_some() && kind != FirmwareKind::Efi {
                return fault(
                    os.site,
                    format!("firmware of type '{kind}' has no variables: it does not support <nvram>"),
                );
            }
        }
        None if !os.firmware_features.is_empty() => {
            let message = "features choose between firmware only with automatic selection (autoselection), which is disabled: firmware='…' is not there";
            return fault(os.site, format!("cannot use <firmware>: {message}"));
        }
        None => {
            let site = loader.map(|l| l.site).or(os.nvram.as_ref().map(|n| n.site));
            if let (Some(site), None) = (site, path) {
                let message =
                    "no path is specified for the <loader>, and automatic (auto) selection of firmware is disabled";
                return fault(site, message.to_string());
            }
        }
    }
    let Some(loader) = loader else { return };
    match loader.stateless {
        Some(YesNo::Yes) if os.nvram.is_some() => {
            fault(loader.site, "<loader stateless='yes'> keeps no variables: it takes no NVRAM".to_string());
        }
        Some(YesNo::No) => match os.firmware {
            None if loader.kind != Some(LoaderKind::Pflash) => {
                fault(
                    loader.site,
                    "only a loader of type 'pflash' permits NVRAM: it cannot be stateless='no'".to_string(),
                );
            }
            Some(FirmwareKind::Bios) => {
                fault(loader.site, "only EFI firmware permits NVRAM: a BIOS cannot be stateless='no'".to_string());
            }
            _ => {}
        },
        Some(YesNo::Yes) | None => {}
    }
}

/// Whether a firmware is what the domain asks for.
fn fits(domain: &Domain, machine: &Machine, d: &Descriptor, define: bool, any_rom: bool) -> bool {
    let Some(os) = &domain.os else { return false };
    let default = Loader::default();
    let loader = os.loader.as_ref().unwrap_or(&default);
    let kind = os.firmware.unwrap_or(match loader.kind {
        Some(LoaderKind::Pflash) => FirmwareKind::Efi,
        _ => FirmwareKind::Bios,
    });
    let target = target_name(machine.arch);
    let for_machine = |(arch, machines): &(String, Vec<String>)| {
        arch == target && machines.iter().any(|m| matches_glob(m, &machine.name))
    };
    if !d.kinds.contains(&kind) || !d.targets.iter().any(for_machine) {
        return false;
    }
    let pm = domain.pm.as_ref();
    let suspends = |s: Option<&crate::domain::general::Suspend>| s.is_some_and(|s| s.enabled == Some(YesNo::Yes));
    if (suspends(pm.and_then(|p| p.suspend_to_mem.as_ref())) && !d.has("acpi-s3"))
        || (suspends(pm.and_then(|p| p.suspend_to_disk.as_ref())) && !d.has("acpi-s4"))
    {
        return false;
    }
    let smm_off =
        domain.features.as_ref().and_then(|f| f.smm.as_ref()).is_some_and(|s| s.switch.state == Some(OnOff::Off));
    if d.has("requires-smm") {
        if smm_off || loader.secure == Some(YesNo::No) {
            return false;
        }
    } else if loader.secure == Some(YesNo::Yes) {
        return false;
    }
    for (name, feature) in
        [(FirmwareFeatureName::SecureBoot, "secure-boot"), (FirmwareFeatureName::EnrolledKeys, "enrolled-keys")]
    {
        if os.firmware_feature(name).is_some_and(|wanted| wanted != d.has(feature)) {
            return false;
        }
    }
    if loader.path.as_ref().is_some_and(|p| *p != d.code) {
        return false;
    }
    let nvram = os.nvram.as_ref();
    // Before the formats were told apart, only raw images were chosen: so it stays for existing domains.
    let format = loader.format.or(nvram.and_then(|n| n.format)).or((!define).then_some(FirmwareFormat::Raw));
    let memory_fits = match d.mapping {
        Mapping::Memory => {
            loader.kind.is_none_or(|k| k == LoaderKind::Rom)
                && (any_rom || loader.stateless != Some(YesNo::No))
                && (any_rom || nvram.is_none())
                && format.is_none_or(|f| f == FirmwareFormat::Raw)
        }
        flash => {
            let mode = if loader.stateless == Some(YesNo::Yes) { Mapping::Stateless } else { Mapping::Split };
            loader.kind.is_none_or(|k| k == LoaderKind::Pflash)
                && loader.readonly != Some(YesNo::No)
                && flash == mode
                && format.is_none_or(|f| f == d.code_format)
                && nvram.and_then(|n| n.template.as_ref()).is_none_or(|t| d.template.as_ref() == Some(t))
                && nvram.and_then(|n| n.template_format).is_none_or(|f| f == d.template_format)
                && nvram.and_then(|n| n.format).is_none_or(|f| f == d.template_format)
        }
    };
    memory_fits && encrypts(domain, d)
}

/// Whether a firmware runs in an encrypted guest, if the guest is one.
fn encrypts(domain: &Domain, d: &Descriptor) -> bool {
    let Some(security) = &domain.launch_security else { return true };
    /// The bit of SEV's policy that asks for encrypted registers (SEV-ES).
    const POLICY_ES: u64 = 0x4;
    match security.kind {
        Some(LaunchKind::Sev) => {
            d.has("amd-sev") && (security.policy.unwrap_or(0) & POLICY_ES == 0 || d.has("amd-sev-es"))
        }
        Some(LaunchKind::SevSnp) => d.has("amd-sev-snp"),
        Some(LaunchKind::Tdx) => d.has("intel-tdx"),
        Some(LaunchKind::S390Pv) | None => true,
    }
}

/// Takes a firmware into the domain. Whether it needs system management mode.
fn take(os: &mut Os, d: &Descriptor) -> bool {
    let loader = os.loader.get_or_insert_with(Loader::default);
    loader.path = Some(d.code.clone());
    loader.format = Some(d.code_format);
    if d.mapping == Mapping::Memory {
        loader.kind = Some(LoaderKind::Rom);
    } else {
        loader.kind = Some(LoaderKind::Pflash);
        loader.readonly = Some(YesNo::Yes);
        if d.mapping == Mapping::Stateless {
            loader.stateless = Some(YesNo::Yes);
        }
    }
    let needs_smm = d.has("requires-smm");
    if needs_smm {
        loader.secure = Some(YesNo::Yes);
    }
    let network = os.nvram.as_ref().is_some_and(Nvram::is_network);
    if d.mapping == Mapping::Split {
        let nvram = os.nvram.get_or_insert_with(Nvram::default);
        nvram.format.get_or_insert(d.template_format);
        if !network {
            nvram.template.clone_from(&d.template);
            nvram.template_format = Some(d.template_format);
        }
    }
    os.firmware = Some(if d.kinds.contains(&FirmwareKind::Efi) { FirmwareKind::Efi } else { FirmwareKind::Bios });
    let mut features = Vec::new();
    // Whether keys are enrolled is a matter of the variables: those on a server are not known.
    if !network {
        features.push((FirmwareFeatureName::EnrolledKeys, d.has("enrolled-keys")));
    }
    features.push((FirmwareFeatureName::SecureBoot, d.has("secure-boot")));
    os.firmware_features = features
        .into_iter()
        .map(|(name, on)| FirmwareFeature { enabled: Some(on.into()), name: Some(name), site: Site::NONE })
        .collect();
    needs_smm
}

/// Paths that no descriptor knows: the pairs of the host facts, else raw images.
fn by_custom(os: &mut Os, cx: &Cx<'_>) {
    let Some(loader) = &mut os.loader else { return };
    let plain = loader.readonly == Some(YesNo::Yes)
        && loader.stateless != Some(YesNo::Yes)
        && loader.format.is_none_or(|f| f == FirmwareFormat::Raw);
    let pair = loader.path.as_ref().and_then(|p| cx.env.host.nvram_template(p)).filter(|_| plain);
    if let Some(pair) = pair {
        loader.format = Some(FirmwareFormat::Raw);
        let nvram = os.nvram.get_or_insert_with(Nvram::default);
        if !nvram.is_network() {
            nvram.template.get_or_insert_with(|| pair.vars.clone());
            nvram.template_format = Some(FirmwareFormat::Raw);
        }
    }
    loader.format.get_or_insert(FirmwareFormat::Raw);
}

/// Where the variables are kept.
fn variable_store(os: &mut Os, name: &str, cx: &Cx<'_>) {
    let Some(loader) = &os.loader else { return };
    if loader.kind != Some(LoaderKind::Pflash)
        || loader.readonly != Some(YesNo::Yes)
        || loader.stateless == Some(YesNo::Yes)
    {
        return;
    }
    let nvram = os.nvram.get_or_insert_with(Nvram::default);
    let own = nvram.source.is_some() || nvram.path.is_some();
    let of_template = nvram.template_format.filter(|_| !own);
    let format = *nvram.format.get_or_insert(of_template.or(loader.format).unwrap_or(FirmwareFormat::Raw));
    if own {
        return;
    }
    // New domains get the extension of the template; old ones keep that of all raw files before.
    let of_template = nvram.template.as_deref().and_then(|t| t.rsplit('/').next()?.rsplit_once('.')).map(|(_, e)| e);
    let extension = match of_template {
        Some(extension) if cx.env.options.define => extension,
        _ if format == FirmwareFormat::Qcow2 => "qcow2",
        _ => "fd",
    };
    nvram.path = Some(format!("{}/{name}_VARS.{extension}", cx.env.host.directories.nvram));
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
