//! `virtc new`: a domain to begin with.

use super::{Exit, Shared, complain, print};
use crate::blueprint::{Blueprint, Kind, Network, seed};
use crate::vocab::{Uuid, Value};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

// Arguments of `virtc new`.
#[derive(clap::Args)]
pub struct Args {
    /// What kind of machine
    #[arg(value_parser = kinds())]
    kind: Kind,
    /// Its name
    name: String,
    /// Write the domain here; `-` is standard output [default: NAME.xml]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Put it in the place of a file that is there
    #[arg(long)]
    force: bool,
    /// Memory, as 2GiB or 512MiB [default: by kind]
    #[arg(short, long, value_name = "SIZE", value_parser = memory)]
    memory: Option<u64>,
    /// Virtual CPUs [default: by kind]
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=4096))]
    cpus: Option<u32>,
    /// Image of the disk [default: /var/lib/libvirt/images/NAME.qcow2; none for microvm and kernel]
    #[arg(short, long, value_name = "FILE")]
    disk: Option<PathBuf>,
    /// CD to install from
    #[arg(long, value_name = "FILE")]
    cdrom: Option<PathBuf>,
    /// Kernel of the host to start
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Its initial RAM disk
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,
    /// Its command line [default: console=ttyS0]
    #[arg(long, value_name = "TEXT", requires = "kernel")]
    cmdline: Option<String>,
    /// Where its card is plugged in: user (QEMU's own network: out, not in), none, bridge:NAME, or the name of a
    /// network of the host facts
    #[arg(short, long, value_name = "NETWORK", default_value = "user", value_parser = network)]
    network: Network,
    /// Let QEMU emulate a processor, for a host without KVM
    #[arg(long)]
    emulated: bool,
    /// The serial console is the terminal of `virtc run`
    #[arg(long)]
    terminal: bool,
    /// For a cloud image: make its seed [default: beside the disk] with this public key for the first login; may be given
    /// several times
    #[arg(long, value_name = "FILE", help_heading = "Cloud images")]
    ssh_key: Vec<PathBuf>,
    /// … with this user-data instead of one made from the keys
    #[arg(long, value_name = "FILE", help_heading = "Cloud images", conflicts_with = "ssh_key")]
    user_data: Option<PathBuf>,
    /// Where the seed is [default: beside the disk, NAME-seed.iso]
    #[arg(long, value_name = "FILE", help_heading = "Cloud images")]
    seed: Option<PathBuf>,
    /// Identity of the machine [default: a random one]
    #[arg(long, value_name = "UUID", value_parser = |text: &str| <Uuid as Value>::parse(text))]
    uuid: Option<Uuid>,
}

/// The kinds, with what they are.
fn kinds() -> impl TypedValueParser<Value = Kind> {
    let all = [
        (Kind::Server, "a server without a screen"),
        (Kind::Desktop, "UEFI, SPICE and sound"),
        (Kind::Windows, "Windows 11: Secure Boot and a TPM"),
        (Kind::Cloud, "the image of a distribution, and a seed that tells it name and keys"),
        (Kind::Microvm, "QEMU's smallest machine, with a kernel of the host"),
        (Kind::Kernel, "a kernel of the host on an ordinary machine"),
    ];
    PossibleValuesParser::new(all.map(|(kind, help)| PossibleValue::new(kind.as_str()).help(help)))
        .try_map(|word| Kind::parse(&word).ok_or("no kind of machine"))
}

/// A size in MiB.
fn memory(text: &str) -> Result<u64, String> {
    let wrong = || "expected a size of at least 1 MiB, such as 2GiB or 512MiB".to_string();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let mib = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "m" | "mib" => Some(number),
        "g" | "gib" => number.checked_mul(1 << 10),
        "t" | "tib" => number.checked_mul(1 << 20),
        _ => None,
    };
    mib.filter(|mib| (1..=1 << 32).contains(mib)).ok_or_else(wrong)
}

fn network(text: &str) -> Result<Network, String> {
    match text.split_once(':') {
        Some(("bridge", name)) if !name.is_empty() => Ok(Network::Bridge(name.to_string())),
        Some(_) => Err("expected user, none, bridge:NAME, or the name of a network".to_string()),
        None if text == "user" => Ok(Network::User),
        None if text == "none" => Ok(Network::None),
        None if text.is_empty() => Err("a network has a name".to_string()),
        None => Ok(Network::Named(text.to_string())),
    }
}

/// Writes the domain, and for a cloud image its seed; says what is missing before it starts.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    if let Err(why) = fits(args) {
        complain(&why);
        return Exit::Usage;
    }
    let Some(blueprint) = blueprint(args) else { return Exit::Environment };
    let own = PathBuf::from(format!("{}.xml", args.name));
    let output = args.output.as_deref().unwrap_or(&own);
    let xml = blueprint.xml();
    if output.as_os_str() == "-" {
        let exit = print(&xml);
        return exit.and(write_seed(args, &blueprint));
    }
    if let Err(e) = create(output, xml.as_bytes(), args.force) {
        return cannot(output, &e);
    }
    let exit = write_seed(args, &blueprint);
    if exit == Exit::Done && !shared.quiet {
        next_steps(args, &blueprint, output);
    }
    exit
}

/// What clap cannot say of the arguments.
fn fits(args: &Args) -> Result<(), String> {
    if args.name.is_empty() || args.name.contains(['/', '\n', '\0']) {
        return Err(format!("'{}' is no name of a machine: files are named after it", args.name.escape_default()));
    }
    if args.kind.takes_kernel() && args.kernel.is_none() {
        return Err(format!("a machine of the kind {} needs --kernel FILE", args.kind));
    }
    if args.kind == Kind::Microvm && args.cdrom.is_some() {
        return Err("a microvm has no bus for a CD".to_string());
    }
    let is_cloud = args.kind == Kind::Cloud;
    if !is_cloud && (args.seed.is_some() || args.user_data.is_some() || !args.ssh_key.is_empty()) {
        return Err("--seed, --user-data and --ssh-key are for cloud images: virtc new cloud NAME".to_string());
    }
    if is_cloud && args.cdrom.is_some() {
        return Err("the CD of a cloud image is its seed: --seed FILE".to_string());
    }
    Ok(())
}

fn blueprint(args: &Args) -> Option<Blueprint> {
    let uuid = match args.uuid {
        Some(uuid) => uuid,
        None => random_uuid()?,
    };
    let kind = args.kind;
    let default_disk = || PathBuf::from(format!("/var/lib/libvirt/images/{}.qcow2", args.name));
    let disk = args.disk.clone().or_else(|| (!kind.takes_kernel()).then(default_disk));
    let disk = disk.map(|path| absolute(&path));
    let seed = (kind == Kind::Cloud).then(|| seed_path(args, disk.as_deref()));
    let raw = disk.as_deref().is_some_and(|d| [".raw", ".img", ".iso"].iter().any(|end| d.ends_with(end)));
    Some(Blueprint {
        kind,
        name: args.name.clone(),
        uuid,
        memory: args.memory.unwrap_or(kind.memory()),
        cpus: args.cpus.unwrap_or(kind.cpus()),
        kvm: !args.emulated,
        qcow2: !raw,
        disk,
        cdrom: seed.or_else(|| args.cdrom.as_deref().map(absolute)),
        kernel: args.kernel.as_deref().map(absolute),
        initrd: args.initrd.as_deref().map(absolute),
        cmdline: args.kernel.is_some().then(|| args.cmdline.clone().unwrap_or_else(|| "console=ttyS0".to_string())),
        network: args.network.clone(),
        terminal: args.terminal,
    })
}

/// A path as the domain needs it: it is read from no particular folder.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string()
}

fn seed_path(args: &Args, disk: Option<&str>) -> String {
    if let Some(path) = &args.seed {
        return absolute(path);
    }
    let folder = disk.and_then(|d| Path::new(d).parent()).unwrap_or(Path::new("/var/lib/libvirt/images"));
    folder.join(format!("{}-seed.iso", args.name)).display().to_string()
}

fn random_uuid() -> Option<Uuid> {
    let mut bytes = [0; 16];
    match std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => Some(Uuid::from_random(bytes)),
        Err(e) => {
            complain(&format!("cannot read /dev/urandom for the identity of the machine: {e}; give one with --uuid"));
            None
        }
    }
}

/// Makes the seed of a cloud image, if there is something to put into it.
fn write_seed(args: &Args, blueprint: &Blueprint) -> Exit {
    let Some(path) = blueprint.cdrom.as_deref().filter(|_| args.kind == Kind::Cloud) else { return Exit::Done };
    let user_data = match user_data(args) {
        Ok(Some(text)) => text,
        Ok(None) => return Exit::Done,
        Err((file, e)) => {
            complain(&format!("cannot read '{}': {e}", file.display()));
            return Exit::Environment;
        }
    };
    // The identity is what makes a start the first one.
    let meta = format!("instance-id: {}\nlocal-hostname: {}\n", blueprint.uuid, host_name(&args.name));
    match seed(&[("meta-data", meta.as_bytes()), ("user-data", &user_data)]) {
        Ok(bytes) => match create(Path::new(path), &bytes, args.force) {
            Ok(()) => Exit::Done,
            Err(e) => cannot(Path::new(path), &e),
        },
        Err(why) => {
            complain(&format!("'{path}': {why}"));
            Exit::Input
        }
    }
}

/// The user-data that was given, or one with the keys; none where neither was given.
fn user_data(args: &Args) -> Result<Option<Vec<u8>>, (PathBuf, std::io::Error)> {
    if let Some(file) = &args.user_data {
        return std::fs::read(file).map(Some).map_err(|e| (file.clone(), e));
    }
    if args.ssh_key.is_empty() {
        return Ok(None);
    }
    let mut text = "#cloud-config\nssh_authorized_keys:\n".to_string();
    for file in &args.ssh_key {
        let keys = std::fs::read_to_string(file).map_err(|e| (file.clone(), e))?;
        for key in keys.lines().map(str::trim).filter(|key| !key.is_empty() && !key.starts_with('#')) {
            // A string of JSON is one of YAML.
            text.push_str(&format!("  - {}\n", serde_json::Value::from(key)));
        }
    }
    Ok(Some(text.into_bytes()))
}

/// The name as a host on a network can have it.
fn host_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().take(63).map(plain).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "localhost".to_string() } else { name.to_string() }
}

/// Writes a file that is not there yet.
fn create(path: &Path, bytes: &[u8], force: bool) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).truncate(true).create(force).create_new(!force);
    options.open(path)?.write_all(bytes)
}

fn cannot(path: &Path, error: &std::io::Error) -> Exit {
    let help = match error.kind() {
        std::io::ErrorKind::AlreadyExists => "; --force puts the new one in its place",
        std::io::ErrorKind::NotFound => "; make its folder first",
        _ => "",
    };
    complain(&format!("cannot write '{}': {error}{help}", path.display()));
    Exit::Environment
}

/// What is still missing, as commands.
fn next_steps(args: &Args, blueprint: &Blueprint, output: &Path) {
    let mut say = vec![format!("virtc: '{}' is a new machine, {}", output.display(), args.kind)];
    let missing = |path: &&String| !Path::new(path).exists();
    if let Some(disk) = blueprint.disk.as_ref().filter(missing) {
        // A host that has never had libvirt lacks the folder.
        let folder = if args.disk.is_none() { "mkdir -p /var/lib/libvirt/images && " } else { "" };
        say.push(match args.kind {
            Kind::Cloud => format!("its disk: put the image of a distribution at {disk}"),
            _ if blueprint.qcow2 => format!("its disk: {folder}qemu-img create -f qcow2 {disk} 20G"),
            _ => format!("its disk: {folder}truncate -s 20G {disk}"),
        });
        if blueprint.cdrom.is_none() && !args.kind.takes_kernel() && args.kind != Kind::Cloud {
            let (kind, name) = (args.kind, &args.name);
            say.push(format!(
                "an empty disk starts nothing: virtc new {kind} {name} --force --cdrom FILE has a CD to install from"
            ));
        }
    }
    if let Some(seed) = blueprint.cdrom.as_ref().filter(missing).filter(|_| args.kind == Kind::Cloud) {
        say.push(format!(
            "its seed is not there: virtc new cloud … --force --ssh-key ~/.ssh/id_ed25519.pub makes {seed}"
        ));
    }
    say.push(format!("look at it: virtc check {0}; start it: virtc run {0}", output.display()));
    for line in say {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_words_that_people_use() {
        assert_eq!(["2GiB", "512", "512M", "1t"].map(memory), [Ok(2048), Ok(512), Ok(512), Ok(1 << 20)]);
        for wrong in ["", "2X", "0", "-1", "99999999999999999999", "GiB"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_has_a_plain_name() {
        assert_eq!(["Web_1", "ä", "-x-"].map(host_name), ["web-1", "localhost", "x"]);
    }
}
