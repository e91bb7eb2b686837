//! The words of storage: kinds of sources, formats, protocols.

use crate::vocab::keywords;

keywords! {
    /// `type='…'` of a disk, backing store, mirror or data store: what the source is.
    #[derive(Default)]
    pub enum StorageKind {
        #[default]
        File = "file",
        Block = "block",
        Dir = "dir",
        Network = "network",
        Volume = "volume",
        Nvme = "nvme",
        VhostUser = "vhostuser",
        VhostVdpa = "vhostvdpa",
    }
}

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

keywords! {
    /// `<source protocol='…'>` of a network disk.
    pub enum Protocol {
        Nbd = "nbd",
        Rbd = "rbd",
        Sheepdog = "sheepdog",
        Gluster = "gluster",
        Iscsi = "iscsi",
        Http = "http",
        Https = "https",
        Ftp = "ftp",
        Ftps = "ftps",
        Tftp = "tftp",
        Ssh = "ssh",
        Vxhs = "vxhs",
        Nfs = "nfs",
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

keywords! {
    /// `<host transport='…'>`
    pub enum Transport { Tcp = "tcp", Unix = "unix", Rdma = "rdma" }
}

keywords! {
    /// `<source mode='…'>` of a volume: how an iSCSI volume is reached.
    pub enum VolumeMode { Host = "host", Direct = "direct" }
}

keywords! {
    /// `<source startupPolicy='…'>`: what to do when the source is not there.
    pub enum StartupPolicy { Mandatory = "mandatory", Requisite = "requisite", Optional = "optional" }
}
