//! The words of storage: kinds of sources, formats, protocols.

pub use crate::schema::words::{Protocol, StartupPolicy, StorageKind, Transport, VolumeMode};
use crate::vocab::keywords;

keywords! {
    /// The format of an image.
    pub enum Format {
        None = "none",
        Raw = "raw",
        Dir = "dir",
        Bochs = "bochs",
        Cloop = "cloop",
        Dmg = "dmg",
        Iso = "iso",
        Vpc = "vpc",
        Vdi = "vdi",
        Fat = "fat",
        Vhd = "vhd",
        Ploop = "ploop",
        Cow = "cow",
        Qcow = "qcow",
        Qcow2 = "qcow2",
        Qed = "qed",
        Vmdk = "vmdk",
    }
}

impl Format {
    /// Whether an image of this format can name another that lies below it.
    pub fn has_backing(self) -> bool {
        matches!(self, Format::Cow | Format::Qcow | Format::Qcow2 | Format::Qed | Format::Vmdk)
    }
}

impl Protocol {
    /// The port that serves the protocol when the XML names none; none where QEMU's library knows it.
    pub fn default_port(self) -> Option<u32> {
        Some(match self {
            Protocol::Nbd => 10809,
            Protocol::Sheepdog => 7000,
            Protocol::Gluster => 24007,
            Protocol::Iscsi => 3260,
            Protocol::Http => 80,
            Protocol::Https => 443,
            Protocol::Ftp => 21,
            Protocol::Ftps => 990,
            Protocol::Tftp => 69,
            Protocol::Ssh => 22,
            Protocol::Vxhs => 9999,
            Protocol::Rbd | Protocol::Nfs => return None,
        })
    }

    /// Whether libcurl serves it.
    pub fn is_curl(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp)
    }
}
