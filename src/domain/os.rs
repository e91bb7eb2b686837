//! `<os>`: machine type, firmware, boot.

use crate::bind::{Binder, Model, Part, Shape, model, print_attr};
use crate::device::storage::{StorageKind, StorageSource};
use crate::diag::codes::schema as codes;
pub use crate::schema::words::{
    AcpiTableKind, BootDevice, FirmwareFeatureName, FirmwareFormat, FirmwareKind, LoaderKind, OsKind, SmbiosMode,
};
use crate::vocab::{Arch, YesNo};
use crate::xml::{El, Site, XmlWriter};

model! {
    /// `<type arch='x86_64' machine='q35'>hvm</type>`
    pub struct OsType = "type" {
        attr arch: Arch = "arch",
        attr machine: String = "machine",
        text kind: OsKind,
    }
}

model! {
    /// `<feature>` of `<firmware>`: what the chosen firmware must or must not have.
    pub struct FirmwareFeature = "feature" {
        need enabled: YesNo = "enabled",
        need name: FirmwareFeatureName = "name",
    }
}

/// `<loader>`: firmware by path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loader {
    /// Whether the guest may write it.
    pub readonly: Option<YesNo>,
    /// Whether only code in system management mode may write the variables.
    pub secure: Option<YesNo>,
    /// ROM or flash.
    pub kind: Option<LoaderKind>,
    /// Whether it keeps no variables.
    pub stateless: Option<YesNo>,
    /// Format of the image.
    pub format: Option<FirmwareFormat>,
    /// Its path.
    pub path: Option<String>,
    /// Where it stands.
    pub site: Site,
}

impl Part for Loader {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.readonly = cx.attr(el, "readonly");
        self.secure = cx.attr(el, "secure");
        self.kind = cx.attr(el, "type");
        self.stateless = cx.attr(el, "stateless");
        self.format = cx.attr(el, "format");
        let path = el.text().trim();
        self.path = if path.is_empty() { None } else { Some(path.to_string()) };
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "readonly", &self.readonly);
        print_attr(out, "secure", &self.secure);
        print_attr(out, "type", &self.kind);
        print_attr(out, "stateless", &self.stateless);
        print_attr(out, "format", &self.format);
    }
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(path) = &self.path {
            out.text(path);
        }
    }
    fn shape(shape: &mut Shape) {
        for a in ["readonly", "secure", "type", "stateless", "format"] {
            shape.attr(a);
        }
        shape.text = true;
    }
}

impl Model for Loader {
    const ELEMENT: &'static str = "loader";
}

/// `<nvram>`: the variable store of UEFI.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nvram {
    /// The file that it is made from.
    pub template: Option<String>,
    /// Format of the template.
    pub template_format: Option<FirmwareFormat>,
    /// Format of the store.
    pub format: Option<FirmwareFormat>,
    /// Its path, in the old form without a source.
    pub path: Option<String>,
    /// Its source.
    pub source: Option<StorageSource>,
    /// Where it stands.
    pub site: Site,
}

impl Nvram {
    /// Path of the file or block device.
    pub fn file(&self) -> Option<&str> {
        self.path.as_deref().or_else(|| self.source.as_ref().and_then(StorageSource::path))
    }

    /// Whether it is reached over the network.
    pub fn is_network(&self) -> bool {
        self.source.as_ref().is_some_and(|s| s.kind == StorageKind::Network)
    }
}

impl Part for Nvram {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.template = cx.attr(el, "template");
        self.template_format = cx.attr(el, "templateFormat");
        self.format = cx.attr(el, "format");
        if let Some(kind) = cx.attr(el, "type") {
            let mut source = StorageSource { site: el.site(), ..StorageSource::default() };
            source.bind_child(kind, el, cx);
            let path = el.text().trim();
            if path.is_empty() && el.children().all(|child| !child.is("source")) {
                let message = format!("<nvram> with type='{kind}' lacks <source>");
                cx.diags
                    .error(&codes::MISSING_ELEMENT, el.span(), message)
                    .help("add a <source> that says where the variables are, or remove the type");
            }
            self.source = Some(source);
            if !path.is_empty() {
                let message = format!("<nvram> with type='{kind}' has its source in <source>, not as text: '{path}'");
                cx.diags
                    .error(&codes::UNEXPECTED_TEXT, el.text_span(), message)
                    .help("remove the type, or write the path into a <source> inside <nvram>");
            }
        } else {
            let path = el.text().trim();
            self.path = if path.is_empty() { None } else { Some(path.to_string()) };
        }
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "template", &self.template);
        print_attr(out, "templateFormat", &self.template_format);
        print_attr(out, "type", &self.source.as_ref().map(|s| s.kind));
        print_attr(out, "format", &self.format);
    }
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(source) = &self.source {
            crate::bind::print_as("source", source, out);
        } else if let Some(path) = &self.path {
            out.text(path);
        }
    }
    fn shape(shape: &mut Shape) {
        for a in ["template", "templateFormat", "type", "format"] {
            shape.attr(a);
        }
        shape.child::<StorageSource>("source");
        shape.text = true;
    }
}

impl Model for Nvram {
    const ELEMENT: &'static str = "nvram";
}

model! {
    /// `<varstore>`: the variables of UEFI that QEMU keeps in a file of its own (the device uefi-vars).
    pub struct Varstore = "varstore" {
        attr template: String = "template",
        attr path: String = "path",
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
    /// `<bios>`
    pub struct Bios = "bios" {
        attr use_serial: YesNo = "useserial",
        attr reboot_timeout: i32 = "rebootTimeout",
    }
}

model! {
    /// `<smbios>`
    pub struct Smbios = "smbios" {
        key mode: SmbiosMode = "mode",
    }
}

impl AcpiTableKind {
    /// The signature that the table of the file gets; none if it brings its own header.
    pub fn signature(self) -> Option<&'static str> {
        match self {
            AcpiTableKind::Slic => Some("SLIC"),
            AcpiTableKind::Msdm => Some("MSDM"),
            AcpiTableKind::Raw | AcpiTableKind::Rawset => None,
        }
    }
}

model! {
    /// `<table>` of `<acpi>`: an ACPI table from a file.
    pub struct AcpiTable = "table" {
        need kind: AcpiTableKind = "type",
        text path: String,
    }
}

/// What a container starts in place of a machine: it means nothing to a machine, and is forgotten.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerInit;

impl ContainerInit {
    const ELEMENTS: [&str; 6] = ["init", "initarg", "initenv", "initdir", "inituser", "initgroup"];
}

impl Part for ContainerInit {
    fn bind(&mut self, el: El<'_>, _: &mut Binder<'_>) {
        el.children().filter(|e| Self::ELEMENTS.iter().any(|name| e.is(name))).for_each(|e| e.mark_all());
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, _: &mut XmlWriter) {}
    fn shape(shape: &mut Shape) {
        Self::ELEMENTS.iter().for_each(|name| shape.leaf(name));
    }
}

model! {
    /// `<os>`
    pub struct Os = "os" {
        attr firmware: FirmwareKind = "firmware",
        child kind: OsType,
        list firmware_features: FirmwareFeature = "firmware",
        /// Firmware was to be chosen, but no descriptor fits: an error once it is needed.
        extra no_firmware: bool,
        child loader: Loader,
        child nvram: Nvram,
        mark varstore: Varstore,
        leaf kernel: String = "kernel",
        leaf initrd: String = "initrd",
        leaf cmdline: String = "cmdline",
        leaf dtb: String = "dtb",
        leaf shim: String = "shim",
        list acpi: AcpiTable = "acpi",
        many boot: Boot,
        child bootmenu: BootMenu,
        child bios: Bios,
        child smbios: Smbios,
        part container: ContainerInit,
    }
}

impl Os {
    /// Architecture of the guest, if the XML says.
    pub fn arch(&self) -> Option<Arch> {
        self.kind.as_ref().and_then(|t| t.arch)
    }

    /// What the XML asks of a firmware feature.
    pub fn firmware_feature(&self, name: FirmwareFeatureName) -> Option<bool> {
        let feature = self.firmware_features.iter().find(|f| f.name == Some(name));
        feature.and_then(|f| f.enabled).map(YesNo::is_yes)
    }
}
