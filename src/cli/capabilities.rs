//! `virtc capabilities` and `virtc domcapabilities`: the XML that libvirt prints.

use super::inputs::{Caps, read_host};
use super::probe::probe_binary;
use super::{Exit, Shared, complain, print};
use crate::caps::{Accel, Capabilities, Fit, Wanted, profiles};
use crate::host::Host;
use crate::report::{self, Question};
use crate::vocab::Arch;
use std::path::{Path, PathBuf};

// Arguments of `virtc domcapabilities`.
#[derive(clap::Args)]
pub struct Domain {
    /// The type of domain; without it, kvm where there is KVM
    #[arg(long, value_parser = ["qemu", "kvm", "hvf"])]
    virttype: Option<String>,
    /// The machine type, or a short name such as q35
    #[arg(long)]
    machine: Option<String>,
    /// The architecture, when no capabilities are given
    #[arg(long)]
    arch: Option<String>,
    /// A QEMU to ask, instead of capabilities from a file
    #[arg(long, value_name = "FILE")]
    emulator: Option<PathBuf>,
}

/// The host facts: a file's, or this machine's.
fn host(shared: &Shared) -> Result<Host, Exit> {
    match &shared.host {
        Some(path) => read_host(path, shared),
        None => Ok(super::inputs::this_host()),
    }
}

/// The capabilities that `--caps` gives, for guests of an architecture.
fn given(path: &Path, arch: Arch, shared: &Shared) -> Result<Capabilities, Exit> {
    let caps = Caps::load(Some(path), shared, &mut Vec::new())?;
    let chosen = caps.for_domain(&Wanted { arch: Some(arch), ..Wanted::default() }, &Host::default());
    match chosen.fit {
        Fit::NotAsked(why) => {
            complain(&why);
            Err(Exit::Environment)
        }
        _ => Ok(Capabilities::clone(&chosen.caps)),
    }
}

/// Prints `<capabilities>`: of the capabilities given, or of all QEMUs of this machine.
pub fn run(shared: &Shared) -> Exit {
    let host = match host(shared) {
        Ok(host) => host,
        Err(exit) => return exit,
    };
    let guests = match &shared.caps {
        Some(path) => match given(path, host.machine.arch, shared) {
            Ok(caps) => vec![caps],
            Err(exit) => return exit,
        },
        None => crate::probe::qemu::binaries().iter().filter_map(|binary| probe_binary(binary, true, shared)).collect(),
    };
    print(&report::capabilities(&host, &guests))
}

/// Prints `<domainCapabilities>`.
pub fn domain(args: &Domain, shared: &Shared) -> Exit {
    let arch = match args.arch.as_deref().map(|word| (word, Arch::parse(word))) {
        None => None,
        Some((_, Some(arch))) => Some(arch),
        Some((word, None)) => {
            complain(&format!("--arch {word}: not an architecture"));
            return Exit::Usage;
        }
    };
    let host = match host(shared) {
        Ok(host) => host,
        Err(exit) => return exit,
    };
    let caps = match (&shared.caps, &args.emulator) {
        (Some(path), _) => given(path, arch.unwrap_or(host.machine.arch), shared),
        (None, Some(binary)) => probe_binary(binary, true, shared).ok_or(Exit::Environment),
        (None, None) => {
            let binary = crate::probe::qemu::binary_for(arch.unwrap_or(host.machine.arch));
            let probed = binary.and_then(|binary| probe_binary(&binary, true, shared));
            // Where there is no QEMU, the profile that compiling would use.
            probed.or_else(|| profiles::default(arch.unwrap_or(host.machine.arch))).ok_or(Exit::Environment)
        }
    };
    let caps = match caps {
        Ok(caps) => caps,
        Err(exit) => return exit,
    };
    let accel = match args.virttype.as_deref() {
        Some("qemu") => Accel::Tcg,
        Some("hvf") => Accel::Hvf,
        Some(_) => Accel::Kvm,
        None if caps.accel(Accel::Kvm).is_some() => Accel::Kvm,
        None => Accel::Tcg,
    };
    if caps.accel(accel).is_none() {
        complain(&format!(
            "{} cannot run domains of type '{}' here",
            caps.emulator,
            args.virttype.as_deref().unwrap_or("qemu")
        ));
        return Exit::Input;
    }
    let machine = match &args.machine {
        Some(name) => caps.machine(accel, name),
        None => caps.default_machine(accel),
    };
    let Some(machine) = machine else {
        let name = args.machine.as_deref().unwrap_or_default();
        complain(&format!("{} has no machine type '{name}'", caps.emulator));
        return Exit::Input;
    };
    print(&report::domain_capabilities(&Question { caps: &caps, host: &host, accel, machine }))
}
