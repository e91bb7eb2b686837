//! `virtc adopt`: what libvirt has defined on a host, as a folder for git.
//!
//! The domains are taken as they are: libvirt has written every address, MAC and machine type into them, so that the guests see the
//! machines that they know. What libvirt keeps elsewhere (networks, pools, which machines start with the host) becomes host facts, and
//! a report says what is the same, what is to be done by hand, with the commands, and what cannot be had.

mod conf;
mod libvirt;
mod report;

use super::inputs::{World, this_host};
use super::{Exit, Shared, complain, inputs, tree};
use crate::compile::{Compiled, Until, compile_locked};
use crate::diag::{Diagnostics, Severity};
use crate::emit::{Artifact, Fitter, Names};
use crate::host::Host;
use crate::lock::{self, Lock};
use crate::plan::{Plan, Target};
use crate::run::remote::{self, Connection, Remote};
use crate::stage::Options;
use conf::Conf;
use libvirt::{Definition, Found};
use report::Machine;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

// Arguments of `virtc adopt`.
#[derive(clap::Args)]
pub struct Args {
    /// The folder of libvirt's definitions, or qemu+ssh://HOST/system for that of another host
    #[arg(default_value = "/etc/libvirt/qemu")]
    from: String,
    /// The folder to write; nothing may be in it yet
    #[arg(short, long, value_name = "DIR", default_value = "adopted")]
    output: PathBuf,
}

/// Adopts.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    match adopt(args, shared) {
        Ok(exit) => exit,
        Err(why) => {
            complain(&why);
            Exit::Environment
        }
    }
}

fn adopt(args: &Args, shared: &Shared) -> Result<Exit, String> {
    if std::fs::read_dir(&args.output).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!("{} has files already: name another folder with -o", args.output.display()));
    }
    let far = match args.from.contains("://") {
        true => Some(fetch(&args.from)?),
        false => None,
    };
    let folder = far.as_ref().map_or(PathBuf::from(&args.from), |copy| copy.0.join("libvirt/qemu"));
    let found = libvirt::read(&folder)?;
    if found.domains.is_empty() {
        return Err(format!("{} has no domains: where are libvirt's definitions?", folder.display()));
    }
    let Ok((host, conf)) = facts(&folder, &found, shared) else { return Ok(Exit::Input) };
    let facts = facts_text(&host, &found);
    // What is written is what counts, as it will be read.
    let mut diags = Diagnostics::new();
    let mut read = crate::host::read(&facts, &mut diags);
    if diags.has_errors() {
        return Err("the facts that were found cannot be read again: this is a fault of virtc".to_string());
    }
    inputs::load_descriptors(&mut read, Path::new("/"));
    let Ok(world) = World::load(shared) else { return Ok(Exit::Input) };
    let names = file_names(&found.domains);
    let machines: Vec<Machine> =
        found.domains.iter().zip(&names).map(|(domain, file)| machine(domain, file, &read, &world)).collect();
    let mut artifacts: Vec<Artifact> = found
        .domains
        .iter()
        .zip(&names)
        .map(|(d, file)| Artifact::new(format!("vms/{file}"), d.text.clone()))
        .collect();
    let locks = machines.iter().filter_map(|m| Some((m.file.strip_suffix(".xml")?, m.lock.as_ref()?)));
    artifacts.extend(locks.map(|(file, lock)| Artifact::new(format!("vms/{file}.lock"), lock.clone())));
    artifacts.push(Artifact::new("host.kdl", facts));
    artifacts.push(Artifact::new(
        "virtc.kdl",
        "// The project: what virtc takes where nothing else is said.\nhost \"host.kdl\"\n".to_string(),
    ));
    artifacts.push(Artifact::new("REPORT.md", report::write(&machines, &found, &conf)));
    tree::write(&args.output, &artifacts, &BTreeSet::new()).map_err(|fault| fault.to_string())?;
    let failed = machines.iter().filter(|m| m.plan.is_none()).count();
    if !shared.quiet {
        let (all, place) = (machines.len(), args.output.display());
        let cannot = if failed > 0 { format!(", {failed} of which cannot be had as they are") } else { String::new() };
        complain(&format!("{all} machines in {place}{cannot}; read {place}/REPORT.md"));
    }
    Ok(if failed > 0 { Exit::Input } else { Exit::Done })
}

/// A folder that goes when it is no longer needed.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Copies the definitions of another host; no secrets.
fn fetch(uri: &str) -> Result<Copy, String> {
    let host = match remote::parse(uri).map_err(|fault| fault.message.clone())? {
        Connection { host: Some(host), .. } => host,
        Connection { .. } => return Err(format!("{uri}: a folder of this host is named by its path")),
    };
    let place = std::env::temp_dir().join(format!("virtc-adopt-{}", std::process::id()));
    std::fs::create_dir(&place).map_err(|e| format!("cannot make {}: {e}", place.display()))?;
    let copy = Copy(place);
    copied(&host, &copy.0).map(|()| copy)
}

fn copied(host: &Remote, place: &Path) -> Result<(), String> {
    let mut ssh = host.ssh();
    // Names of secrets are told, never their values, which lie beside them.
    ssh.arg("tar -C /etc -cf - --exclude='*.base64' --ignore-failed-read libvirt");
    let mut ssh =
        ssh.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|e| format!("cannot start ssh: {e}"))?;
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(place).args(["-xf", "-", "--no-same-owner", "--no-same-permissions"]);
    if let Some(stream) = ssh.stdout.take() {
        tar.stdin(stream);
    }
    let unpacked = tar.status().map_err(|e| format!("cannot start tar: {e}"))?;
    let sent = ssh.wait().map_err(|e| e.to_string())?;
    // tar says 1 where files have changed under its hands.
    match (unpacked.success(), sent.code()) {
        (true, Some(0 | 1)) => Ok(()),
        _ => Err("the definitions could not be copied from that host".to_string()),
    }
}

/// What is known of the host: of `--host`, or of the machine whose definitions they are; and what its qemu.conf says.
fn facts(folder: &Path, found: &Found, shared: &Shared) -> Result<(Host, Conf), Exit> {
    let own = folder.canonicalize().is_ok_and(|path| path == Path::new("/etc/libvirt/qemu"));
    let mut host = match &shared.host {
        Some(path) => inputs::read_host(path, shared)?,
        None if own => this_host(),
        None => {
            complain("these are not the definitions of this host: its facts are assumed; --host says better");
            inputs::read_host(Path::new("debian-13"), shared).unwrap_or_default()
        }
    };
    let mut conf = Conf::default();
    if let Some(text) = &found.conf {
        (host, conf) = Conf::read(text, host);
    }
    // Networks and pools are what the definitions say.
    for network in &found.networks {
        host.networks.retain(|n| n.name != network.value.name);
        host.networks.push(network.value.clone());
    }
    for pool in &found.pools {
        host.pools.retain(|p| p.name != pool.value.name);
        host.pools.push(pool.value.clone());
    }
    Ok((host, conf))
}

/// The host facts as a file. Secrets have no values here: who has them writes them down.
fn facts_text(host: &Host, found: &Found) -> String {
    let title = "Host facts, written by virtc adopt from libvirt's definitions.";
    let mut text = crate::host::write(host, title);
    if !found.secrets.is_empty() {
        text += "\n// Secrets of libvirt; their values are in no file of this folder. virsh secret-get-value UUID prints one.\n";
        for secret in &found.secrets {
            text += &format!("// secret \"{}\" value=\"…\"{}\n", secret.uuid, secret.usage);
        }
    }
    text
}

/// The files of the domains: their names, as far as they can be those of files, each once.
fn file_names(domains: &[Definition<String>]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let plain = |c: char| if c.is_alphanumeric() || "-_.+@".contains(c) { c } else { '_' };
    let mut unique = |name: &str| {
        let name: String = name.chars().map(plain).collect();
        let name = if name.is_empty() || name.starts_with(['.', '-']) { format!("_{name}") } else { name };
        let mut file = format!("{name}.xml");
        let mut number = 2;
        while !seen.insert(file.clone()) {
            file = format!("{name}-{number}.xml");
            number += 1;
        }
        file
    };
    domains.iter().map(|domain| unique(&domain.value)).collect()
}

/// What becomes of a domain: its machine as a unit runs it, beside the one that libvirt runs.
fn machine(domain: &Definition<String>, file: &str, host: &Host, world: &World<'_>) -> Machine {
    let compiled = |text: &str, target: Target, lock: Option<&Lock>| -> Compiled {
        let options = Options { target, fresh_lock: target.is_standalone(), ..world.options.clone() };
        let choose = |wanted: &crate::caps::Wanted<'_>| world.caps.for_domain(wanted, host);
        compile_locked(text.as_bytes(), host, &choose, &options, Until::Planned, lock)
    };
    // One that runs has what its guest sees now.
    let has = domain.running.as_deref().and_then(|text| compiled(text, Target::Standalone, None).domain);
    let taken = has.map(|has| lock::take_over(&has, domain.text.as_bytes()));
    let own = compiled(&domain.text, Target::Standalone, taken.as_ref());
    let theirs = compiled(domain.running.as_deref().unwrap_or(&domain.text), Target::LIBVIRT, None);
    let faults = |severity: Severity| -> Vec<String> {
        let all = own.diags.sorted();
        let some = all.iter().filter(|d| d.severity == severity);
        some.map(|d| {
            format!("{} {}{}", d.code.id, d.message, d.help.as_ref().map_or(String::new(), |h| format!(" ({h})")))
        })
        .collect()
    };
    let (errors, warnings) = (faults(Severity::Error), faults(Severity::Warning));
    let plan = own.plan.filter(|_| errors.is_empty());
    let lock = own.locking.fresh.as_ref().filter(|_| plan.is_some()).map(lock::write);
    let differs = match (&theirs.plan, &plan) {
        (Some(theirs), Some(own)) => report::seen_by_the_guest(theirs, own),
        _ => Vec::new(),
    };
    Machine {
        name: domain.value.clone(),
        file: file.to_string(),
        unit: plan.as_ref().map_or(String::new(), unit),
        autostart: domain.autostart,
        filters: domain.filters.clone(),
        runs: domain.running.is_some(),
        lock,
        plan,
        errors,
        warnings,
        differs,
    }
}

fn unit(plan: &Plan) -> String {
    let mut diags = Diagnostics::new();
    let names = Names::of(plan, &mut Fitter::new(&mut diags));
    names.map_or(String::new(), |names| format!("{}.service", names.stem))
}
