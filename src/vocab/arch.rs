//! Processor architectures, in libvirt's spelling.

super::keywords! {
    /// An architecture of a host or a guest.
    pub enum Arch {
        Alpha = "alpha",
        Armv6l = "armv6l",
        Armv7l = "armv7l",
        Armv7b = "armv7b",
        Aarch64 = "aarch64",
        Cris = "cris",
        I686 = "i686",
        Ia64 = "ia64",
        Lm32 = "lm32",
        Loongarch64 = "loongarch64",
        M68k = "m68k",
        Microblaze = "microblaze",
        Microblazeel = "microblazeel",
        Mips = "mips",
        Mipsel = "mipsel",
        Mips64 = "mips64",
        Mips64el = "mips64el",
        Or32 = "or32",
        Parisc = "parisc",
        Parisc64 = "parisc64",
        Ppc = "ppc",
        Ppc64 = "ppc64",
        Ppc64le = "ppc64le",
        Ppcemb = "ppcemb",
        Riscv32 = "riscv32",
        Riscv64 = "riscv64",
        S390 = "s390",
        S390x = "s390x",
        Sh4 = "sh4",
        Sh4eb = "sh4eb",
        Sparc = "sparc",
        Sparc64 = "sparc64",
        Unicore32 = "unicore32",
        X86_64 = "x86_64",
        Xtensa = "xtensa",
        Xtensaeb = "xtensaeb",
    }
}

impl Arch {
    /// x86, 32 or 64 bits.
    pub fn is_x86(self) -> bool {
        matches!(self, Arch::X86_64 | Arch::I686)
    }

    /// ARM, 32 or 64 bits.
    pub fn is_arm(self) -> bool {
        matches!(self, Arch::Armv6l | Arch::Armv7l | Arch::Armv7b | Arch::Aarch64)
    }

    /// POWER, 64 bits.
    pub fn is_ppc64(self) -> bool {
        matches!(self, Arch::Ppc64 | Arch::Ppc64le)
    }

    /// POWER, any.
    pub fn is_ppc(self) -> bool {
        self.is_ppc64() || matches!(self, Arch::Ppc | Arch::Ppcemb)
    }

    /// S/390.
    pub fn is_s390(self) -> bool {
        matches!(self, Arch::S390 | Arch::S390x)
    }

    /// RISC-V.
    pub fn is_riscv(self) -> bool {
        matches!(self, Arch::Riscv32 | Arch::Riscv64)
    }

    /// MIPS.
    pub fn is_mips(self) -> bool {
        matches!(self, Arch::Mips | Arch::Mipsel | Arch::Mips64 | Arch::Mips64el)
    }

    /// LoongArch.
    pub fn is_loongarch(self) -> bool {
        self == Arch::Loongarch64
    }

    /// Whether a QEMU for this architecture also has guests of the other: those of half the width.
    pub fn runs(self, guest: Arch) -> bool {
        self == guest
            || matches!(
                (self, guest),
                (Arch::X86_64, Arch::I686)
                    | (Arch::Aarch64, Arch::Armv7l | Arch::Armv6l)
                    | (Arch::Armv7l, Arch::Armv6l)
                    | (Arch::Ppc64, Arch::Ppc64le)
                    | (Arch::Ppc64le, Arch::Ppc64)
                    | (Arch::S390x, Arch::S390)
            )
    }

    /// The name of QEMU's binary is `qemu-system-` and this (`i386` for i686, `arm` for armv7l, …).
    pub fn qemu_name(self) -> &'static str {
        match self {
            Arch::I686 => "i386",
            Arch::Armv6l | Arch::Armv7l => "arm",
            Arch::Or32 => "or32",
            Arch::Ppc64le => "ppc64",
            other => other.as_str(),
        }
    }
}
