//! Firmware, kernel, boot order of the machine, SMBIOS, firmware configuration.

use crate::caps::Cap;
use crate::device::storage::lower as storage;
use crate::diag::codes::machine as codes;
use crate::domain::os::{AcpiTableKind, FirmwareFormat, LoaderKind, Nvram, SmbiosMode};
use crate::domain::sysinfo::{SysinfoKind, Table};
use crate::plan::{Cause, Directory, DirectoryRole, Need, NewFile, Prop, Props, Use};
use crate::stage::Quirk;
use crate::stage::{Grant, Lower};
use crate::vocab::YesNo;
use crate::xml::Site;

/// Whether the firmware is in flash.
fn is_pflash(lx: &Lower<'_>) -> bool {
    let loader = lx.domain.os.as_ref().and_then(|os| os.loader.as_ref());
    loader.is_some_and(|l| l.kind == Some(LoaderKind::Pflash) && l.path.is_some())
}

/// What the firmware adds to `-machine`.
pub fn machine_options(lx: &Lower<'_>, props: &mut Props) {
    if let Some(id) = lx.domain.launch_security.as_ref().map(|_| "lsec0") {
        props.set("confidential-guest-support", id);
    }
    if !is_pflash(lx) {
        return;
    }
    props.set("pflash0", "libvirt-pflash0-format");
    if let Some(nvram) = lx.domain.os.as_ref().and_then(|os| os.nvram.as_ref()) {
        let layered = needs_format_node(lx, nvram);
        props.set("pflash1", if layered { "libvirt-pflash1-format" } else { "libvirt-pflash1-storage" });
    }
}

/// Whether the variable store needs a node for its format. A raw file is used as it is, if this QEMU can
/// put a format above it later (for block jobs).
fn needs_format_node(lx: &Lower<'_>, nvram: &Nvram) -> bool {
    nvram.format == Some(FirmwareFormat::Qcow2) || !lx.has(Cap::BlockjobBackingMaskProtocol)
}

/// The nodes of firmware in flash.
pub fn pflash(lx: &mut Lower<'_>) {
    let Some(os) = &lx.domain.os else { return };
    if os.no_firmware {
        let (site, message) = (os.site, crate::resolve::no_firmware(os));
        let help = crate::resolve::no_firmware_help(lx.env.host);
        lx.error(&codes::NO_FIRMWARE, site, message).help(help);
        return;
    }
    if !is_pflash(lx) {
        return;
    }
    let Some(loader) = &os.loader else { return };
    let readonly = loader.readonly == Some(YesNo::Yes);
    if let Some(path) = &loader.path {
        if readonly {
            code(path, loader.site, lx);
        } else {
            lx.touch(path, Grant::WRITABLE_LOADER, Use::Firmware, loader.site, "loader");
        }
        storage_node(lx, "libvirt-pflash0", file_node(path), None, loader.site);
    }
    format_node(lx, "libvirt-pflash0", readonly, loader.format, loader.site);
    let Some(mut nvram) = os.nvram.clone() else { return };
    // Variables beside a firmware that may be written have its format, unless they say another.
    if lx.env.is_guardian() {
        nvram.format = nvram.format.or(loader.format);
    }
    if nvram.format.is_none() || (nvram.file().is_none() && nvram.source.is_none()) {
        let message =
            "<nvram> beside a firmware that is not readonly='yes': its file and its storage format are not known";
        lx.error(&codes::FIRMWARE, nvram.site, message).help("write <loader readonly='yes'>, or remove <nvram>");
        return;
    }
    let layered = needs_format_node(lx, &nvram);
    let node = match (&nvram.source, nvram.file()) {
        (_, Some(path)) => {
            let path = path.to_string();
            lx.touch(&path, Grant::IMAGE, Use::Nvram, nvram.site, "nvram");
            let cause = lx.cause(nvram.site, "nvram");
            store(&path, nvram.template.clone(), cause, lx);
            Some(file_node(&path))
        }
        (Some(source), None) => {
            let node = "libvirt-pflash1-storage";
            storage::secrets::objects(source, source.auth.as_ref(), None, node, false, lx);
            let how = storage::backend::Backend {
                source,
                auth: source.auth.as_ref(),
                encryption: None,
                node,
                aio: None,
                floppy: false,
                cdrom: false,
                readonly: false,
            };
            storage::backend::backend(&how, lx)
        }
        _ => None,
    };
    let Some(node) = node else { return };
    storage_node(lx, "libvirt-pflash1", node, (!layered).then_some(false), nvram.site);
    if layered {
        format_node(lx, "libvirt-pflash1", false, nvram.format, nvram.site);
    }
}

/// A node of a file.
fn file_node(path: &str) -> Props {
    let mut props = Props::driver("file");
    props.set("filename", path.to_string());
    props
}

/// Adds the node with the bytes. `readonly`: it is used as it is, without a node for a format.
fn storage_node(lx: &mut Lower<'_>, name: &'static str, mut props: Props, readonly: Option<bool>, site: Site) {
    props.set("node-name", format!("{name}-storage"));
    match readonly {
        Some(readonly) => props.set("read-only", readonly),
        None => props.set("auto-read-only", true).set("discard", "unmap"),
    };
    lx.blockdev(props, site, "firmware");
}

/// Adds the node that reads the format.
fn format_node(lx: &mut Lower<'_>, name: &'static str, readonly: bool, format: Option<FirmwareFormat>, site: Site) {
    let mut props = Props::with("node-name", format!("{name}-format"));
    props.set("read-only", readonly);
    props.set("driver", format.map_or("raw", |f| f.as_str()));
    props.set("file", format!("{name}-storage"));
    if format == Some(FirmwareFormat::Qcow2) {
        props.set("backing", Prop::Null);
    }
    lx.blockdev(props, site, "firmware");
}

/// Records firmware that is only read. That of the system's packages has names that are links to one another.
fn code(path: &str, site: Site, lx: &mut Lower<'_>) {
    lx.touch(path, Grant::LOADER, Use::Firmware, site, "loader");
    if path.starts_with("/usr/share/") {
        lx.need(Need::SystemFirmware, site, "loader");
    }
}

/// `-bios`, or that only system management mode may write the flash.
pub fn loader(lx: &mut Lower<'_>) {
    let Some(loader) = lx.domain.os.as_ref().and_then(|os| os.loader.clone()) else { return };
    if loader.kind == Some(LoaderKind::Pflash) {
        if loader.secure.is_some_and(|s| s.is_yes()) {
            let mut props = Props::with("driver", "cfi.pflash01");
            props.set("property", "secure").set("value", true);
            lx.options("-global", props, loader.site, "loader");
        }
        return;
    }
    if let Some(path) = loader.path {
        code(&path, loader.site, lx);
        lx.text("-bios", path, loader.site, "loader");
    }
    variables(lx);
}

/// A file of variables that is made at the first start, in a folder that virtc makes if it is its own.
fn store(path: &str, template: Option<String>, cause: Cause, lx: &mut Lower<'_>) {
    let folder = path.rsplit_once('/').map(|(folder, _)| folder).filter(|folder| folder.starts_with("/var/lib/virtc/"));
    lx.plan.directories.extend(folder.map(|folder| Directory {
        role: DirectoryRole::State,
        path: folder.to_string(),
        mode: 0o700,
        cause: cause.clone(),
    }));
    lx.plan.files.push(NewFile { path: path.to_string(), usage: Use::Nvram, template, cause });
}

/// The device that keeps the variables of UEFI in a file of its own.
fn variables(lx: &mut Lower<'_>) {
    let Some(store) = lx.domain.os.as_ref().and_then(|os| os.varstore.clone()) else { return };
    let Some(path) = store.path else { return };
    lx.touch(&path, Grant::IMAGE, Use::Nvram, store.site, "varstore");
    let cause = lx.cause(store.site, "varstore");
    self::store(&path, store.template, cause, lx);
    let driver = if lx.machine.arch.is_x86() { "uefi-vars-x64" } else { "uefi-vars-sysbus" };
    let mut props = Props::driver(driver);
    props.set("jsonfile", path);
    lx.plain_device(props, store.site, "varstore");
}

/// `-boot`, kernel, device tree, ACPI tables.
pub fn boot(lx: &mut Lower<'_>) {
    let mut props = Props::new();
    let os = lx.domain.os.clone().unwrap_or_default();
    let menu = os.bootmenu.as_ref();
    let shown = menu.and_then(|m| m.enable).map(|e| e.is_yes());
    props.maybe("menu", shown);
    props.maybe("reboot-timeout", os.bios.as_ref().and_then(|b| b.reboot_timeout));
    props.maybe("splash-time", menu.and_then(|m| m.timeout).filter(|_| shown == Some(true)));
    props.set("strict", true);
    let site = os.bootmenu.as_ref().map_or(os.site, |m| m.site);
    lx.options("-boot", props, site, "boot");
    let files = [("-kernel", &os.kernel, "kernel"), ("-initrd", &os.initrd, "initrd")];
    for (switch, path, what) in files {
        if let Some(path) = path {
            lx.touch(path, Grant::BOOT_FILE, Use::Boot, os.site, what);
            lx.text(switch, path, os.site, what);
        }
    }
    if let Some(cmdline) = os.cmdline.filter(|c| !c.is_empty()) {
        lx.text("-append", cmdline, os.site, "cmdline");
    }
    for (switch, path, what) in [("-dtb", &os.dtb, "dtb"), ("-shim", &os.shim, "shim")] {
        if let Some(path) = path {
            lx.touch(path, Grant::BOOT_FILE, Use::Boot, os.site, what);
            lx.text(switch, path, os.site, what);
        }
    }
    for table in &os.acpi {
        let Some(path) = &table.path else { continue };
        let mut props = Props::new();
        props.maybe("sig", table.kind.and_then(AcpiTableKind::signature)).set("file", path);
        lx.touch(path, Grant::BOOT_FILE, Use::AcpiTable, table.site, "acpi table");
        lx.options("-acpitable", props, table.site, "acpi table");
    }
}

/// `-smbios`
pub fn smbios(lx: &mut Lower<'_>) {
    let Some(smbios) = lx.domain.os.as_ref().and_then(|os| os.smbios.clone()) else { return };
    if smbios.mode != Some(SmbiosMode::Sysinfo) {
        return;
    }
    let Some(info) = lx.domain.sysinfo.iter().find(|s| s.kind == Some(SysinfoKind::Smbios)).cloned() else {
        let message =
            "<smbios mode='sysinfo'> needs a <sysinfo type='smbios'>, but no sysinfo is available in the domain";
        lx.error(&codes::SMBIOS, smbios.site, format!("{message} '{}'", lx.domain.name()));
        return;
    };
    if let Some(second) = info.base_boards.get(1).filter(|_| lx.env.behaves(Quirk::OneBaseBoard)) {
        let message = "<sysinfo> has more than one <baseBoard>: libvirt has qemu support one entry of that type (Type 2) of SMBIOS";
        lx.error(&codes::SMBIOS, second.site, message);
        return;
    }
    let mut table = |number: u8, site: Site, pairs: Vec<(&'static str, &str)>| {
        if pairs.is_empty() {
            return;
        }
        let mut props = Props::with("type", number);
        for (key, value) in pairs {
            props.set(key, value.to_string());
        }
        lx.options("-smbios", props, site, "sysinfo");
    };
    fn pairs<'t, const KIND: usize>(
        table: &'t Table<KIND>,
        keys: &[(&'static str, &'static str)],
    ) -> Vec<(&'static str, &'t str)> {
        keys.iter().filter_map(|(name, key)| table.get(name).map(|value| (*key, value))).collect()
    }
    if let Some(bios) = &info.bios {
        let keys = [("vendor", "vendor"), ("version", "version"), ("date", "date"), ("release", "release")];
        table(0, bios.site, pairs(bios, &keys));
    }
    if let Some(system) = &info.system {
        let keys = ["manufacturer", "product", "version", "serial", "uuid", "sku", "family"].map(|k| (k, k));
        table(1, system.site, pairs(system, &keys));
    }
    // libvirt always tells who made a board or a chassis: nobody, if the XML does not say.
    fn made<'t>(mut pairs: Vec<(&'static str, &'t str)>) -> Vec<(&'static str, &'t str)> {
        if pairs.first().is_some_and(|(key, _)| *key != "manufacturer") {
            pairs.insert(0, ("manufacturer", ""));
        }
        pairs
    }
    for board in &info.base_boards {
        let keys = ["manufacturer", "product", "version", "serial", "asset", "location"].map(|k| (k, k));
        table(2, board.site, made(pairs(board, &keys)));
    }
    if let Some(chassis) = &info.chassis {
        let keys = ["manufacturer", "version", "serial", "asset", "sku"].map(|k| (k, k));
        table(3, chassis.site, made(pairs(chassis, &keys)));
    }
    if let Some(oem) = &info.oem_strings {
        table(11, oem.site, oem.entries.iter().map(|e| ("value", e.value.as_deref().unwrap_or_default())).collect());
    }
}

/// `-fw_cfg`
pub fn fwcfg(lx: &mut Lower<'_>) {
    let entries: Vec<_> = lx
        .domain
        .sysinfo
        .iter()
        .filter(|s| s.kind == Some(SysinfoKind::Fwcfg))
        .flat_map(|s| s.entries.iter().cloned())
        .collect();
    for entry in entries {
        let name = lx.must(entry.name, "the name of a file of fw_cfg", entry.site);
        let mut props = Props::with("name", name);
        // With both, the value counts.
        match (entry.value, entry.file) {
            (None, Some(file)) => {
                lx.touch(&file, Grant::BOOT_FILE, Use::FirmwareConfiguration, entry.site, "fw_cfg");
                props.set("file", file);
            }
            (value, _) => {
                props.set("string", lx.must(value, "the value of a file of fw_cfg", entry.site));
            }
        }
        lx.options("-fw_cfg", props, entry.site, "sysinfo fwcfg");
    }
}
