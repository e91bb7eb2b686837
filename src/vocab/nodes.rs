//! Device nodes of Linux that machines use: one table.
//!
//! What confines a machine names nodes by their paths, their numbers or the driver behind them; what prepares the host
//! loads the module. Numbers are those of Linux (`Documentation/admin-guide/devices.txt`).

/// Where a guest's instructions are executed.
pub const KVM: &str = "/dev/kvm";
/// Where taps are made.
pub const TUN: &str = "/dev/net/tun";
/// Where the kernel moves the frames of an interface.
pub const VHOST_NET: &str = "/dev/vhost-net";
/// Where sockets between host and guest are made.
pub const VHOST_VSOCK: &str = "/dev/vhost-vsock";
/// Where SCSI targets of the kernel are reached.
pub const VHOST_SCSI: &str = "/dev/vhost-scsi";
/// Where memory becomes buffers of the graphics stack.
pub const UDMABUF: &str = "/dev/udmabuf";
/// The container of VFIO.
pub const VFIO: &str = "/dev/vfio/vfio";
/// Where device-mapper is asked and told.
pub const DEVICE_MAPPER: &str = "/dev/mapper/control";
/// Where pseudo-terminals are made.
pub const PTMX: &str = "/dev/ptmx";
/// Enclave memory.
pub const SGX_VEPC: &str = "/dev/sgx_vepc";
/// The right to keys of the platform.
pub const SGX_PROVISION: &str = "/dev/sgx_provision";

/// A character device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its path.
    pub path: &'static str,
    /// Its major and minor number, where they are the same on every Linux.
    pub number: Option<(u32, u32)>,
    /// The unit of systemd that loads the module behind it, for those that are not loaded until somebody asks.
    pub loaded_by: Option<&'static str>,
    /// Whether any program may open it.
    pub is_harmless: bool,
}

macro_rules! nodes {
    (@unit) => { None };
    (@unit $module:literal) => { Some(concat!("modprobe@", $module, ".service")) };
    (@is harmless) => { true };
    (@is $other:ident) => { false };
    ($($path:expr, $number:expr, $kind:ident $($module:literal)?;)*) => {
        /// The nodes that are known by name: path, number, and whether it is harmless, needs a module, or is there anyway.
        pub const NODES: &[Node] = &[$(Node {
            path: $path,
            number: $number,
            loaded_by: nodes!(@unit $($module)?),
            is_harmless: nodes!(@is $kind),
        }),*];
    };
}

nodes! {
    "/dev/null", Some((1, 3)), harmless;
    "/dev/zero", Some((1, 5)), harmless;
    "/dev/full", Some((1, 7)), harmless;
    "/dev/random", Some((1, 8)), harmless;
    "/dev/urandom", Some((1, 9)), harmless;
    PTMX, Some((5, 2)), there;
    KVM, Some((10, 232)), there;
    TUN, Some((10, 200)), module "tun";
    VHOST_NET, Some((10, 238)), module "vhost_net";
    VHOST_VSOCK, Some((10, 241)), module "vhost_vsock";
    VHOST_SCSI, None, module "vhost_scsi";
    VFIO, Some((10, 196)), there;
    DEVICE_MAPPER, Some((10, 236)), module "dm_mod";
    UDMABUF, None, there;
    SGX_VEPC, None, there;
    SGX_PROVISION, None, there;
}

/// A driver that makes many nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// USB devices.
    Usb,
    /// GPUs.
    Gpu,
    /// Sound cards.
    Sound,
    /// Groups of VFIO.
    Vfio,
    /// Pseudo-terminals.
    Pts,
    /// Macvtaps.
    Macvtap,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 6] = [Class::Usb, Class::Gpu, Class::Sound, Class::Vfio, Class::Pts, Class::Macvtap];

    /// As systemd names it: `char-` and its name in `/proc/devices`; its major number, unless the kernel chooses it;
    /// the folder of its nodes, if they have one that a machine gets as a whole.
    const fn row(self) -> (&'static str, Option<u32>, Option<&'static str>) {
        match self {
            Class::Usb => ("char-usb_device", Some(189), Some("/dev/bus/usb")),
            Class::Gpu => ("char-drm", Some(226), Some("/dev/dri")),
            Class::Sound => ("char-alsa", Some(116), Some("/dev/snd")),
            Class::Vfio => ("char-vfio", None, Some("/dev/vfio")),
            Class::Pts => ("char-pts", Some(136), None),
            Class::Macvtap => ("char-macvtap", None, None),
        }
    }

    /// As systemd names it.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Its major number; none: the kernel chooses it.
    pub const fn major(self) -> Option<u32> {
        self.row().1
    }

    /// The class whose folder a path is.
    pub fn of_folder(path: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.row().2 == Some(path))
    }

    /// The class whose folder a path is, or is in.
    pub fn of(path: &str) -> Option<Class> {
        let is_in =
            |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Class::ALL.into_iter().find(|class| class.row().2.is_some_and(is_in))
    }
}

/// The row of a node.
pub fn known(path: &str) -> Option<&'static Node> {
    NODES.iter().find(|node| node.path == path)
}

/// Whether a path is that of a device node: below `/dev`, but for what tmpfs and hugetlbfs hold there.
pub fn is_node(path: &str) -> bool {
    path.starts_with("/dev/") && !["/dev/shm/", "/dev/hugepages", "/dev/mqueue/"].iter().any(|p| path.starts_with(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_one_row() {
        for (at, node) in NODES.iter().enumerate() {
            assert!(NODES[at + 1..].iter().all(|other| other.path != node.path), "{}", node.path);
            assert!(is_node(node.path) && (node.number.is_some() || !node.is_harmless), "{}", node.path);
        }
        assert_eq!(Class::of("/dev/bus/usb/001/002"), Some(Class::Usb));
        assert_eq!((Class::of("/dev/driver"), Class::of_folder("/dev/dri/card0")), (None, None));
        assert!(!is_node("/dev/shm/x") && !is_node("/srv/dev/x"));
    }
}
