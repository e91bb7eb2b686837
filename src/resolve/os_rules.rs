//! Checks of `<os>` and `<sysinfo>`.

use crate::caps::Cap;
use crate::diag::codes::machine as codes;
use crate::domain::Domain;
use crate::domain::os::{AcpiTableKind, FirmwareKind, LoaderKind, Os};
use crate::domain::sysinfo::{Entry, SysinfoKind};
use crate::stage::{Board, Cx, Machine, Quirk};
use crate::vocab::{Arch, OnOff, YesNo};

/// Checks firmware, boot files and SMBIOS.
pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    if let Some(os) = &domain.os {
        firmware(os, domain, machine, cx);
        serial(os, domain, machine, cx);
        files(os, cx);
    }
    smbios(domain, cx);
    for info in domain.sysinfo.iter().filter(|i| i.kind == Some(SysinfoKind::Fwcfg)) {
        info.entries.iter().for_each(|entry| fwcfg(entry, cx));
    }
}

/// What firmware needs of the machine.
fn firmware(os: &Os, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let features = domain.features.as_ref();
    if machine.arch.is_x86() && has_uefi(domain) && !features.is_some_and(|f| f.acpi) {
        cx.error(
            &codes::FIRMWARE,
            os.site,
            "the firmware is UEFI, which on this architecture hands everything over through ACPI: that is off",
        )
        .help("add <acpi/> to <features>");
    }
    let Some(loader) = os.loader.as_ref().filter(|l| l.secure == Some(YesNo::Yes)) else { return };
    if machine.board != Board::Q35 {
        cx.error_at(
            &codes::FIRMWARE,
            loader.site,
            "secure",
            "<loader secure='yes'>: secure boot takes the protected memory of q35 machine types",
        );
    } else if machine.arch != Arch::X86_64 {
        cx.error_at(
            &codes::FIRMWARE,
            loader.site,
            "secure",
            "<loader secure='yes'>: secure boot is supported for the architecture x86_64 only",
        )
        .help("arch='x86_64' runs guests of 32 bits, too");
    } else if features.and_then(|f| f.smm.as_ref()).is_none_or(|s| s.switch.state != Some(OnOff::On)) {
        cx.error_at(
            &codes::FIRMWARE,
            loader.site,
            "secure",
            "<loader secure='yes'>: secure boot keeps its keys behind SMM, and that feature is not enabled",
        )
        .help("add <smm state='on'/> to <features>");
    }
}

/// Whether the guest begins in UEFI.
pub fn has_uefi(domain: &Domain) -> bool {
    let is_uefi = |os: &Os| {
        os.firmware == Some(FirmwareKind::Efi)
            || os.loader.as_ref().is_some_and(|l| l.kind == Some(LoaderKind::Pflash) && l.path.is_some())
    };
    domain.os.as_ref().is_some_and(is_uefi)
}

/// Messages of the BIOS on a serial port.
fn serial(os: &Os, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(bios) = os.bios.as_ref().filter(|b| b.use_serial == Some(YesNo::Yes)) else { return };
    if !machine.arch.is_x86() {
        let message = "<bios useserial>: a BIOS that talks on a serial console is a thing of x86 architectures";
        cx.error_at(&codes::BOOT, bios.site, "useserial", message);
    } else if domain.devices.as_ref().is_none_or(|d| d.serials.is_empty()) {
        let message = "<bios useserial>: there is no serial port that the BIOS could use for its output";
        cx.error_at(&codes::BOOT, bios.site, "useserial", message).help("add <serial type='pty'/> to <devices>");
    }
}

/// Files that are handed to the guest.
fn files(os: &Os, cx: &mut Cx<'_>) {
    if os.shim.is_some() && !cx.has(Cap::Shim) {
        cx.error(&codes::BOOT, os.site, "<shim>: this QEMU binary cannot load one");
    }
    if os.shim.is_some() && os.kernel.is_none() && !cx.env.behaves(Quirk::ShimWithoutKernel) {
        cx.error(&codes::BOOT, os.site, "<shim> starts a kernel: it is only allowed with the option <kernel>")
            .help("add <kernel>, or remove <shim>");
    }
    for (i, table) in os.acpi.iter().enumerate() {
        let Some(kind) = table.kind else { continue };
        if kind == AcpiTableKind::Rawset {
            cx.error_at(
                &codes::BOOT,
                table.site,
                "type",
                format!("<table type='{kind}'>: QEMU takes one ACPI table a file"),
            )
            .help("give each table its own <table type='raw'>");
        } else if kind != AcpiTableKind::Raw && os.acpi.iter().take(i).any(|t| t.kind == Some(kind)) {
            cx.error_at(
                &codes::BOOT,
                table.site,
                "type",
                format!("a second ACPI <table type='{kind}'>: a guest looks for it once"),
            );
        }
    }
}

/// What QEMU's firmware configuration asks of an entry.
fn fwcfg(entry: &Entry, cx: &mut Cx<'_>) {
    let message = match entry.name.as_deref() {
        None => "an <entry> for the firmware needs the attribute 'name', which is missing",
        Some(name) if !name.starts_with("opt/") => "an invalid name for the firmware: those of users begin with 'opt/'",
        Some(name) if name.starts_with("opt/ovmf/") || name.starts_with("opt/org.qemu/") => {
            "<entry>: that name is reserved for the firmware's own files"
        }
        Some(_) if entry.value.is_none() && entry.file.is_none() => {
            "an <entry> for the firmware has its value as text, or in a 'file': here is neither"
        }
        Some(_) => return,
    };
    cx.error(&codes::SMBIOS, entry.site, message).help("<entry name='opt/org.example/name'>value</entry>");
}

/// Values of SMBIOS.
fn smbios(domain: &Domain, cx: &mut Cx<'_>) {
    for info in &domain.sysinfo {
        if let Some(bios) = &info.bios
            && let Some(date) = bios.get("date")
            && !is_date(date)
        {
            cx.error(&codes::SMBIOS, bios.site, format!("invalid format of the BIOS 'date': {date}"))
                .help("write month/day/year: 04/30/2013");
        }
        let uuid = info.system.as_ref().and_then(|s| s.get("uuid"));
        if let Some(text) = uuid
            && let Some(system) = &info.system
        {
            use crate::vocab::{Uuid, Value};
            match Uuid::parse(text) {
                Err(_) => {
                    cx.error(&codes::SMBIOS, system.site, format!("malformed <sysinfo> uuid '{text}'"));
                }
                Ok(uuid) if Some(uuid) != domain.hardware_uuid() => {
                    let own = if domain.hwuuid.is_some() { "hwuuid" } else { "uuid" };
                    let message = format!(
                        "<sysinfo> gives the guest another UUID than the domain's <{own}>: '{uuid}' (mismatch)"
                    );
                    cx.error(&codes::SMBIOS, system.site, message);
                }
                Ok(_) => {}
            }
        }
    }
}

/// Whether it is `mm/dd/yyyy`, or with a year of two digits.
fn is_date(text: &str) -> bool {
    let number = |text: &str, digits: &[usize]| {
        if digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse::<u32>().ok()
        } else {
            None
        }
    };
    let mut parts = text.split('/');
    let (month, day, year) = (parts.next(), parts.next(), parts.next());
    let month = month.and_then(|m| number(m, &[1, 2])).is_some_and(|m| (1..=12).contains(&m));
    let day = day.and_then(|d| number(d, &[1, 2])).is_some_and(|d| (1..=31).contains(&d));
    let year = year.is_some_and(|y| match y.len() {
        2 => number(y, &[2]).is_some(),
        _ => number(y, &[4]).is_some_and(|y| y >= 1900),
    });
    month && day && year && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::is_date;

    #[test]
    fn dates_of_a_bios() {
        for (text, valid) in
            [("04/30/2013", true), ("4/3/13", true), ("2013-04-30", false), ("13/01/2013", false), ("01/02", false)]
        {
            assert_eq!(is_date(text), valid, "{text}");
        }
    }
}
