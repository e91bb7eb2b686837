//! Firmware, kernel, boot order of the machine, SMBIOS, firmware configuration.

use super::Lower;
use crate::domain::os::{AcpiTableKind, LoaderKind, SmbiosMode};
use crate::domain::sysinfo::{SysinfoKind, Table};
use crate::plan::{LabelRole, OwnerRule, PathKind, Perms, Props, Sharing};
use crate::xml::Site;

impl Lower<'_> {
    /// A file that QEMU only reads.
    fn reads(&mut self, path: &str, sharing: Sharing, site: Site, what: &'static str) {
        let (label, owner) = match sharing {
            Sharing::System => (LabelRole::Keep, OwnerRule::Keep),
            _ => (LabelRole::Content, OwnerRule::Domain { restore: true }),
        };
        self.access(path, PathKind::File, Perms::READ, sharing, label, owner, site, what);
    }
}

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
    if lx.domain.os.as_ref().is_some_and(|os| os.nvram.is_some()) {
        props.set("pflash1", "libvirt-pflash1-format");
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
        lx.reads(&path, Sharing::System, loader.site, "loader");
        lx.text("-bios", path, loader.site, "loader");
    }
}

/// `-boot`, kernel, device tree, ACPI tables.
pub fn boot(lx: &mut Lower<'_>) {
    let mut props = Props::new();
    let os = lx.domain.os.clone().unwrap_or_default();
    if let Some(menu) = &os.bootmenu {
        props.maybe("menu", menu.enable.map(|e| e.is_yes()));
        if menu.enable.is_some_and(|e| e.is_yes()) {
            props.maybe("splash-time", menu.timeout);
        }
    }
    props.maybe("reboot-timeout", os.bios.as_ref().and_then(|b| b.reboot_timeout));
    props.set("strict", true);
    let site = os.bootmenu.as_ref().map_or(os.site, |m| m.site);
    lx.options("-boot", props, site, "boot");
    let files = [("-kernel", &os.kernel, "kernel"), ("-initrd", &os.initrd, "initrd")];
    for (switch, path, what) in files {
        if let Some(path) = path {
            lx.reads(path, Sharing::ReadOnly, os.site, what);
            lx.text(switch, path, os.site, what);
        }
    }
    if let Some(cmdline) = os.cmdline.filter(|c| !c.is_empty()) {
        lx.text("-append", cmdline, os.site, "cmdline");
    }
    for (switch, path, what) in [("-dtb", &os.dtb, "dtb"), ("-shim", &os.shim, "shim")] {
        if let Some(path) = path {
            lx.reads(path, Sharing::ReadOnly, os.site, what);
            lx.text(switch, path, os.site, what);
        }
    }
    for table in &os.acpi {
        let Some(path) = &table.path else { continue };
        let mut props = Props::new();
        match table.kind {
            Some(AcpiTableKind::Slic) => {
                props.set("sig", "SLIC").set("file", path);
            }
            Some(AcpiTableKind::Raw) => {
                props.set("data", path);
            }
            _ => {
                props.set("file", path);
            }
        }
        lx.reads(path, Sharing::ReadOnly, table.site, "acpi table");
        lx.options("-acpitable", props, table.site, "acpi table");
    }
}

/// `-smbios`
pub fn smbios(lx: &mut Lower<'_>) {
    let mode = lx.domain.os.as_ref().and_then(|os| os.smbios.as_ref()).and_then(|s| s.mode);
    if mode != Some(SmbiosMode::Sysinfo) {
        return;
    }
    let Some(info) = lx.domain.sysinfo.iter().find(|s| s.kind == Some(SysinfoKind::Smbios)).cloned() else { return };
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
    for board in &info.base_boards {
        let keys = ["manufacturer", "product", "version", "serial", "asset", "location"].map(|k| (k, k));
        table(2, board.site, pairs(board, &keys));
    }
    if let Some(chassis) = &info.chassis {
        let keys = ["manufacturer", "version", "serial", "asset", "sku"].map(|k| (k, k));
        table(3, chassis.site, pairs(chassis, &keys));
    }
    if let Some(oem) = &info.oem_strings {
        table(11, oem.site, oem.entries.iter().filter_map(|e| e.value.as_deref().map(|v| ("value", v))).collect());
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
        let mut props = Props::with("name", entry.name.unwrap_or_default());
        if let Some(file) = entry.file {
            lx.reads(&file, Sharing::ReadOnly, entry.site, "fw_cfg");
            props.set("file", file);
        } else {
            props.set("string", entry.value.unwrap_or_default());
        }
        lx.options("-fw_cfg", props, entry.site, "sysinfo fwcfg");
    }
}
