//! What the machine type says about the board.

use crate::caps::Accel;
use crate::vocab::Arch;

/// The board behind a machine type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Board {
    /// x86: `pc`, `pc-i440fx-*`.
    I440fx,
    /// x86: `q35`, `pc-q35-*`.
    Q35,
    /// x86 without PCI: `isapc`.
    Isapc,
    /// x86 without chipset: `microvm`.
    Microvm,
    /// x86 under Xen: `xenfv`, `xenpv`.
    Xen,
    /// ARM and others: `virt`, `virt-*`.
    Virt,
    /// POWER: `pseries*`.
    Pseries,
    /// POWER on bare metal: `powernv*`.
    Powernv,
    /// S/390: `s390-ccw-virtio*`.
    CcwVirtio,
    /// Any other.
    Other,
}

/// How far the facts about the machine can be relied on. After a fault in what the domain says of its machine the passes
/// go on with a guess, so that a person sees all other faults of the file in the same run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Guess {
    /// It is the machine that the domain asks for.
    #[default]
    No,
    /// A machine of the same family, or with a name that differs in a slip of the keyboard.
    Kin,
    /// Any machine: what depends on it cannot be judged.
    Any,
}

/// Facts about the guest's machine that most decisions depend on.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Architecture of the guest.
    pub arch: Arch,
    /// Canonical machine type.
    pub name: String,
    /// The board.
    pub board: Board,
    /// How the guest is executed.
    pub accel: Accel,
    /// Whether this is a guess, after a fault.
    pub guess: Guess,
}

impl Board {
    /// The board of a machine type.
    pub fn of(arch: Arch, machine: &str) -> Board {
        let is = |name: &str| machine == name || machine.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
        match arch {
            Arch::X86_64 | Arch::I686 => {
                if is("q35") || is("pc-q35") {
                    Board::Q35
                } else if machine == "pc"
                    || is("pc-i440fx")
                    || machine.starts_with("pc-0.")
                    || machine.starts_with("pc-1.")
                    || machine.starts_with("rhel")
                {
                    Board::I440fx
                } else if machine == "isapc" {
                    Board::Isapc
                } else if is("microvm") {
                    Board::Microvm
                } else if is("xenfv") || is("xenpv") {
                    Board::Xen
                } else {
                    Board::Other
                }
            }
            Arch::Ppc64 | Arch::Ppc64le if is("pseries") => Board::Pseries,
            Arch::Ppc64 | Arch::Ppc64le if machine.starts_with("powernv") => Board::Powernv,
            Arch::S390 | Arch::S390x if is("s390-ccw-virtio") || machine == "s390-ccw" => Board::CcwVirtio,
            _ if is("virt") => Board::Virt,
            _ => Board::Other,
        }
    }
}

impl Machine {
    /// Whether the root bus is conventional PCI.
    pub fn has_pci_root(&self) -> bool {
        matches!(self.board, Board::I440fx | Board::Pseries | Board::Xen)
            || self.board == Board::CcwVirtio
            || self.board == Board::Powernv
            || (self.arch.is_ppc() && self.board == Board::Other)
            || self.name == "versatilepb"
            || (self.arch.is_mips() && self.name == "malta")
    }

    /// Whether QEMU calls the root bus `pci.0`; some boards call it `pci`.
    pub fn numbers_pci_buses(&self) -> bool {
        self.arch.is_x86() || self.arch.is_ppc() || self.board != Board::Other
    }

    /// Whether the board gets a memory balloon when the XML does not mention one.
    pub fn has_default_balloon(&self) -> bool {
        !(self.arch.is_arm() || self.arch.is_loongarch() || matches!(self.arch, Arch::Sparc | Arch::Sparc64))
    }

    /// Whether the board gets a USB controller when the XML has none.
    pub fn has_default_usb(&self) -> bool {
        match self.board {
            Board::I440fx | Board::Q35 | Board::Pseries | Board::Powernv => true,
            Board::Other if self.arch.is_arm() => self.name == "versatilepb" || self.name.starts_with("realview"),
            Board::Other => self.arch.is_ppc(),
            _ => false,
        }
    }

    /// Whether the board has an IDE controller of its own.
    pub fn has_builtin_ide(&self) -> bool {
        matches!(self.board, Board::I440fx | Board::Isapc | Board::Xen)
            || matches!(self.name.as_str(), "malta" | "sun4u" | "g3beige" | "mac99" | "prep")
            || (self.arch == Arch::Ppc64 && self.board == Board::Other)
    }

    /// Whether the board has an ESP SCSI controller of its own.
    pub fn has_builtin_esp(&self) -> bool {
        self.arch == Arch::Sparc || matches!(self.name.as_str(), "magnum" | "pica61" | "q800")
    }

    /// Whether the root bus is PCI Express.
    pub fn has_pcie_root(&self) -> bool {
        matches!(self.board, Board::Q35 | Board::Virt)
    }
}
