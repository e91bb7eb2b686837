//! The table of families: by what a device is found again, and what of it is locked.
//!
//! Names are paths as in [`super::flat`]. The address of a device is always locked.

/// A row of the table.
pub struct Family {
    /// The element.
    pub element: &'static str,
    /// What identifies it, the surest first. A group identifies if its first path is there; all of it has to be equal.
    pub strong: &'static [&'static [&'static str]],
    /// What kind of device it is. Where both sides say it and differ, they are two devices.
    pub kind: &'static [&'static str],
    /// What makes it likely to be the same.
    pub weak: &'static [&'static str],
    /// What is locked besides its address.
    pub keeps: &'static [&'static str],
}

macro_rules! families {
    ($($element:literal strong $strong:tt kind $kind:tt weak $weak:tt keeps $keeps:tt;)*) => {
        /// One row an element.
        pub static FAMILIES: &[Family] = &[$(
            Family { element: $element, strong: &$strong, kind: &$kind, weak: &$weak, keeps: &$keeps },
        )*];
    };
}

families! {
    "disk"
        strong [&["serial.text"], &["wwn.text"], &["target.dev"]] kind ["device", "target.bus"]
        weak ["source.file", "source.dev", "source.name", "source.volume"] keeps ["target.bus"];
    "controller"
        strong [&["index", "type"]] kind ["type", "model"] weak []
        keeps ["index", "model", "model.name", "target.chassis", "target.chassisNr", "target.port", "target.busNr",
               "target.index", "ports", "serial.text"];
    "filesystem"
        strong [&["target.dir"]] kind [] weak ["source.dir", "driver.type"] keeps ["model"];
    "interface"
        strong [&["mac.address"]] kind []
        weak ["type", "model.type", "source.network", "source.bridge", "source.dev", "source.portgroup", "source.path", "target.dev"]
        keeps ["mac.address", "model.type"];
    "smartcard" strong [] kind ["mode"] weak ["type"] keeps [];
    "serial"
        strong [&["target.port"]] kind ["target.type", "target.model.name"]
        weak ["type", "source.path", "source.service", "source.host"]
        keeps ["target.port", "target.type", "target.model.name"];
    "parallel"
        strong [&["target.port"]] kind [] weak ["type", "source.path"] keeps ["target.port"];
    "console" strong [] kind ["target.type"] weak ["type", "source.path"] keeps [];
    "channel"
        strong [&["target.name"]] kind ["target.type"] weak ["type", "source.path", "source.channel"] keeps [];
    "input"
        strong [] kind ["type", "bus"] weak ["source.dev", "source.evdev"] keeps ["bus", "model"];
    "tpm" strong [] kind ["model"] weak ["backend.type"] keeps ["model", "backend.version"];
    "sound" strong [] kind ["model"] weak ["audio.id"] keeps [];
    "video"
        strong [] kind ["model.type"] weak ["model.heads"]
        keeps ["model.type", "model.ram", "model.vram", "model.vgamem", "model.heads", "model.primary"];
    "hostdev"
        strong [&["source.address.uuid"],
                &["source.vendor.id", "source.product.id", "source.address.bus", "source.address.device"],
                &["source.adapter.name", "source.address.bus", "source.address.target", "source.address.unit"],
                &["source.address.bus", "source.address.domain", "source.address.slot", "source.address.function",
                 "source.address.device"],
                &["source.wwpn"]]
        kind ["type", "mode"] weak ["source.dev"] keeps [];
    "redirdev" strong [] kind ["bus"] weak ["type", "source.host", "source.service"] keeps [];
    "hub" strong [] kind ["type"] weak [] keeps [];
    "watchdog" strong [] kind ["model"] weak ["action"] keeps ["model"];
    "memballoon" strong [] kind ["model"] weak [] keeps ["model"];
    "rng" strong [] kind ["model"] weak ["backend.model", "backend.text"] keeps ["model"];
    "nvram" strong [] kind [] weak [] keeps [];
    "panic" strong [] kind ["model"] weak [] keeps ["model"];
    "shmem" strong [&["name"]] kind ["model.type"] weak [] keeps ["model.type"];
    "memory"
        strong [] kind ["model"] weak ["target.node", "target.size.text", "source.path.text"] keeps [];
    "crypto" strong [] kind ["model"] weak ["backend.model"] keeps [];
    "iommu" strong [] kind ["model"] weak [] keeps ["model"];
    "vsock" strong [] kind ["model"] weak ["cid.address"] keeps ["model"];
    "pstore" strong [] kind ["backend"] weak ["path.text"] keeps [];
}

/// The row of an element.
pub fn family(element: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|f| f.element == element)
}

/// What is locked of the domain itself: whole parts, that it takes from the machine type, from QEMU and from the host.
pub static DOMAIN: &[&str] = &["uuid", "genid", "os.loader", "os.nvram", "os.varstore", "os.firmware", "cpu"];
