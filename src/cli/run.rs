//! `virtc run`: start a machine, in the foreground or detached.

use super::inputs::{HERE, Source, World, read, report};
use super::{Exit, LockArgs, Shared, complain};
use crate::compile::Until;
use crate::diag::codes::run as codes;
use crate::diag::{Diagnostics, Span};
use crate::host::{self, SecretKey};
use crate::plan::{Instance, Plan};
use crate::run::detach::{self, start_detached};
use crate::run::registry::Registry;
use crate::run::relocate::{Places, relocate};
use crate::run::{Fault, Options, Outcome, SecretValues, programs, remote, start};
use std::path::{Path, PathBuf};
use std::time::Duration;

// Arguments of `virtc run`.
#[derive(clap::Args)]
pub struct Args {
    /// A domain XML file, or a plan.json that `virtc build` wrote; `-` is standard input
    file: PathBuf,
    /// Go to the background once the machine runs
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    patience: Patience,
    /// Folder with the values of secrets, a file each, named like the secret's UUID or usage
    #[arg(long, value_name = "DIR")]
    secrets: Option<PathBuf>,
    /// Run QEMU as root, without capabilities, where the account of the machine is missing
    #[arg(long)]
    allow_root: bool,
    #[command(flatten)]
    locks: LockArgs,
}

impl Args {
    /// The first input.
    pub fn input(&self) -> Option<&Path> {
        Some(&self.file)
    }
}

// How long things may take.
#[derive(clap::Args)]
pub struct Patience {
    /// Seconds that the guest has to power off; then QEMU is told to quit
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub timeout: u64,
    /// Seconds that QEMU and each helper have to get ready
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub ready_timeout: u64,
}

/// Compiles and starts the machine.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let shared = &shared.clone().locks(args.locks);
    let (plan, secret_values) = match plan(args, shared) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let registry = match Registry::of(plan.instance) {
        Ok(registry) => registry,
        Err(fault) => return fail(&fault, shared),
    };
    let plan = relocate(plan, &Places::mine(registry.base()));
    let mut options = match options(registry, &args.patience) {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    options.secret_values = secret_values;
    options.allow_root = args.allow_root;
    if let Some(secrets) = &args.secrets {
        options.secrets = std::path::absolute(secrets).unwrap_or_else(|_| secrets.clone());
    }
    let mut say = remarks(shared);
    if args.detach {
        return match start_detached(&plan, &options) {
            Ok(detached) => {
                detached.notes.iter().for_each(|note| say(note));
                say(&format!(
                    "'{}' runs (QEMU: process {}); messages go to {}",
                    detached.name,
                    detached.pid,
                    detached.log.display()
                ));
                Exit::Done
            }
            Err(fault) => fail(&fault, shared),
        };
    }
    let mut machine = match start(&plan, &options, &mut say) {
        Ok(machine) => machine,
        Err(fault) => return fail(&fault, shared),
    };
    say(&format!("'{}' runs (QEMU: process {})", machine.name, machine.pid()));
    end(machine.supervise(&mut say), shared, &mut say)
}

/// The exit status of a run that came to its end.
pub(super) fn end(result: Result<Outcome, Fault>, shared: &Shared, say: &mut dyn FnMut(&str)) -> Exit {
    match result {
        Ok(outcome) => {
            say(match outcome {
                Outcome::PoweredOff => "the guest powered off",
                Outcome::Rebooted => "the guest rebooted, and <on_reboot> says to end it then",
                Outcome::Stopped => "stopped",
            });
            Exit::Done
        }
        Err(fault) => fail(&fault, shared),
    }
}

/// The options of a runner.
pub(super) fn options(registry: Registry, patience: &Patience) -> Result<Options, Exit> {
    let virtc = std::env::current_exe().map_err(|e| {
        complain(&format!("cannot find my own program: {e}"));
        Exit::Environment
    })?;
    let mut options = Options::new(virtc, registry);
    options.stop_timeout = Duration::from_secs(patience.timeout);
    options.ready_timeout = Duration::from_secs(patience.ready_timeout);
    Ok(options)
}

/// Remarks go to standard error, unless the user wants quiet.
pub(super) fn remarks(shared: &Shared) -> impl FnMut(&str) + use<> {
    let quiet = shared.quiet;
    move |text: &str| {
        if !quiet {
            complain(text);
        }
    }
}

/// A Plan says what is started, and whom files are given to: root runs only one that nobody else can have written.
fn own_plan(file: &Path, shared: &Shared) -> Result<(), Exit> {
    if !rustix::process::geteuid().is_root() || file.as_os_str() == "-" {
        return Ok(());
    }
    let Err(why) = programs::trusted(file) else { return Ok(()) };
    let mut diags = Diagnostics::new();
    let message = format!("the plan {} is not run as root: {why}", file.display());
    diags.error(&codes::FOREIGN_PLAN, Span::NONE, message).help(
        "run the domain itself (virtc run vm.xml), which is judged; or look at the plan, and copy it to a folder of root's",
    );
    report(&diags, &Source { name: file.display().to_string(), bytes: Vec::new() }, shared);
    Err(Exit::Environment)
}

/// The Plan: read from a file, or compiled from a domain.
fn plan(args: &Args, shared: &Shared) -> Result<(Plan, SecretValues), Exit> {
    let source = read(&args.file)?;
    if source.bytes.trim_ascii_start().starts_with(b"{") {
        own_plan(&args.file, shared)?;
        return Plan::read(&source.bytes).map(|plan| (plan, SecretValues::default())).map_err(|e| {
            complain(&format!("{}: {e}", source.name));
            Exit::Input
        });
    }
    let of_here = shared.host.as_ref().is_none_or(|host| host.as_os_str() == HERE);
    let mut shared = shared.here(true);
    // Only root can run a machine of the system; anybody else means his own session.
    if shared.connect.is_none() && of_here && instance(&shared)? == Instance::Session {
        shared.connect = Some("qemu:///session".to_string());
    }
    // It runs here.
    let world = World { here: true, ..World::load(&shared)? };
    let (compiled, exit) = world.compile(&source, Until::Planned);
    match compiled.plan {
        Some(plan) if exit == Exit::Done => {
            let named = |secret: &host::Secret| match &secret.key {
                SecretKey::Uuid(uuid) => uuid.to_string(),
                SecretKey::Usage { kind, name } => format!("{kind}/{name}"),
            };
            let of_host = world.host.secrets.iter().map(|s| (named(s), s.value.clone()));
            Ok((plan, SecretValues(of_host.chain(compiled.secret_values).collect())))
        }
        _ => Err(if exit == Exit::Done { Exit::Input } else { exit }),
    }
}

/// Whose machines are meant: what `--connect` says, else the system's for root and the session's for others.
pub(super) fn instance(shared: &Shared) -> Result<Instance, Exit> {
    match &shared.connect {
        None if rustix::process::geteuid().is_root() => Ok(Instance::System),
        None => Ok(Instance::Session),
        Some(uri) => match remote::parse(uri) {
            Ok(connection) => Ok(connection.instance),
            Err(fault) => {
                fail(&fault, shared);
                Err(Exit::Usage)
            }
        },
    }
}

/// Tells the user about a fault of the runner.
pub(super) fn fail(fault: &Fault, shared: &Shared) -> Exit {
    let mut diags = Diagnostics::new();
    let shown = diags.error(fault.code, fault.span, fault.message.clone());
    if let Some(help) = &fault.help {
        shown.help(help.clone());
    }
    report(&diags, &Source { name: "virtc".to_string(), bytes: Vec::new() }, shared);
    Exit::Environment
}

/// What virtc does when it starts itself: become another program, or look after a detached machine.
/// `None`: it was started by a person.
pub(super) fn internal(args: &[std::ffi::OsString]) -> Option<u8> {
    let word = args.get(1)?.to_str()?;
    if word == crate::run::EXEC {
        complain(&crate::run::exec(args.iter().skip(2).cloned()));
        return Some(127);
    }
    if word == detach::SUPERVISE {
        return Some(match std::env::current_exe() {
            Ok(virtc) => detach::supervise(virtc),
            Err(_) => Exit::Environment as u8,
        });
    }
    None
}
