//! `virtc probe`: asks a QEMU or this machine, and writes what the compiler has to know.

use super::{Exit, Shared, complain, print};
use crate::caps::{Capabilities, compact_write, libvirt_write};
use std::path::{Path, PathBuf};

// Arguments of `virtc probe`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Ask a QEMU what it can do, and print its capabilities
    Qemu(QemuArgs),
    /// Look at this machine, and print its host facts
    Host(HostArgs),
}

#[derive(clap::Args)]
struct HostArgs {
    /// Look at the files below this directory instead of /
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

#[derive(clap::Args)]
struct QemuArgs {
    /// The binary; without it, the one for this machine's architecture is looked for
    binary: Option<PathBuf>,
    /// The form of the capabilities
    #[arg(long, value_enum, default_value_t)]
    format: CapsFormat,
    /// Do not try KVM
    #[arg(long)]
    no_kvm: bool,
    /// Leave out what depends on this host, and take KVM to be there: a profile for any host
    #[arg(long)]
    generic: bool,
}

/// `--format` of capabilities.
#[derive(clap::ValueEnum, Clone, Copy, Default, PartialEq, Eq)]
pub enum CapsFormat {
    /// One fact a line
    #[default]
    Virtc,
    /// The XML of libvirt's cache
    Libvirt,
}

/// Capabilities in one of the two forms.
pub fn write_caps(caps: &Capabilities, format: CapsFormat) -> String {
    match format {
        CapsFormat::Virtc => compact_write::write(caps),
        CapsFormat::Libvirt => libvirt_write::write(caps),
    }
}

/// Probes.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    match &args.what {
        What::Qemu(args) => qemu(args, shared),
        What::Host(args) => host(args, shared),
    }
}

fn host(args: &HostArgs, shared: &Shared) -> Exit {
    let (host, remarks) = crate::probe::host::probe(&crate::probe::host::Source::new(&args.root));
    for remark in remarks.iter().filter(|_| !shared.quiet) {
        complain(remark);
    }
    let title = "Host facts, written by virtc probe host. What is left out has its documented default.";
    print(&crate::host::write(&host, title))
}

fn qemu(args: &QemuArgs, shared: &Shared) -> Exit {
    let Some(binary) = args.binary.clone().or_else(crate::probe::qemu::find_binary) else {
        complain("no QEMU was found; name the binary: virtc probe qemu /usr/bin/qemu-system-x86_64");
        return Exit::Environment;
    };
    match probe_binary(&binary, !args.no_kvm && !args.generic, shared) {
        Some(mut caps) => {
            if args.generic {
                crate::probe::qemu::generalise(&mut caps);
            }
            print(&write_caps(&caps, args.format))
        }
        None => Exit::Environment,
    }
}

/// Asks one binary; faults and remarks are told to the user.
pub fn probe_binary(binary: &Path, kvm: bool, shared: &Shared) -> Option<Capabilities> {
    match crate::probe::qemu::probe(binary, kvm) {
        Ok(probed) => {
            for remark in probed.remarks.iter().filter(|_| !shared.quiet) {
                complain(remark);
            }
            Some(probed.caps)
        }
        Err(error) => {
            complain(&format!("cannot probe {}: {error}", binary.display()));
            None
        }
    }
}
