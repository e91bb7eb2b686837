//! Domains to begin with: `virtc new` writes one that says what it needs and no more, and that `virtc check` has nothing
//! against.
//!
//! Everything that would differ from one compilation to the next (identity, addresses) is in the text from the start, so
//! that the machine stays the same however often it is compiled.

mod seed;

pub use seed::{TooLarge, seed};

use crate::vocab::{Mac, Uuid, keywords};
use crate::xml::XmlWriter;

keywords! {
    /// What kind of machine.
    pub enum Kind {
        /// A server without a screen: serial console, guest agent, entropy, watchdog.
        Server = "server",
        /// A desktop: UEFI, SPICE display with sound, clipboard and USB.
        Desktop = "desktop",
        /// Windows 11: UEFI with Secure Boot, a TPM, Hyper-V enlightenments, devices that its installer knows.
        Windows = "windows",
        /// The image of a distribution for clouds, and a seed image that tells it name and keys.
        Cloud = "cloud",
        /// QEMU's smallest machine: a kernel, virtio devices without PCI.
        Microvm = "microvm",
        /// A kernel and its command line straight from the host.
        Kernel = "kernel",
    }
}

/// Where the card of the machine is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// Nowhere: there is no card.
    None,
    /// QEMU's own network: out, not in. Needs nothing of the host.
    User,
    /// A bridge of the host.
    Bridge(String),
    /// A network that the host facts describe.
    Named(String),
}

/// A machine that does not exist yet.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// What kind of machine.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uuid: Uuid,
    /// Memory, MiB.
    pub memory: u64,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Whether the host's processor runs the guest; else QEMU emulates one.
    pub kvm: bool,
    /// The image of its disk.
    pub disk: Option<String>,
    /// Whether that image is qcow2; else raw.
    pub qcow2: bool,
    /// A CD to boot from, or the seed of a cloud image.
    pub cdrom: Option<String>,
    /// A kernel, with an initial RAM disk and a command line.
    pub kernel: Option<String>,
    /// The initial RAM disk.
    pub initrd: Option<String>,
    /// The command line of the kernel.
    pub cmdline: Option<String>,
    /// Where its card is plugged in.
    pub network: Network,
    /// Whether the serial console is the terminal in which `virtc run` runs, rather than a pseudo-terminal.
    pub terminal: bool,
}

impl Kind {
    /// Memory that such a machine is comfortable with, MiB.
    pub fn memory(self) -> u64 {
        match self {
            Kind::Server | Kind::Cloud => 2048,
            Kind::Desktop => 4096,
            Kind::Windows => 8192,
            Kind::Microvm | Kind::Kernel => 512,
        }
    }

    /// Virtual CPUs.
    pub fn cpus(self) -> u32 {
        match self {
            Kind::Microvm | Kind::Kernel => 1,
            Kind::Server | Kind::Cloud => 2,
            Kind::Desktop | Kind::Windows => 4,
        }
    }

    /// Whether it starts a kernel of the host rather than what is on its disk.
    pub fn takes_kernel(self) -> bool {
        matches!(self, Kind::Microvm | Kind::Kernel)
    }

    /// Whether it has a display.
    fn has_display(self) -> bool {
        matches!(self, Kind::Desktop | Kind::Windows)
    }

    /// What the first line of the file says.
    fn about(self) -> &'static str {
        match self {
            Kind::Server => "A server without a screen; its console is the first serial port.",
            Kind::Desktop => "A desktop with UEFI, SPICE and sound.",
            Kind::Windows => "Windows 11: UEFI with Secure Boot, a TPM, a disk and a card that its installer knows.",
            Kind::Cloud => "The image of a distribution for clouds; the CD tells it name and keys at its first start.",
            Kind::Microvm => "QEMU's smallest machine; the kernel needs its drivers for virtio-mmio built in.",
            Kind::Kernel => "A kernel and its command line straight from the host.",
        }
    }
}

type Attrs<'a> = [(&'a str, &'a str)];

/// An element with others in it.
fn within(out: &mut XmlWriter, name: &'static str, attrs: &Attrs<'_>, children: impl FnOnce(&mut XmlWriter)) {
    out.start(name);
    for (key, value) in attrs {
        out.attr(key, value);
    }
    children(out);
    out.end();
}

/// An element without others.
fn single(out: &mut XmlWriter, name: &'static str, attrs: &Attrs<'_>) {
    within(out, name, attrs, |_| {});
}

impl Blueprint {
    /// The domain XML.
    pub fn xml(&self) -> String {
        let mut out = XmlWriter::new();
        within(&mut out, "domain", &[("type", if self.kvm { "kvm" } else { "qemu" })], |out| {
            out.leaf("name", &self.name);
            out.leaf("uuid", &self.uuid.to_string());
            self.memory(out);
            out.leaf("vcpu", &self.cpus.to_string());
            self.os(out);
            self.features(out);
            self.cpu(out);
            self.clock(out);
            out.leaf("on_poweroff", "destroy");
            out.leaf("on_reboot", "restart");
            out.leaf("on_crash", if self.kind.takes_kernel() { "destroy" } else { "restart" });
            within(out, "devices", &[], |out| self.devices(out));
        });
        format!("<!-- {} -->\n{}", self.kind.about(), out.finish())
    }

    fn memory(&self, out: &mut XmlWriter) {
        let (unit, amount) =
            if self.memory.is_multiple_of(1024) { ("GiB", self.memory / 1024) } else { ("MiB", self.memory) };
        within(out, "memory", &[("unit", unit)], |out| out.text(&amount.to_string()));
    }

    fn os(&self, out: &mut XmlWriter) {
        let efi = matches!(self.kind, Kind::Desktop | Kind::Windows);
        within(out, "os", if efi { &[("firmware", "efi")] } else { &[] }, |out| {
            let machine = if self.kind == Kind::Microvm { "microvm" } else { "q35" };
            within(out, "type", &[("arch", "x86_64"), ("machine", machine)], |out| out.text("hvm"));
            if self.kind == Kind::Windows {
                within(out, "firmware", &[], |out| {
                    single(out, "feature", &[("enabled", "yes"), ("name", "enrolled-keys")]);
                    single(out, "feature", &[("enabled", "yes"), ("name", "secure-boot")]);
                });
            }
            for (name, value) in [("kernel", &self.kernel), ("initrd", &self.initrd), ("cmdline", &self.cmdline)] {
                if let Some(value) = value {
                    out.leaf(name, value);
                }
            }
        });
    }

    fn features(&self, out: &mut XmlWriter) {
        within(out, "features", &[], |out| {
            out.empty("acpi");
            if self.kind == Kind::Microvm {
                return;
            }
            out.empty("apic");
            if self.kind == Kind::Windows {
                within(out, "hyperv", &[("mode", "custom")], |out| {
                    single(out, "relaxed", &[("state", "on")]);
                    single(out, "vapic", &[("state", "on")]);
                    single(out, "spinlocks", &[("state", "on"), ("retries", "8191")]);
                    for name in ["vpindex", "synic", "stimer", "frequencies"].iter().filter(|_| self.kvm) {
                        single(out, name, &[("state", "on")]);
                    }
                });
            }
            if self.kind.has_display() {
                single(out, "vmport", &[("state", "off")]);
            }
            if self.kind == Kind::Windows {
                single(out, "smm", &[("state", "on")]);
            }
        });
    }

    fn cpu(&self, out: &mut XmlWriter) {
        let topology = |out: &mut XmlWriter| {
            // Windows counts sockets, and its licences allow one or two.
            let cores = self.cpus.to_string();
            single(out, "topology", &[("sockets", "1"), ("cores", &cores), ("threads", "1")]);
        };
        if self.kvm {
            within(out, "cpu", &[("mode", "host-passthrough")], topology);
        } else {
            within(out, "cpu", &[("mode", "maximum")], topology);
        }
    }

    fn clock(&self, out: &mut XmlWriter) {
        let offset = if self.kind == Kind::Windows { "localtime" } else { "utc" };
        within(out, "clock", &[("offset", offset)], |out| {
            if self.kind.has_display() {
                single(out, "timer", &[("name", "rtc"), ("tickpolicy", "catchup")]);
                single(out, "timer", &[("name", "pit"), ("tickpolicy", "delay")]);
                single(out, "timer", &[("name", "hpet"), ("present", "no")]);
            }
            if self.kind == Kind::Windows && self.kvm {
                single(out, "timer", &[("name", "hypervclock"), ("present", "yes")]);
            }
        });
    }

    fn devices(&self, out: &mut XmlWriter) {
        let micro = self.kind == Kind::Microvm;
        out.leaf("emulator", "/usr/bin/qemu-system-x86_64");
        self.disks(out);
        if self.kind.has_display() {
            single(out, "controller", &[("type", "usb"), ("model", "qemu-xhci")]);
        } else {
            single(out, "controller", &[("type", "usb"), ("model", "none")]);
        }
        self.card(out);
        self.console(out);
        if !micro && self.kind != Kind::Kernel {
            within(out, "channel", &[("type", "unix")], |out| {
                single(out, "target", &[("type", "virtio"), ("name", "org.qemu.guest_agent.0")]);
            });
        }
        if self.kind == Kind::Windows {
            within(out, "tpm", &[("model", "tpm-crb")], |out| {
                single(out, "backend", &[("type", "emulator"), ("version", "2.0")]);
            });
        }
        if self.kind.has_display() {
            self.display(out);
        }
        if self.kind == Kind::Server {
            single(out, "watchdog", &[("model", "itco"), ("action", "reset")]);
        }
        if matches!(self.kind, Kind::Windows) {
            single(out, "memballoon", &[("model", "none")]);
        } else {
            self.on_bus(out, "memballoon", &[("model", "virtio")], |_| {});
            self.on_bus(out, "rng", &[("model", "virtio")], |out| {
                within(out, "backend", &[("model", "random")], |out| out.text("/dev/urandom"));
            });
        }
    }

    /// A device that says that it is on the bus of a microvm.
    fn on_bus(
        &self,
        out: &mut XmlWriter,
        name: &'static str,
        attrs: &Attrs<'_>,
        children: impl FnOnce(&mut XmlWriter),
    ) {
        within(out, name, attrs, |out| {
            children(out);
            if self.kind == Kind::Microvm {
                single(out, "address", &[("type", "virtio-mmio")]);
            }
        });
    }

    fn disks(&self, out: &mut XmlWriter) {
        let windows = self.kind == Kind::Windows;
        // A CD is tried first while the disk is empty; afterwards it asks for a key, and goes on.
        let cd_first = self.cdrom.is_some() && self.kind != Kind::Cloud;
        if let Some(disk) = &self.disk {
            self.on_bus(out, "disk", &[("type", "file"), ("device", "disk")], |out| {
                let format = if self.qcow2 { "qcow2" } else { "raw" };
                single(out, "driver", &[("name", "qemu"), ("type", format), ("discard", "unmap")]);
                single(out, "source", &[("file", disk)]);
                let (device, bus) = if windows { ("sda", "sata") } else { ("vda", "virtio") };
                single(out, "target", &[("dev", device), ("bus", bus)]);
                if self.kernel.is_none() {
                    single(out, "boot", &[("order", if cd_first { "2" } else { "1" })]);
                }
            });
        }
        if let Some(cdrom) = &self.cdrom {
            within(out, "disk", &[("type", "file"), ("device", "cdrom")], |out| {
                single(out, "driver", &[("name", "qemu"), ("type", "raw")]);
                single(out, "source", &[("file", cdrom)]);
                single(out, "target", &[("dev", if windows { "sdb" } else { "sda" }), ("bus", "sata")]);
                out.empty("readonly");
                if cd_first && self.kernel.is_none() {
                    single(out, "boot", &[("order", "1")]);
                }
            });
        }
    }

    fn card(&self, out: &mut XmlWriter) {
        let kind = match &self.network {
            Network::None => return,
            Network::User => "user",
            Network::Bridge(_) => "bridge",
            Network::Named(_) => "network",
        };
        self.on_bus(out, "interface", &[("type", kind)], |out| {
            single(out, "mac", &[("address", &self.mac().to_string())]);
            match &self.network {
                Network::Bridge(name) => single(out, "source", &[("bridge", name)]),
                Network::Named(name) => single(out, "source", &[("network", name)]),
                Network::None | Network::User => {}
            }
            single(out, "model", &[("type", if self.kind == Kind::Windows { "e1000e" } else { "virtio" })]);
        });
    }

    /// The address of the card, in QEMU's own range; as unlike those of other machines as the identity.
    fn mac(&self) -> Mac {
        let [a, b, c, ..] = self.uuid.0;
        Mac([0x52, 0x54, 0x00, a, b, c])
    }

    fn console(&self, out: &mut XmlWriter) {
        if self.kind == Kind::Windows {
            return;
        }
        let kind = if self.terminal { "stdio" } else { "pty" };
        within(out, "serial", &[("type", kind)], |out| single(out, "target", &[("port", "0")]));
        within(out, "console", &[("type", kind)], |out| {
            single(out, "target", &[("type", "serial"), ("port", "0")]);
        });
    }

    fn display(&self, out: &mut XmlWriter) {
        if self.kind == Kind::Desktop {
            within(out, "channel", &[("type", "spicevmc")], |out| {
                single(out, "target", &[("type", "virtio"), ("name", "com.redhat.spice.0")]);
            });
        }
        single(out, "input", &[("type", "tablet"), ("bus", "usb")]);
        within(out, "graphics", &[("type", "spice"), ("autoport", "yes")], |out| {
            single(out, "listen", &[("type", "address"), ("address", "127.0.0.1")]);
        });
        single(out, "sound", &[("model", "ich9")]);
        single(out, "audio", &[("id", "1"), ("type", "spice")]);
        within(out, "video", &[], |out| {
            let model = if self.kind == Kind::Windows { "qxl" } else { "virtio" };
            single(out, "model", &[("type", model)]);
        });
    }
}
