//! Which firmware the guest has: by path, chosen from the descriptors of the host, or by old custom.

mod descriptor;

use crate::caps::Cap;
use crate::device::storage::{Location, StorageKind};
use crate::diag::codes::machine as codes;
use crate::domain::Domain;
use crate::domain::features::Smm;
use crate::domain::os::{
    FirmwareFeature, FirmwareFeatureName, FirmwareFormat, FirmwareKind, Loader, LoaderKind, Nvram, Os,
};
use crate::domain::security::LaunchKind;
use crate::host::{Directories, Distribution, Fact, Host, InstanceMode};
use crate::stage::{Cx, Machine, Quirk};
use crate::vocab::{OnOff, YesNo};
use crate::xml::Site;
use descriptor::{Descriptor, Mapping, matches_glob, target_name};

/// Checks what `<os>` says, and fills in loader, variable store and features.
pub fn choose(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let define = cx.env.options.define;
    let Some(os) = &mut domain.os else { return };
    if os.firmware.is_none() && !define {
        // Old files may have features without a kind of firmware; they never meant anything.
        os.firmware_features.clear();
    }
    let mut named = os.loader.as_ref().and_then(|l| l.kind).is_some();
    if let Some(loader) = &mut os.loader
        && os.firmware.is_none()
        && loader.path.is_some()
        && loader.kind.is_none()
    {
        named = false;
        loader.kind = Some(LoaderKind::Rom);
        loader.format.get_or_insert(FirmwareFormat::Raw);
    }
    let before = cx.diags.iter().count();
    validate(os, cx);
    if cx.diags.iter().count() > before {
        return;
    }
    let automatic = os.firmware.is_some();
    let how = Choice {
        define,
        any_rom: cx.env.behaves(Quirk::RomBesideNvram),
        old: cx.env.behaves(Quirk::OnlyFlashKeepsVariables),
    };
    if how.old && !automatic {
        format_follows(os);
    }
    // Later releases know a ROM again that is named as such.
    let unknown = |l: &Loader| l.path.is_some() && l.kind != Some(LoaderKind::Pflash) && (how.old || !named);
    if !automatic && os.loader.as_ref().is_none_or(unknown) {
        let name = domain.name().to_string();
        if let Some(os) = &mut domain.os {
            template_format(os, how);
            uefi_variables(os, &name, cx);
            consistent(os, cx);
        }
        return;
    }
    let descriptors = cx.env.host.files.firmware.iter().filter_map(|f| Descriptor::read(&f.text));
    let fitting = |d: &Descriptor| fits(domain, machine, d, how);
    let found = descriptors.into_iter().find(fitting).or_else(|| assumed(domain, fitting, cx));
    let Some(os) = &mut domain.os else { return };
    match found {
        Some(found) => {
            let needs_smm = take(os, &found, how.old);
            if needs_smm {
                let features = domain.features.get_or_insert_with(Default::default);
                let smm = features.smm.get_or_insert_with(Smm::default);
                smm.switch.state.get_or_insert(OnOff::On);
            }
        }
        None if automatic && is_taken_on_trust(os, cx) => {
            by_custom(os, how, cx);
            if os.loader.as_ref().is_some_and(|l| l.secure == Some(YesNo::Yes)) {
                let features = domain.features.get_or_insert_with(Default::default);
                features.smm.get_or_insert_with(Smm::default).switch.state.get_or_insert(OnOff::On);
            }
        }
        None if automatic => {
            os.loader.get_or_insert_default().format.get_or_insert(FirmwareFormat::Raw);
            os.no_firmware = true;
            consistent(os, cx);
            // An old domain is told when it is to start.
            if define {
                let (site, message) = (os.site, no_firmware(os));
                let help = no_firmware_help(cx.env.host);
                cx.error(&codes::NO_FIRMWARE, site, message).help(help);
            }
            return;
        }
        None => by_custom(os, how, cx),
    }
    let name = domain.name().to_string();
    if let Some(os) = &mut domain.os {
        template_format(os, how);
        variable_store(os, &name, how, cx);
        uefi_variables(os, &name, cx);
        consistent(os, cx);
    }
}

/// Forgets the format of a variable store without a path, beside a loader that is named: older releases take that of the
/// template.
fn format_follows(os: &mut Os) {
    if let Some(nvram) = &mut os.nvram {
        let placed = nvram.path.is_some() || nvram.source.as_ref().is_some_and(|s| !s.is_empty());
        nvram.format.take_if(|_| !placed);
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

/// Whether the domain names the files of its firmware, and nobody has told which ones the host has: then they are taken to be
/// there. `virsh dumpxml` shows firmware that was chosen once in this way, of releases that no distribution ships any more.
fn is_taken_on_trust(os: &Os, cx: &mut Cx<'_>) -> bool {
    let Some(loader) = os.loader.as_ref().filter(|l| l.kind == Some(LoaderKind::Pflash)) else { return false };
    let host = cx.env.host;
    let told = !host.open || host.firmware.shipped_by.is_some() || !host.files.firmware.is_empty();
    let Some(path) = loader.path.as_ref().filter(|_| !told && !cx.env.options.define) else { return false };
    let message = format!("the firmware is taken to be where the domain says, and as it says: {path}");
    cx.diags
        .note(&crate::diag::codes::assume::FIRMWARE, cx.doc.span_of(loader.site), message)
        .help("where there is none, remove <loader> and <nvram>: then one is chosen from those that the host has");
    true
}

/// How descriptors are compared with a domain.
#[derive(Clone, Copy)]
struct Choice {
    /// The domain is new.
    define: bool,
    /// See [`Quirk::RomBesideNvram`].
    any_rom: bool,
    /// See [`Quirk::OnlyFlashKeepsVariables`].
    old: bool,
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
    let old = cx.env.behaves(Quirk::OnlyFlashKeepsVariables);
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
            if (os.nvram.is_some() || os.varstore.is_some()) && kind != FirmwareKind::Efi {
                return fault(
                    os.site,
                    format!("firmware of type '{kind}' has no variables: it does not support <nvram> or <varstore>"),
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
    if let (Some(_), Some(store)) = (&os.nvram, &os.varstore) {
        fault(store.site, "the variables of UEFI are in <nvram> or in <varstore>, not in both".to_string());
    }
    let Some(loader) = loader else { return };
    match loader.stateless {
        Some(YesNo::Yes) if os.nvram.is_some() || os.varstore.is_some() => {
            let message = "<loader stateless='yes'> keeps no variables: it takes no NVRAM or varstore";
            fault(loader.site, message.to_string());
        }
        Some(YesNo::No) if old => match os.firmware {
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
        _ => {}
    }
}

/// What contradicts itself once the firmware is known.
fn consistent(os: &Os, cx: &mut Cx<'_>) {
    if cx.env.behaves(Quirk::OnlyFlashKeepsVariables) {
        return;
    }
    if let Some(loader) = os.loader.as_ref().filter(|l| l.readonly == Some(YesNo::No)) {
        if loader.kind == Some(LoaderKind::Rom) {
            let message =
                "<loader readonly='no'>: a loader of type 'rom' is read-only memory, and cannot be read/write";
            cx.error_at(&codes::FIRMWARE, loader.site, "readonly", message)
                .help("remove readonly, or write type='pflash'");
        } else if let Some(site) = os.nvram.as_ref().map(|n| n.site).or(os.varstore.as_ref().map(|s| s.site)) {
            let message = "the variables of a firmware that is read/write are in its image: <loader readonly='no'> takes no NVRAM or varstore";
            cx.error(&codes::FIRMWARE, site, message).help("remove it, or write <loader readonly='yes'>");
        }
    }
    let Some(store) = &os.varstore else { return };
    if os.nvram.is_some() {
        let message = "firmware in flash keeps its variables in an NVRAM: only one of NVRAM and varstore can be used";
        cx.error(&codes::FIRMWARE, store.site, message).help("a <varstore> goes with <loader type='rom'>");
    } else if !cx.has(Cap::UefiVars) {
        let message = "the variables are in a <varstore>, but this QEMU has no uefi-vars device";
        cx.error(&codes::FIRMWARE, store.site, message)
            .help("QEMU has it since 10.0; for older ones take firmware with an <nvram>");
    }
}

/// Whether a firmware is what the domain asks for.
fn fits(domain: &Domain, machine: &Machine, d: &Descriptor, how: Choice) -> bool {
    let Some(os) = &domain.os else { return false };
    let default = Loader::default();
    let loader = os.loader.as_ref().unwrap_or(&default);
    let kind = os.firmware.or_else(|| (loader.kind == Some(LoaderKind::Pflash)).then_some(FirmwareKind::Efi));
    let target = target_name(machine.arch);
    let for_machine = |(arch, machines): &(String, Vec<String>)| {
        arch == target && machines.iter().any(|m| matches_glob(m, &machine.name))
    };
    if !kind.is_none_or(|kind| d.kinds.contains(&kind)) || !d.targets.iter().any(for_machine) {
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
    let mapped = match d.mapping {
        Mapping::Memory => memory_fits(os, loader, d, how),
        _ => flash_fits(os, loader, d, how),
    };
    mapped && encrypts(domain, d)
}

/// The format that code and variables are looked for in.
fn wanted_format(os: &Os, loader: &Loader, how: Choice) -> Option<FirmwareFormat> {
    let nvram = os.nvram.as_ref();
    let template = nvram.and_then(|n| n.template_format).filter(|_| !how.old);
    // Before the formats were told apart, only raw images were chosen: so it stays for existing domains.
    let usual = (!how.define).then_some(FirmwareFormat::Raw);
    let store = nvram.and_then(|n| n.format).filter(|_| os.firmware.is_some());
    loader.format.or(template).or(store).or(usual)
}

/// Whether firmware in read-only memory is what the domain asks for.
fn memory_fits(os: &Os, loader: &Loader, d: &Descriptor, how: Choice) -> bool {
    let keeps_variables = match &d.variables {
        _ if how.any_rom => d.variables.is_none(),
        Some(template) => {
            let asked = os.varstore.as_ref().and_then(|s| s.template.as_ref());
            loader.stateless != Some(YesNo::Yes) && os.nvram.is_none() && asked.is_none_or(|t| t == template)
        }
        None => loader.stateless != Some(YesNo::No) && os.nvram.is_none() && os.varstore.is_none(),
    };
    keeps_variables
        && loader.kind.is_none_or(|k| k == LoaderKind::Rom)
        && wanted_format(os, loader, how).is_none_or(|f| f == FirmwareFormat::Raw)
}

/// Whether firmware in flash is what the domain asks for.
fn flash_fits(os: &Os, loader: &Loader, d: &Descriptor, how: Choice) -> bool {
    let nvram = os.nvram.as_ref();
    let stateless = loader.stateless.map(YesNo::is_yes);
    let mode_fits = match d.mapping {
        _ if how.old && loader.readonly == Some(YesNo::No) => false,
        Mapping::Split => loader.readonly != Some(YesNo::No) && stateless != Some(true),
        Mapping::Stateless if how.old => stateless == Some(true),
        Mapping::Stateless => loader.readonly != Some(YesNo::No) && stateless != Some(false) && nvram.is_none(),
        Mapping::Combined => {
            !how.old && loader.readonly != Some(YesNo::Yes) && stateless != Some(true) && nvram.is_none()
        }
        Mapping::Memory => false,
    };
    let template_format = nvram.filter(|n| !how.old || n.template.is_some()).and_then(|n| n.template_format);
    // The store of a firmware that is named may be of another format than the template: it is converted.
    let of_store = if how.old { true } else { os.firmware.is_some() && template_format.is_none() };
    let format = nvram.and_then(|n| n.format).filter(|_| of_store);
    loader.kind.is_none_or(|k| k == LoaderKind::Pflash)
        && os.varstore.is_none()
        && mode_fits
        && wanted_format(os, loader, how).is_none_or(|f| f == d.code_format)
        && nvram.and_then(|n| n.template.as_ref()).is_none_or(|t| d.template.as_ref() == Some(t))
        && template_format.is_none_or(|f| f == d.template_format)
        && format.is_none_or(|f| f == d.template_format)
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
fn take(os: &mut Os, d: &Descriptor, old: bool) -> bool {
    let loader = os.loader.get_or_insert_with(Loader::default);
    loader.path = Some(d.code.clone());
    loader.format = Some(d.code_format);
    if d.mapping == Mapping::Memory {
        loader.kind = Some(LoaderKind::Rom);
    } else {
        loader.kind = Some(LoaderKind::Pflash);
        loader.readonly = Some((d.mapping != Mapping::Combined).into());
        if d.mapping == Mapping::Stateless {
            loader.stateless = Some(YesNo::Yes);
        }
    }
    let needs_smm = d.has("requires-smm");
    if needs_smm {
        loader.secure = Some(YesNo::Yes);
    }
    if let Some(template) = &d.variables {
        os.varstore.get_or_insert_default().template = Some(template.clone());
    }
    let network = os.nvram.as_ref().is_some_and(Nvram::is_network);
    if d.mapping == Mapping::Split {
        let nvram = os.nvram.get_or_insert_with(Nvram::default);
        nvram.format.get_or_insert(d.template_format);
        if !network {
            nvram.template.clone_from(&d.template);
            nvram.template_format = Some(d.template_format);
        } else if !old {
            nvram.template_format = None;
        }
    }
    os.firmware = Some(if d.kinds.contains(&FirmwareKind::Efi) { FirmwareKind::Efi } else { FirmwareKind::Bios });
    let mut features = Vec::new();
    // Whether keys are enrolled is a matter of the variables: those on a server, or that a guest may write, are not known.
    if !network && d.mapping != Mapping::Combined {
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
fn by_custom(os: &mut Os, how: Choice, cx: &Cx<'_>) {
    let Some(loader) = &mut os.loader else { return };
    let readonly = if how.old { loader.readonly == Some(YesNo::Yes) } else { loader.readonly != Some(YesNo::No) };
    let own =
        os.nvram.as_ref().is_some_and(|n| n.template.is_some() || n.template_format == Some(FirmwareFormat::Qcow2));
    let plain = readonly
        && loader.kind == Some(LoaderKind::Pflash)
        && (how.old || !own)
        && loader.stateless != Some(YesNo::Yes)
        && loader.format.is_none_or(|f| f == FirmwareFormat::Raw);
    let pair = loader.path.as_ref().and_then(|p| cx.env.host.nvram_template(p)).filter(|_| plain);
    if let Some(pair) = pair {
        loader.format = Some(FirmwareFormat::Raw);
        loader.readonly = Some(YesNo::Yes);
        let nvram = os.nvram.get_or_insert_with(Nvram::default);
        if !nvram.is_network() {
            if nvram.template.is_none() {
                nvram.template = Some(pair.vars.clone());
                nvram.template_format = None;
            }
            nvram.template_format.get_or_insert(FirmwareFormat::Raw);
        }
    }
    loader.format.get_or_insert(FirmwareFormat::Raw);
}

/// The folder of variable stores. Nobody but root has the one that is usual; in a session virtc's own stands for it, which is in
/// the user's home.
fn stores(cx: &Cx<'_>, of: fn(&Directories) -> &String) -> String {
    let host = cx.env.host;
    let usual = of(&host.directories) == of(&Directories::default());
    let own = usual && host.instance.mode == InstanceMode::Session && !cx.env.has_parent();
    if own { "/var/lib/virtc/nvram".to_string() } else { of(&host.directories).clone() }
}

/// Where QEMU keeps the variables itself.
fn uefi_variables(os: &mut Os, name: &str, cx: &Cx<'_>) {
    let Some(loader) = &os.loader else { return };
    if let Some(store) = &mut os.varstore
        && loader.path.is_some()
    {
        store.path.get_or_insert_with(|| format!("{}/{name}.json", stores(cx, |d| &d.varstore)));
    }
}

/// The format of a template that no descriptor knows: that of the firmware.
fn template_format(os: &mut Os, how: Choice) {
    if let (Some(loader), Some(nvram)) = (&os.loader, &mut os.nvram)
        && nvram.template.is_some()
        && !how.old
    {
        nvram.template_format.get_or_insert(loader.format.unwrap_or(FirmwareFormat::Raw));
    }
}

/// Where the variables are kept.
fn variable_store(os: &mut Os, name: &str, how: Choice, cx: &Cx<'_>) {
    let Some(loader) = &os.loader else { return };
    if loader.kind != Some(LoaderKind::Pflash)
        || loader.readonly != Some(YesNo::Yes)
        || loader.stateless == Some(YesNo::Yes)
    {
        return;
    }
    let nvram = os.nvram.get_or_insert_with(Nvram::default);
    let placed = nvram.source.as_ref().map(|s| !s.is_empty());
    let own = placed == Some(true) || nvram.path.is_some();
    let of_template = nvram.template_format.filter(|_| !how.old || !own);
    let format = *nvram.format.get_or_insert(of_template.or(loader.format).unwrap_or(FirmwareFormat::Raw));
    if own {
        return;
    }
    // New domains get the extension of the template; old ones keep that of all raw files before.
    let of_template = nvram.template.as_deref().and_then(|t| t.rsplit('/').next()?.rsplit_once('.')).map(|(_, e)| e);
    let of_same_format = nvram.template_format.is_none_or(|f| f == format);
    let extension = match of_template {
        Some(extension) if cx.env.options.define && of_same_format => extension,
        _ if format == FirmwareFormat::Qcow2 => "qcow2",
        _ => "fd",
    };
    let path = format!("{}/{name}_VARS.{extension}", stores(cx, |d| &d.nvram));
    match &mut nvram.source {
        Some(source) if source.kind == StorageKind::File => source.location = Location::Path(path),
        _ => nvram.path = Some(path),
    }
}
