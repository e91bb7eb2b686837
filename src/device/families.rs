//! The table of families.
//!
//! A row is all that the passes have to know of a family besides its own folder. A row that lacks a column does not
//! compile, and no pass keeps a list of its own: a new family is a folder, its elements in the schema, and a row here.
//!
//! | column | what it says | who reads it |
//! |---|---|---|
//! | (head) | its field in [`Devices`](super::Devices) and its model, in the order in which libvirt prints them | the model |
//! | `lower` | at which [`Moment`](super::family::Moment) of the command line its arguments stand, and before whom there; empty: it has none, or [`lower`](crate::lower) calls it by name | `device/family.rs` |
//! | `id` | its name in QEMU: `each` is numbered by position, `unnamed` without those to which the user gives a name; `own`: the code of [`aliases`](crate::resolve) says how; `none`: it has no name | `resolve/aliases.rs` |
//! | `plug` | in which [`Round`](super::plug::Round) it gets a place, and before whom there | `resolve/addresses` |
//! | `lock` | by what it is found again in a lock, what kind it is, what makes it likely to be the same, what is locked; empty: it is in none | `lock/families.rs` |
//! | `import` | QEMU's device, where nothing but switches has to be read from it, each with its attribute; `own`: there is a reader in [`import`](crate::import); `never`: it is on no command line | `import/devices.rs` |
//!
//! Numbers of `lower` and `plug` only have to rise: there is room between them for families to come.

/// The table, given to the macro that reads it.
macro_rules! families {
    ($reader:ident) => {
        $reader! {
            disks: disk::Disk {
                lower: [Devices 10], id: (own), plug: [Behind 10, Transports 10, Usb 10],
                lock: [strong [&["serial.text"], &["wwn.text"], &["target.dev"]] kind ["device", "target.bus"]
                       weak ["source.file", "source.dev", "source.name", "source.volume"] keeps ["target.bus"]],
                import: (own)
            }
            controllers: controller::Controller {
                lower: [], id: (own), plug: [Transports 60, Usb 50],
                lock: [strong [&["index", "type"]] kind ["type", "model"] weak []
                       keeps ["index", "model", "model.name", "target.chassis", "target.chassisNr",
                        "target.port", "target.busNr", "target.index", "ports", "serial.text"]],
                import: (own)
            }
            leases: lease::Lease { lower: [], id: (none), plug: [], lock: [], import: (never) }
            filesystems: filesystem::Filesystem {
                lower: [Devices 20], id: (unnamed "fs"), plug: [Before 10, Transports 100, Usb 80],
                lock: [strong [&["target.dir"]] kind [] weak ["source.dir", "driver.type"] keeps ["model"]],
                import: (own)
            }
            interfaces: interface::Interface {
                lower: [Devices 30], id: (own), plug: [Before 20, Behind 20, Transports 20, Usb 20],
                lock: [strong [&["mac.address"]] kind []
                       weak ["type", "model.type", "source.network", "source.bridge", "source.dev",
                        "source.portgroup", "source.path", "target.dev"] keeps ["mac.address", "model.type"]],
                import: (own)
            }
            smartcards: smartcard::Smartcard {
                lower: [Devices 40], id: (each "smartcard"), plug: [],
                lock: [strong [] kind ["mode"] weak ["type"] keeps []],
                import: (own)
            }
            serials: serial::Serial {
                lower: [Devices 50], id: (each "serial"), plug: [Behind 100, Transports 70, Usb 60],
                lock: [strong [&["target.port"]] kind ["target.type", "target.model.name"]
                       weak ["type", "source.path", "source.service", "source.host"]
                       keeps ["target.port", "target.type", "target.model.name"]],
                import: (own)
            }
            parallels: parallel::Parallel {
                lower: [Devices 60], id: (each "parallel"), plug: [],
                lock: [strong [&["target.port"]] kind [] weak ["type", "source.path"] keeps ["target.port"]],
                import: (own)
            }
            consoles: console::Console {
                lower: [Devices 80], id: (each "console"), plug: [Transports 80],
                lock: [strong [] kind ["target.type"] weak ["type", "source.path"] keeps []], import: (own)
            }
            channels: channel::Channel {
                lower: [Devices 70], id: (each "channel"), plug: [],
                lock: [strong [&["target.name"]] kind ["target.type"]
                       weak ["type", "source.path", "source.channel"] keeps []],
                import: (own)
            }
            inputs: input::Input {
                lower: [Devices 100], id: (each "input"), plug: [Behind 90, Transports 90, Usb 70],
                lock: [strong [] kind ["type", "bus"] weak ["source.dev", "source.evdev"]
                       keeps ["bus", "model"]],
                import: (own)
            }
            tpms: tpm::Tpm {
                lower: [Devices 90], id: (each "tpm"), plug: [Transports 140],
                lock: [strong [] kind ["model"] weak ["backend.type"] keeps ["model", "backend.version"]],
                import: (own)
            }
            graphics: graphics::Graphics {
                lower: [Devices 120], id: (none), plug: [], lock: [], import: (own)
            }
            sounds: sound::Sound {
                lower: [Devices 140], id: (each "sound"), plug: [Before 30, Transports 30, Usb 30],
                lock: [strong [] kind ["model"] weak ["audio.id"] keeps []], import: (own)
            }
            audios: audio::Audio { lower: [Devices 110], id: (none), plug: [], lock: [], import: (own) }
            videos: video::Video {
                lower: [Devices 130], id: (each "video"), plug: [Behind 70, Transports 50],
                lock: [strong [] kind ["model.type"] weak ["model.heads"]
                       keeps ["model.type", "model.ram", "model.vram", "model.vgamem", "model.heads",
                        "model.primary"]],
                import: (own)
            }
            hostdevs: hostdev::Hostdev {
                lower: [Devices 170], id: (own), plug: [Behind 30, Transports 40, Usb 40],
                lock: [strong [&["source.address.uuid"], &["source.vendor.id", "source.product.id",
                        "source.address.bus", "source.address.device"], &["source.adapter.name",
                        "source.address.bus", "source.address.target", "source.address.unit"],
                        &["source.address.bus", "source.address.domain", "source.address.slot",
                        "source.address.function", "source.address.device"], &["source.wwpn"]]
                       kind ["type", "mode"] weak ["source.dev"] keeps []],
                import: (own)
            }
            redirdevs: redirdev::Redirdev {
                lower: [Devices 160], id: (each "redir"), plug: [Usb 90],
                lock: [strong [] kind ["bus"] weak ["type", "source.host", "source.service"] keeps []], import: (own)
            }
            redirfilters: redirdev::RedirFilter {
                lower: [], id: (none), plug: [], lock: [], import: (own)
            }
            hubs: hub::Hub {
                lower: [First 20], id: (each "hub"), plug: [],
                lock: [strong [] kind ["type"] weak [] keeps []],
                import: (own)
            }
            watchdogs: watchdog::Watchdog {
                lower: [Devices 150], id: (each "watchdog"), plug: [Behind 60],
                lock: [strong [] kind ["model"] weak ["action"] keeps ["model"]], import: (own)
            }
            memballoons: memballoon::Memballoon {
                lower: [Late 10], id: (each "balloon"), plug: [Behind 40, Transports 110],
                lock: [strong [] kind ["model"] weak [] keeps ["model"]],
                import: ("virtio-balloon" "deflate-on-oom" "autodeflate", "free-page-reporting" "freePageReporting")
            }
            rngs: rng::Rng {
                lower: [Late 20], id: (unnamed "rng"), plug: [Behind 50, Transports 120],
                lock: [strong [] kind ["model"] weak ["backend.model", "backend.text"] keeps ["model"]], import: (own)
            }
            nvrams: nvram::Nvram {
                lower: [Late 30], id: (each "nvram"), plug: [Transports 130],
                lock: [strong [] kind [] weak [] keeps []],
                import: (own)
            }
            panics: panic::Panic {
                lower: [Last 10], id: (each "panic"), plug: [Behind 140],
                lock: [strong [] kind ["model"] weak [] keeps ["model"]],
                import: (own)
            }
            shmems: shmem::Shmem {
                lower: [Last 20], id: (each "shmem"), plug: [Behind 80],
                lock: [strong [&["name"]] kind ["model.type"] weak [] keeps ["model.type"]], import: (own)
            }
            memories: memory::MemoryDevice {
                lower: [First 10], id: (own), plug: [Behind 130, Transports 170],
                lock: [strong [] kind ["model"] weak ["target.node", "target.size.text", "source.path.text"]
                       keeps []],
                import: (own)
            }
            cryptos: crypto::Crypto {
                lower: [Last 40], id: (unnamed "crypto"), plug: [Behind 150, Transports 180],
                lock: [strong [] kind ["model"] weak ["backend.model"] keeps []], import: (own)
            }
            iommus: iommu::Iommu {
                lower: [], id: (each "iommu"), plug: [Behind 110, Transports 150],
                lock: [strong [] kind ["model"] weak [] keeps ["model"]], import: (own)
            }
            vsocks: vsock::Vsock {
                lower: [Last 30], id: (each "vsock"), plug: [Behind 120, Transports 160],
                lock: [strong [] kind ["model"] weak ["cid.address"] keeps ["model"]], import: (own)
            }
            pstores: pstore::Pstore {
                lower: [End 10], id: (each "pstore"), plug: [Behind 160],
                lock: [strong [] kind ["backend"] weak ["path.text"] keeps []], import: (own)
            }
        }
    };
}
pub(crate) use families;
