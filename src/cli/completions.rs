//! `virtc completions`: scripts for shells, and what they ask for while one types.
//!
//! A script knows nothing itself: at each Tab it runs virtc with [`ASKS`] in the environment, which answers from the same table
//! of arguments that help and the manual are made from, and from what is there: files, machines, codes, profiles, the format.

use super::{Exit, complain, print};
use crate::caps::profiles;
use crate::diag::{codes, lints};
use crate::host::Distribution;
use crate::plan::Target;
use crate::run::registry::Registry;
use crate::schema::reference;
use crate::vocab::Release;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::{CompleteEnv, Shells};
use std::ffi::{OsStr, OsString};

/// The variable by which a shell asks.
const ASKS: &str = "VIRTC_COMPLETE";

// Arguments of `virtc completions`.
#[derive(clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// A shell that virtc completes for.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Shell {
    fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Elvish => "elvish",
            Shell::Fish => "fish",
            Shell::Powershell => "powershell",
            Shell::Zsh => "zsh",
        }
    }
}

/// Prints the script of a shell.
pub fn run(args: &Args) -> Exit {
    let shells = Shells::builtins();
    let mut out = Vec::new();
    let written = match shells.completer(args.shell.name()) {
        Some(shell) => shell.write_registration(ASKS, "virtc", "virtc", "virtc", &mut out),
        None => Ok(()),
    };
    if let Err(fault) = written {
        complain(&format!("cannot write the script: {fault}"));
        return Exit::Environment;
    }
    print(&String::from_utf8_lossy(&out))
}

/// Answers a shell that asks; none if nobody does.
pub fn answer(args: &[OsString]) -> Option<Exit> {
    std::env::var_os(ASKS).filter(|_| !args.is_empty())?;
    let here = std::env::current_dir().ok();
    let answered = CompleteEnv::with_factory(|| completed(super::command()))
        .var(ASKS)
        .bin("virtc")
        .try_complete(args.to_vec(), here.as_deref());
    match answered {
        Ok(true) => Some(Exit::Done),
        Ok(false) => None,
        Err(fault) => {
            // A shell shows it between what is typed; it is for who looks after the script.
            complain(&fault.to_string());
            Some(Exit::Usage)
        }
    }
}

/// What stands for a value.
#[derive(Clone, Copy)]
enum Kind {
    /// A domain, or a folder of them.
    Domains,
    /// A domain, a code, a folder.
    Subject,
    /// A machine of `virtc run`.
    Machines,
    /// Codes and groups of lints.
    Codes,
    /// QEMUs.
    Caps,
    /// Hosts.
    Hosts,
    /// Targets.
    Targets,
    /// Instances.
    Instances,
    /// The format.
    Schema,
}

/// Shared options.
const OPTIONS: [(&str, Kind); 7] = [
    ("caps", Kind::Caps),
    ("host", Kind::Hosts),
    ("target", Kind::Targets),
    ("connect", Kind::Instances),
    ("allow", Kind::Codes),
    ("warn", Kind::Codes),
    ("deny", Kind::Codes),
];

/// Arguments of commands.
const ARGUMENTS: [(&str, &str, Kind); 15] = [
    ("argv", "files", Kind::Domains),
    ("build", "files", Kind::Domains),
    ("check", "files", Kind::Domains),
    ("diff", "first", Kind::Domains),
    ("diff", "second", Kind::Domains),
    ("lock", "files", Kind::Domains),
    ("upgrade", "files", Kind::Domains),
    ("normalize", "file", Kind::Domains),
    ("run", "file", Kind::Domains),
    ("explain", "words", Kind::Subject),
    ("schema", "path", Kind::Schema),
    ("stop", "names", Kind::Machines),
    ("monitor", "name", Kind::Machines),
    ("console", "name", Kind::Machines),
    ("lock", "from", Kind::Domains),
];

/// The command line with what is offered for values.
fn completed(mut command: clap::Command) -> clap::Command {
    for (option, kind) in OPTIONS {
        command = command.mut_arg(option, |arg| arg.add(kind.completer()));
    }
    // Commands are made when they are asked for, and their arguments with them.
    command.build();
    for (name, argument, kind) in ARGUMENTS {
        command = command.mut_subcommand(name, |one| {
            let known = one.get_arguments().any(|arg| arg.get_id() == argument);
            if known { one.mut_arg(argument, |arg| arg.add(kind.completer())) } else { one }
        });
    }
    command
}

impl Kind {
    fn completer(self) -> ArgValueCompleter {
        ArgValueCompleter::new(move |typed: &OsStr| self.candidates(typed))
    }

    fn candidates(self, typed: &OsStr) -> Vec<CompletionCandidate> {
        let files = |endings: &'static [&'static str]| {
            let fits = move |path: &std::path::Path| {
                let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
                path.is_dir() || endings.contains(&ending)
            };
            PathCompleter::any().filter(fits).complete(typed)
        };
        let mut all = self.words();
        all.retain(|candidate| candidate.get_value().as_encoded_bytes().starts_with(typed.as_encoded_bytes()));
        all.extend(match self {
            Kind::Domains => files(&["xml", "json"]),
            Kind::Subject => files(&["xml", "json"]),
            Kind::Caps => files(&["xml", "caps"]),
            Kind::Hosts => files(&["kdl"]),
            _ => Vec::new(),
        });
        all
    }

    /// The words that may stand there.
    fn words(self) -> Vec<CompletionCandidate> {
        let with_help = |value: &str, help: String| CompletionCandidate::new(value).help(Some(help.into()));
        match self {
            Kind::Domains => Vec::new(),
            Kind::Subject => codes::all().map(|code| with_help(code.id, code.name.to_string())).collect(),
            Kind::Codes => {
                let groups = lints::Group::ALL.iter().map(|group| CompletionCandidate::new(group.as_str()));
                groups.chain(Kind::Subject.words()).collect()
            }
            Kind::Machines => {
                let instance = super::run::instance(&super::Shared::default()).ok();
                let records = instance.and_then(|instance| Registry::of(instance).ok()).map(|registry| registry.list());
                records.into_iter().flatten().map(|record| CompletionCandidate::new(record.header.name)).collect()
            }
            Kind::Caps => {
                let here = with_help("here", "what the QEMU of this host says".to_string());
                let releases = profiles::releases().into_iter().map(|release| format!("qemu-{release}"));
                std::iter::once(here).chain(releases.map(CompletionCandidate::new)).collect()
            }
            Kind::Hosts => {
                let here = with_help("here", "this host".to_string());
                let all = Distribution::ALL.iter().map(|d| with_help(d.as_str(), d.title().to_string()));
                std::iter::once(here).chain(all).collect()
            }
            Kind::Targets => [Target::Standalone, Target::LIBVIRT, Target::Libvirt(Release::OLDEST)]
                .iter()
                .map(|target| CompletionCandidate::new(target.to_string()))
                .collect(),
            Kind::Instances => Vec::from(["qemu:///system", "qemu:///session"].map(CompletionCandidate::new)),
            Kind::Schema => {
                let places = reference::places();
                places.iter().map(|place| CompletionCandidate::new(place.path.trim_start_matches("/domain/"))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_arguments_that_are_there() {
        let mut command = super::super::command();
        command.build();
        for (name, argument, _) in ARGUMENTS {
            let one = command.find_subcommand(name).unwrap_or_else(|| panic!("{name}"));
            let all: Vec<&str> = one.get_arguments().map(|arg| arg.get_id().as_str()).collect();
            assert!(all.contains(&argument), "{name} has no {argument} among {all:?}");
        }
        assert!(OPTIONS.iter().all(|(option, _)| command.get_arguments().any(|arg| arg.get_id() == *option)));
    }
}
