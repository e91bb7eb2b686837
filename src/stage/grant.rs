//! What a domain may do with the things of the host, by what it uses them for: one line a use.
//!
//! Everything that confines a guest (AppArmor, SELinux, owners, device rules, units) is made from the
//! accesses that families add with [`Lower::touch`]. So who labels what, and who owns what, is
//! decided in this table and nowhere else. Labels and owners are those that libvirt 11.3 gives
//! (measured); permissions are no wider than QEMU needs.

use super::Lower;
use crate::domain::seclabel::SourceSeclabel;
use crate::plan::{
    Access, Cause, LabelRole, Lent, LentDevice, Need, OwnerRule, PathKind, Perms, Sharing, Socket, SocketRole, Text,
    Use,
};
use crate::vocab::{YesNo, nodes};
use crate::xml::Site;

/// What is granted for one use of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// What is expected there.
    pub kind: PathKind,
    /// What the process does with it.
    pub perms: Perms,
    /// Who else may use it.
    pub sharing: Sharing,
    /// Its SELinux label.
    pub label: LabelRole,
    /// Whether the label before is given back.
    pub restore_label: bool,
    /// Its owner.
    pub owner: OwnerRule,
}

const RW: Perms = Perms { lock: false, ..Perms::READ_WRITE };
const R: Perms = Perms { lock: false, ..Perms::READ };

macro_rules! grants {
    ($($(#[$doc:meta])* $name:ident: $kind:ident, $perms:expr, $sharing:ident, $label:ident $restore_label:literal, $owner:expr;)*) => {
        /// The uses. The columns: what it is, permissions, sharing, label and whether it is given back, owner.
        impl Grant {
            $($(#[$doc])* pub const $name: Grant = Grant {
                kind: PathKind::$kind,
                perms: $perms,
                sharing: Sharing::$sharing,
                label: LabelRole::$label,
                restore_label: $restore_label,
                owner: $owner,
            };)*
        }
    };
}
const OWN: OwnerRule = OwnerRule::Domain { restore: true };
const GIVE: OwnerRule = OwnerRule::Domain { restore: false };
const KEEP: OwnerRule = OwnerRule::Keep;

grants! {
    /// A disk image that is written, a variable store, a persistent memory file.
    IMAGE: File, Perms::READ_WRITE, Exclusive, Image true, OWN;
    /// `<shareable/>`
    SHARED_IMAGE: File, Perms::READ_WRITE, Shared, Shared false, GIVE;
    /// `<readonly/>`, CD-ROM.
    READ_ONLY_IMAGE: File, Perms::READ, ReadOnly, Content false, GIVE;
    /// A layer below the top of a backing chain.
    BACKING: File, Perms::READ, ReadOnly, Content false, GIVE;
    /// Firmware code that is only read.
    LOADER: File, Perms::READ, System, Keep false, KEEP;
    /// The configuration of a library.
    SYSTEM_FILE: File, R, System, Keep false, KEEP;
    /// Firmware code that the guest may write. Libvirt leaves owner and label, so that QEMU cannot.
    WRITABLE_LOADER: File, Perms::READ_WRITE, Exclusive, Image true, OWN;
    /// Kernel, initial RAM disk, device tree, ACPI table, fw_cfg file.
    BOOT_FILE: File, R, ReadOnly, Content true, OWN;
    /// The option ROM of a PCI device.
    ROM: File, R, ReadOnly, Keep false, KEEP;
    /// The file behind a character device.
    CHARDEV_FILE: File, RW, Exclusive, Image true, OWN;
    /// The node behind a character device.
    CHARDEV_NODE: CharDevice, RW, Exclusive, Image true, OWN;
    /// The FIFO behind a character device.
    CHARDEV_PIPE: Pipe, RW, Exclusive, Image true, OWN;
    /// A socket that QEMU connects to, behind a character device.
    CHARDEV_SOCKET: Socket, RW, Exclusive, Image true, OWN;
    /// A socket that QEMU listens on.
    LISTEN_SOCKET: Socket, RW, Exclusive, Keep false, KEEP;
    /// A socket of a helper of this domain (swtpm).
    HELPER_SOCKET: Socket, RW, Exclusive, Image false, GIVE;
    /// What a helper of this domain keeps.
    HELPER_STATE: Tree, Perms::READ_WRITE, Exclusive, Image false, GIVE;
    /// A socket of another program (vhost-user, EGD, USB redirection).
    PEER_SOCKET: Socket, RW, Exclusive, Keep false, KEEP;
    /// A log that is only written.
    LOG: File, Perms::WRITE, Exclusive, Keep false, KEEP;
    /// A log that QEMU itself writes, where no other process does that for it.
    OWN_LOG: File, Perms::WRITE, Exclusive, Image true, GIVE;
    /// An IOMMU group. Given back to root, so that nothing but the next guest can open it.
    VFIO_GROUP: CharDevice, RW, Exclusive, Image true, OWN;
    /// A USB or SCSI device, an input device.
    HOST_DEVICE: CharDevice, RW, Exclusive, Image true, OWN;
    /// A SCSI device that several guests write.
    SHARED_HOST_DEVICE: CharDevice, RW, Shared, Shared true, OWN;
    /// A SCSI device that is only read.
    READ_ONLY_HOST_DEVICE: CharDevice, R, ReadOnly, Content true, OWN;
    /// Where commands to the TPM of the host are cancelled: QEMU opens it itself, and only writes.
    TPM_CANCEL: File, Perms::WRITE, Exclusive, Image true, OWN;
    /// The enclave memory of SGX, shared by all enclaves of the host.
    SGX_MEMORY: CharDevice, RW, Shared, Image true, KEEP;
    /// The right to keys of the platform.
    SGX_PROVISION: CharDevice, R, Shared, Image true, KEEP;
    /// The file behind persistent memory or an error log.
    MEMORY_FILE: File, RW, Exclusive, Image true, OWN;
    /// Where the files behind RAM are made.
    MEMORY_FOLDER: Tree, RW, Exclusive, Image true, GIVE;
    /// A node that belongs to the system and that programs share: `/dev/kvm`, `/dev/net/tun`, a render node.
    SYSTEM_NODE: CharDevice, RW, System, Keep false, KEEP;
    /// A node that programs share and only root may open: the account gets it.
    PRIVILEGED_NODE: CharDevice, RW, Shared, Keep false, GIVE;
    /// A node of the system that is only read: a source of random numbers.
    SYSTEM_SOURCE: CharDevice, R, System, Keep false, KEEP;
    /// A source of random numbers that only root may open: the account gets it.
    PRIVILEGED_SOURCE: CharDevice, R, Shared, Keep false, GIVE;
    /// A folder that the guest sees and writes.
    SHARE: Tree, Perms { link: true, ..RW }, Exclusive, Keep false, KEEP;
    /// A folder that the guest sees.
    READ_ONLY_SHARE: Tree, R, ReadOnly, Keep false, KEEP;
    /// A certificate database of the guest.
    CERTIFICATES: Files, Perms::READ, ReadOnly, Content true, KEEP;
    /// A certificate database of the system.
    SYSTEM_CERTIFICATES: Files, Perms::READ, System, Keep false, KEEP;
    /// Shared memory between guests.
    SHARED_MEMORY: File, RW, Shared, Shared false, KEEP;
}

/// The labels of an image in a chain: its own, and where it has none for a model those of the image on top.
pub fn labels_of_layer(own: &[SourceSeclabel], top: &[SourceSeclabel]) -> Vec<SourceSeclabel> {
    let says = |label: &&SourceSeclabel| label.relabel == Some(YesNo::No) || label.label.is_some();
    let model = |label: &SourceSeclabel| label.model.clone().unwrap_or_else(|| "selinux".to_string());
    let own: Vec<&SourceSeclabel> = own.iter().filter(says).collect();
    let above = top.iter().filter(says).filter(|label| own.iter().all(|o| model(o) != model(label)));
    own.iter().copied().chain(above).cloned().collect()
}

impl Grant {
    /// The same for another kind of thing (an image on a block device).
    pub fn on(self, kind: PathKind) -> Grant {
        Grant { kind, ..self }
    }

    /// What remains when `<seclabel>` elements of the source override it.
    pub fn overridden(mut self, labels: &[SourceSeclabel]) -> Grant {
        for own in labels {
            let left = own.relabel == Some(YesNo::No);
            match own.model.as_deref() {
                None | Some("selinux") if left => self.label = LabelRole::Keep,
                None | Some("selinux") => {
                    if let Some(label) = &own.label {
                        self.label = LabelRole::Explicit(label.clone());
                    }
                }
                Some("dac") if left => self.owner = OwnerRule::Keep,
                Some("dac") => {
                    if let Some(label) = &own.label {
                        self.owner = OwnerRule::Explicit(label.clone());
                    }
                }
                Some(_) => {}
            }
        }
        if self.label == LabelRole::Keep {
            self.restore_label = false;
        }
        self
    }
}

impl Lower<'_> {
    /// Adds a use of a path by QEMU to the access closure.
    pub fn touch(&mut self, path: &str, grant: Grant, usage: Use, site: Site, what: impl Into<Text>) {
        self.touch_by("qemu", path, grant, usage, site, what);
    }

    /// Adds the socket at which a helper of the domain, by its id, serves QEMU.
    pub fn listens(&mut self, helper: &str, path: &str, cause: &Cause) {
        let (path, process) = (path.to_string(), helper.to_string());
        self.plan.sockets.push(Socket { role: SocketRole::Helper, path, process, cause: cause.clone() });
    }

    /// Adds a use of a path by the process with this id.
    pub fn touch_by(&mut self, process: &str, path: &str, grant: Grant, usage: Use, site: Site, what: impl Into<Text>) {
        let cause = self.cause(site, what);
        let Grant { kind, perms, sharing, label, restore_label, owner } = grant;
        self.plan.access.push(Access {
            process: process.to_string(),
            usage,
            path: path.to_string(),
            resolved: None,
            kind,
            perms,
            sharing,
            label,
            restore_label,
            owner,
            optional: false,
            cause,
        });
    }

    /// Notes a device that is the machine's while it runs.
    pub fn lend(&mut self, device: LentDevice, managed: bool, site: Site, what: impl Into<Text>) {
        let cause = self.cause(site, what);
        self.plan.lent.push(Lent { device, managed, optional: false, cause });
    }

    /// Notes a USB device that QEMU looks for itself.
    pub fn lend_usb(&mut self, device: LentDevice, optional: bool, site: Site, what: impl Into<Text>) {
        let cause = self.cause(site, what);
        self.plan.lent.push(Lent { device, managed: false, optional, cause });
    }

    /// The container of VFIO, and the node of a group of devices; all groups where it is not known. Whose the node is
    /// follows from what is lent.
    pub fn touch_vfio(&mut self, group: Option<u32>, usage: Use, site: Site, what: impl Into<Text>) {
        let what = what.into();
        self.need(Need::Vfio, site, what.clone());
        self.touch(nodes::VFIO, Grant::SYSTEM_NODE, usage, site, what.clone());
        match group {
            Some(group) => self.touch(&format!("/dev/vfio/{group}"), Grant::VFIO_GROUP, usage, site, what),
            // The folder is nobody's by name: only a device of the host may have it.
            None => self.touch("/dev/vfio", Grant::VFIO_GROUP.on(PathKind::Files), Use::HostDevice, site, what),
        }
    }

    /// Adds a use by QEMU of what hosts need not have: a library's configuration, a folder of drivers.
    pub fn touch_if_there(&mut self, path: &str, grant: Grant, usage: Use, site: Site, what: impl Into<Text>) {
        self.touch(path, grant, usage, site, what);
        if let Some(access) = self.plan.access.last_mut() {
            access.optional = true;
        }
    }
}
