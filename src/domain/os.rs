//! `<os>`: machine type, firmware, boot.

use super::model::model;
use crate::vocab::{Arch, YesNo, keywords};

keywords! {
    /// The text of `<type>`.
    pub enum OsKind { Hvm = "hvm", Xen = "xen", Linux = "linux", Exe = "exe", Uml = "uml", Xenpvh = "xenpvh" }
}

keywords! {
    /// `<boot dev='…'/>`
    pub enum BootDevice { Fd = "fd", Cdrom = "cdrom", Hd = "hd", Network = "network" }
}

keywords! {
    /// What kind of firmware `<loader>` is.
    pub enum LoaderKind { Rom = "rom", Pflash = "pflash" }
}

model! {
    /// `<type arch='x86_64' machine='q35'>hvm</type>`
    pub struct OsType = "type" {
        attr arch: Arch = "arch",
        attr machine: String = "machine",
        text kind: OsKind,
    }
}

model! {
    /// `<loader>`: firmware by path.
    pub struct Loader = "loader" {
        attr readonly: YesNo = "readonly",
        attr secure: YesNo = "secure",
        attr kind: LoaderKind = "type",
        text path: String,
    }
}

model! {
    /// `<nvram>`: the variable store of UEFI.
    pub struct Nvram = "nvram" {
        attr template: String = "template",
        text path: String,
    }
}

model! {
    /// `<boot>` of `<os>`.
    pub struct Boot = "boot" {
        need dev: BootDevice = "dev",
    }
}

model! {
    /// `<bootmenu>`
    pub struct BootMenu = "bootmenu" {
        attr enable: YesNo = "enable",
        attr timeout: u32 = "timeout",
    }
}

model! {
    /// `<os>`
    pub struct Os = "os" {
        child kind: OsType,
        child loader: Loader,
        child nvram: Nvram,
        leaf kernel: String = "kernel",
        leaf initrd: String = "initrd",
        leaf cmdline: String = "cmdline",
        leaf dtb: String = "dtb",
        many boot: Boot,
        child bootmenu: BootMenu,
    }
}

impl Os {
    /// Architecture of the guest, if the XML says.
    pub fn arch(&self) -> Option<Arch> {
        self.kind.as_ref().and_then(|t| t.arch)
    }
}
