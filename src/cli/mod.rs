//! The command line: the rim where files are read and written.
//!
//! Each command is a file of its own with an `Args` struct and a `run` function. Exit status: 0 done,
//! 1 the input has errors, 2 wrong usage, 3 `diff` or `golden` found differences, 4 the environment failed.

mod adopt;
mod argv;
mod build;
mod capabilities;
mod check;
mod compiled;
mod completions;
mod denial;
mod deploy;
mod diff;
mod explain;
mod fix;
mod golden;
mod helper;
mod import;
pub mod inputs;
mod installed;
mod links;
mod lock;
mod machines;
mod makefile;
mod man;
mod new;
mod normalize;
mod package;
mod page;
mod paper;
mod probe;
mod project;
mod run;
mod schema;
mod scope;
mod sides;
mod tree;
mod upgrade;

use crate::diag::render::MessageFormat;
use crate::plan::{Target, Wiring};
use clap::parser::ValueSource;
use clap::{Args, FromArgMatches, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

// Options that all commands take. (No doc comment here or on the arguments of a command: clap would describe the command with it.)
#[allow(missing_docs)]
#[derive(Args, Clone, Debug, Default)]
pub struct Shared {
    /// Facts about the host that the domain will run on: a file, `here`, or a distribution (debian-13, fedora-44,
    /// ubuntu-26.04, arch, debian-12)
    #[arg(long, global = true, value_name = "FILE", action = clap::ArgAction::Append, help_heading = "Inputs")]
    pub host: Option<PathBuf>,
    /// Capabilities of QEMU: a file, a QEMU to ask, `here` for that of the domain on this host, or the name of an
    /// embedded profile
    #[arg(long, global = true, value_name = "FILE", action = clap::ArgAction::Append, help_heading = "Inputs")]
    pub caps: Option<PathBuf>,
    /// Add a variable to the launcher's environment in the host facts
    #[arg(long, global = true, value_name = "KEY=VALUE", help_heading = "Inputs")]
    pub env: Vec<String>,
    /// What the command line is for: standalone runs as it stands, libvirt[@VERSION] is byte for byte what that
    /// libvirt (11.3 to 12.8) would execute
    #[arg(long, global = true, default_value_t, action = clap::ArgAction::Append, help_heading = "Compiling")]
    pub target: Target,
    /// How files and sockets of character devices reach libvirt's QEMU: descriptors, as at a start; paths, as virsh
    /// domxml-to-native prints them
    #[arg(long, global = true, default_value_t, help_heading = "Compiling")]
    pub wiring: Wiring,
    /// Instance: qemu:///system or qemu:///session
    #[arg(long, global = true, value_name = "URI", help_heading = "Compiling")]
    pub connect: Option<String>,
    /// Treat the XML as newly defined: newest defaults
    #[arg(long, global = true, help_heading = "Compiling")]
    pub define: bool,
    /// Say nothing of this: a code, or a group of lints (will-not-start, data, security, surprise, host-devices)
    #[arg(long, global = true, value_name = "CODE|GROUP", help_heading = "Messages")]
    pub allow: Vec<String>,
    /// Warn of this
    #[arg(long, global = true, value_name = "CODE|GROUP", help_heading = "Messages")]
    pub warn: Vec<String>,
    /// Take this for an error
    #[arg(long, global = true, value_name = "CODE|GROUP", help_heading = "Messages")]
    pub deny: Vec<String>,
    /// Where a migration comes from
    #[arg(long, global = true, value_name = "URI", help_heading = "Compiling")]
    pub incoming: Option<String>,
    /// Look at this host: follow links, and grant the backing files that headers of images name
    #[arg(long, global = true, help_heading = "Compiling")]
    pub probe_backing: bool,
    /// Do not look for a project file, virtc.kdl
    #[arg(long, global = true, help_heading = "Inputs")]
    pub no_config: bool,
    /// With `--locked`: a lock that would have to change is an error.
    #[arg(skip)]
    pub locked: bool,
    /// With `--no-lock`: locks are not looked at.
    #[arg(skip)]
    pub unlocked: bool,
    /// Whether the host facts are those that a project file names.
    #[arg(skip)]
    pub facts_of_project: bool,
    /// Where `build` writes when its options do not say it: the project file's word.
    #[arg(skip)]
    pub output: Option<PathBuf>,
    /// Templates that replace the built-in ones
    #[arg(long, global = true, value_name = "DIR", help_heading = "Compiling")]
    pub templates: Option<PathBuf>,
    /// Treat warnings as errors
    #[arg(long, global = true, help_heading = "Messages")]
    pub strict: bool,
    /// How diagnostics are printed
    #[arg(long, global = true, value_enum, default_value_t, help_heading = "Messages")]
    pub message_format: MessageFormatName,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, help_heading = "Messages")]
    pub color: Color,
    /// Print errors only
    #[arg(short, long, global = true, help_heading = "Messages")]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Messages")]
    pub verbose: u8,
}

// What becomes of the lock beside a domain.
#[allow(missing_docs)]
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct LockArgs {
    /// Fail if the lock beside the XML would have to change
    #[arg(long)]
    pub locked: bool,
    /// Compile as if there were no lock
    #[arg(long, conflicts_with = "locked")]
    pub no_lock: bool,
}

impl Shared {
    /// With the options of a lock.
    pub fn locks(mut self, args: LockArgs) -> Shared {
        self.locked |= args.locked;
        self.unlocked |= args.no_lock;
        self
    }

    /// With `--here`: what is not given is asked of this host.
    pub fn here(&self, here: bool) -> Shared {
        let mut shared = self.clone();
        if here {
            shared.caps.get_or_insert_with(|| PathBuf::from(inputs::HERE));
            shared.host.get_or_insert_with(|| PathBuf::from(inputs::HERE));
        }
        shared
    }
}

/// `--message-format`
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageFormatName {
    /// For a terminal
    #[default]
    Human,
    /// One JSON object a line
    Json,
    /// One SARIF log
    Sarif,
    /// GitHub workflow commands
    Github,
}

impl From<MessageFormatName> for MessageFormat {
    fn from(name: MessageFormatName) -> MessageFormat {
        match name {
            MessageFormatName::Human => MessageFormat::Human,
            MessageFormatName::Json => MessageFormat::Json,
            MessageFormatName::Sarif => MessageFormat::Sarif,
            MessageFormatName::Github => MessageFormat::Github,
        }
    }
}

/// `--color`
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Command {
    /// Compile domains to a tree that can be deployed
    Build(build::Args),
    /// Print the QEMU command line
    Argv(argv::Args),
    /// Write a domain to begin with: server, desktop, windows, cloud, microvm, kernel
    New(new::Args),
    /// Check domains and report everything that is wrong
    Check(check::Args),
    /// Show what differs on the host between two domains, or between two QEMUs or hosts for one domain
    Diff(diff::Args),
    /// Write down what was chosen for a domain and its guest can see, so that it does not change
    Lock(lock::Args),
    /// Say when machines retire, and what a newer machine type would change for their guests
    Upgrade(upgrade::Args),
    /// Print the domain with defaults and addresses filled in
    Normalize(normalize::Args),
    /// Print what the host and its QEMUs can do, as libvirt's XML
    Capabilities,
    /// Print what a domain can have, as libvirt's XML
    #[command(name = "domcapabilities")]
    DomainCapabilities(capabilities::Domain),
    /// Turn what other tools have written into virtc's terms
    Import(import::Args),
    /// Take over what libvirt has defined on a host: a folder of domains and host facts, and a report
    Adopt(adopt::Args),
    /// Ask QEMU or this machine, and print capabilities or host facts
    Probe(probe::Args),
    /// Compare or renew stored outputs of a folder of domains
    Golden(golden::Args),
    /// Start a machine, in the foreground or (-d) in the background
    Run(run::Args),
    /// List the machines that `virtc run` has started
    List(machines::List),
    /// Shut machines down
    Stop(machines::StopArgs),
    /// Send a QMP or HMP command to a machine
    Monitor(machines::Monitor),
    /// Connect this terminal with a serial port or console of a machine
    Console(machines::Console),
    /// Save a picture of what a machine shows
    Screenshot(machines::Screenshot),
    /// Look after a QEMU that was started by hand
    Attach(machines::Attach),
    /// Remove what machines whose runner was killed have left
    Clean,
    /// Put a built tree onto a host, here or over ssh; show what changes first
    Deploy(deploy::Args),
    /// Make a package of a built tree
    Package(package::Args),
    /// Say what a diagnostic code means, or why an argument, a grant or a directive is there
    Explain(explain::Args),
    /// Look the domain format up
    Schema(schema::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Write the manual pages
    Man(man::Args),
}

impl Command {
    /// The first input of a command that compiles domains: near it, or above, is the project file.
    fn input(&self) -> Option<&Path> {
        let here = || Some(Path::new("."));
        match self {
            Command::Build(args) => args.input(),
            Command::Argv(args) => args.input(),
            Command::Check(args) => args.input(),
            Command::Diff(args) => args.input(),
            Command::Lock(args) => args.input(),
            Command::Upgrade(args) => args.input(),
            Command::Normalize(args) => args.input(),
            Command::Golden(args) => args.input(),
            Command::Run(args) => args.input(),
            Command::Explain(args) => args.input(),
            Command::Import(_) | Command::DomainCapabilities(_) => here(),
            _ => None,
        }
    }
}

/// The inputs of a comparison: `--caps`, `--host` and `--target` as often as they were given.
#[derive(Clone, Debug, Default)]
pub struct Sides {
    /// Every `--caps`.
    pub caps: Vec<PathBuf>,
    /// Every `--host`.
    pub hosts: Vec<PathBuf>,
    /// Every `--target`.
    pub targets: Vec<Target>,
}

impl Sides {
    fn of(matches: &clap::ArgMatches) -> Sides {
        let command = matches.subcommand().map_or(matches, |(_, inner)| inner);
        let all = |name| command.get_many::<PathBuf>(name).map(|v| v.cloned().collect()).unwrap_or_default();
        let named = command.value_source("target") == Some(ValueSource::CommandLine);
        let targets = command.get_many::<Target>("target").filter(|_| named).map(|v| v.copied().collect());
        Sides { caps: all("caps"), hosts: all("host"), targets: targets.unwrap_or_default() }
    }

    /// Whether the sides differ in what they are compiled with; a fault if an option was given more than twice.
    fn several(&self) -> Result<bool, String> {
        let counts = [(self.caps.len(), "--caps"), (self.hosts.len(), "--host"), (self.targets.len(), "--target")];
        match counts.iter().find(|(count, _)| *count > 2) {
            Some((count, option)) => Err(format!("{option} is given {count} times; two sides are compared")),
            None => Ok(counts.iter().any(|(count, _)| *count == 2)),
        }
    }

    /// The options of one side.
    fn shared(&self, side: usize, shared: &Shared) -> Shared {
        let of = |given: &[PathBuf]| given.get(side).or_else(|| given.last()).cloned();
        let target = self.targets.get(side).or(self.targets.last()).copied().unwrap_or(shared.target);
        Shared { caps: of(&self.caps), host: of(&self.hosts), target, ..shared.clone() }
    }

    /// What a side is compiled with, where the other is compiled with something else: ` with qemu-7.2`.
    fn title(&self, side: usize) -> String {
        let mut out = String::new();
        for given in [&self.caps, &self.hosts] {
            if let (2, Some(chosen)) = (given.len(), given.get(side)) {
                out.push_str(&format!(" with {}", chosen.display()));
            }
        }
        if let (2, Some(target)) = (self.targets.len(), self.targets.get(side)) {
            out.push_str(&format!(" for {target}"));
        }
        out
    }

    /// Both sides have what the project file says.
    fn complete(&mut self, shared: &Shared) {
        for (given, of_project) in [(&mut self.caps, &shared.caps), (&mut self.hosts, &shared.host)] {
            if given.is_empty() {
                given.extend(of_project.clone());
            }
        }
    }

    /// An option that was given more than once.
    fn twice(&self) -> Option<&'static str> {
        let counts = [(self.caps.len(), "--caps"), (self.hosts.len(), "--host"), (self.targets.len(), "--target")];
        counts.into_iter().find(|(count, _)| *count > 1).map(|(_, option)| option)
    }
}

/// How a command ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The input has errors.
    Input = 1,
    /// Wrong usage.
    Usage = 2,
    /// Differences were found.
    Differs = 3,
    /// The environment failed: I/O, QEMU did not start.
    Environment = 4,
}

impl Exit {
    /// The worse of two ends.
    pub fn and(self, other: Exit) -> Exit {
        if other as u8 > self as u8 { other } else { self }
    }
}

/// Runs the command line; gives the exit status.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(status) = run::internal(&args) {
        return ExitCode::from(status);
    }
    if let Some(exit) = completions::answer(&args) {
        return ExitCode::from(exit as u8);
    }
    let mut target_given = false;
    let mut meaningless = None;
    let parsed = command_for(&args).try_get_matches_from(args).and_then(|m| {
        let own = m.subcommand().map_or(&m, |(_, own)| own);
        target_given = own.value_source("target") == Some(ValueSource::CommandLine);
        meaningless = scope::fault(&m);
        Ok((Command::from_arg_matches(&m)?, Shared::from_arg_matches(&m)?, Sides::of(&m)))
    });
    let (command, shared, mut sides) = match parsed {
        Ok(parsed) => parsed,
        Err(e) => {
            // Help and version are no errors.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { Exit::Usage } else { Exit::Done } as u8);
        }
    };
    if let Some(fault) = meaningless {
        complain(&fault);
        return ExitCode::from(Exit::Usage as u8);
    }
    let shared = match project::complete(shared, command.input(), target_given) {
        Ok(shared) => shared,
        Err(exit) => return ExitCode::from(exit as u8),
    };
    let shared = &shared;
    sides.complete(shared);
    if !matches!(command, Command::Diff(_))
        && let Some(option) = sides.twice()
    {
        complain(&format!("{option} can be given twice for `virtc diff` only"));
        return ExitCode::from(Exit::Usage as u8);
    }
    let exit = match command {
        Command::Build(args) => build::run(&args, shared),
        Command::Argv(args) => argv::run(&args, shared),
        Command::New(args) => new::run(&args, shared),
        Command::Check(args) => check::run(&args, shared),
        Command::Diff(args) => diff::run(&args, &sides, shared),
        Command::Lock(args) => lock::run(&args, shared),
        Command::Upgrade(args) => upgrade::run(&args, shared),
        Command::Normalize(args) => normalize::run(&args, shared),
        Command::Capabilities => capabilities::run(shared),
        Command::DomainCapabilities(args) => capabilities::domain(&args, shared),
        Command::Import(args) => import::run(&args, shared),
        Command::Adopt(args) => adopt::run(&args, shared),
        Command::Probe(args) => probe::run(&args, shared),
        Command::Golden(args) => golden::run(&args, shared),
        Command::Run(args) => run::run(&args, shared),
        Command::List(args) => machines::list(&args, shared),
        Command::Stop(args) => machines::stop(&args, shared),
        Command::Monitor(args) => machines::monitor(&args, shared),
        Command::Console(args) => machines::console(&args, shared),
        Command::Screenshot(args) => machines::screenshot(&args, shared),
        Command::Attach(args) => machines::attach(&args, shared),
        Command::Deploy(args) => deploy::run(&args, shared),
        Command::Package(args) => package::run(&args, shared),
        Command::Clean => machines::clean(shared),
        Command::Explain(args) => explain::run(&args, shared),
        Command::Schema(args) => schema::run(&args, shared),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    };
    ExitCode::from(exit as u8)
}

/// Writes to standard output. A reader that went away (`| head`) is no error of ours.
pub fn print(text: &str) -> Exit {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("cannot write to standard output: {e}"));
            Exit::Environment
        }
        _ => Exit::Done,
    }
}

/// Writes text for a person to standard output: names and what QEMU says may hold what a terminal would obey.
pub fn show(text: &str) -> Exit {
    print(&crate::diag::printable(text))
}

/// Says on standard error what went wrong in the environment.
pub fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "virtc: {}", crate::diag::printable(message));
}

/// `virtc` without its commands.
fn top() -> clap::Command {
    let top = clap::Command::new("virtc")
        .about("Compile libvirt domain XML to what a Linux host needs to run the machine")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100);
    Shared::augment_args(top)
}

/// The command line as clap sees it, for completions and the manual.
fn command() -> clap::Command {
    scope::all_narrowed(Command::augment_subcommands(top()))
}

/// As much of the command line as these arguments need. Every command holds a copy of every shared option, and to make
/// them costs more than to check a file: where the first argument names a command, that one is all there is.
fn command_for(args: &[OsString]) -> clap::Command {
    let all = Command::augment_subcommands(clap::Command::new("virtc"));
    match args.get(1).and_then(|name| all.find_subcommand(name)) {
        Some(one) => {
            let top = top();
            let one = scope::narrowed(one.clone(), &top);
            top.subcommand(one)
        }
        None => command(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn help_begins_with_what_the_command_does() {
        let list = command().render_help().to_string();
        assert!(list.starts_with("Compile libvirt domain XML"), "{list}");
        for one in command().get_subcommands() {
            let about = one.get_about().map(ToString::to_string).unwrap_or_default();
            let asked = command_for(&["virtc".into(), one.get_name().into()]);
            let help = asked.clone().try_get_matches_from(["virtc", one.get_name(), "--help"]).unwrap_err().to_string();
            assert!(help.starts_with(&about), "{about}: {help}");
        }
    }

    /// What a command says of itself and of wrong usage does not depend on how much of the command line was made.
    #[test]
    fn one_command_speaks_as_all_do() {
        let said = |clap: clap::Command, args: &[OsString]| {
            clap.try_get_matches_from(args).expect_err("help, or a fault").render().to_string()
        };
        for name in command().get_subcommands().map(|c| c.get_name().to_owned()) {
            for fault in ["--help", "-h", "--version", "--not-an-option", "--target=nothing", "--verbos"] {
                let args: Vec<OsString> = ["virtc", &name, fault].map(OsString::from).to_vec();
                let one = command_for(&args);
                assert_eq!(one.get_subcommands().count(), 1, "{name}");
                assert_eq!(said(one, &args), said(command(), &args), "{name} {fault}");
            }
        }
    }
}
