//! Which of the shared options mean something to a command: those of compiling do not where nothing is compiled.

use clap::parser::ValueSource;

/// Options of compiling, by their names in [`Shared`](super::Shared). What is not here, every command takes.
const COMPILING: [&str; 15] = [
    "host",
    "caps",
    "env",
    "target",
    "wiring",
    "connect",
    "define",
    "allow",
    "warn",
    "deny",
    "incoming",
    "probe_backing",
    "no_config",
    "templates",
    "strict",
];

/// Commands that do not compile, and the options of [`COMPILING`] that mean something to them all the same.
const FEWER: [(&str, &[&str]); 15] = [
    ("new", &[]),
    ("capabilities", &["host", "caps"]),
    ("domcapabilities", &["host", "caps", "no_config"]),
    ("probe", &[]),
    ("list", &["connect"]),
    ("stop", &["connect"]),
    ("monitor", &["connect"]),
    ("console", &["connect"]),
    ("attach", &["connect"]),
    ("clean", &["connect"]),
    ("deploy", &["connect"]),
    ("package", &[]),
    ("schema", &[]),
    ("completions", &[]),
    ("man", &[]),
];

/// The shared options that mean nothing to a command.
fn meaningless(command: &str) -> impl Iterator<Item = &'static str> {
    let taken = FEWER.iter().find(|(name, _)| *name == command).map(|(_, taken)| *taken);
    COMPILING.into_iter().filter(move |option| taken.is_some_and(|taken| !taken.contains(option)))
}

/// A command that does not show what means nothing to it. `top` has the shared options.
pub fn narrowed(command: clap::Command, top: &clap::Command) -> clap::Command {
    let hidden = meaningless(command.get_name());
    let hidden = hidden.filter_map(|id| top.get_arguments().find(|a| a.get_id() == id));
    let hidden = Vec::from_iter(hidden.map(|option| option.clone().hide(true)));
    command.args(hidden)
}

/// Every command narrowed.
pub fn all_narrowed(mut command: clap::Command) -> clap::Command {
    let top = command.clone();
    for (name, _) in FEWER {
        command = command.mut_subcommand(name, |one| narrowed(one, &top));
    }
    command
}

/// What is wrong with the options that were given: one that means nothing to the command.
pub fn fault(matches: &clap::ArgMatches) -> Option<String> {
    let (name, own) = matches.subcommand()?;
    let given = |id: &&'static str| own.value_source(id) == Some(ValueSource::CommandLine);
    let option = meaningless(name).find(given)?.replace('_', "-");
    Some(format!("`virtc {name}` compiles nothing, so that --{option} means nothing to it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_name_what_is_there() {
        let all = super::super::command();
        let options: Vec<&str> = all.get_arguments().map(|a| a.get_id().as_str()).collect();
        let of_all = ["message_format", "color", "quiet", "verbose"];
        for option in options.iter().filter(|o| !of_all.contains(o)) {
            assert!(COMPILING.contains(option), "{option}: does it mean something to every command?");
        }
        assert!(COMPILING.iter().all(|option| options.contains(option)));
        for (name, taken) in FEWER {
            assert!(all.find_subcommand(name).is_some(), "{name}");
            assert!(taken.iter().all(|option| COMPILING.contains(option)), "{name}");
        }
    }

    #[test]
    fn what_means_nothing_is_neither_shown_nor_taken() {
        for args in
            [["virtc", "list", "--caps", "x"], ["virtc", "schema", "--host", "x"], ["virtc", "man", "--env", "a=b"]]
        {
            let command = super::super::command_for(&args.map(std::ffi::OsString::from));
            let fault = fault(&command.try_get_matches_from(args).expect("clap takes it"));
            assert!(fault.is_some_and(|fault| fault.contains(args[2])), "{args:?}");
        }
        let help = |name: &str| {
            let args = ["virtc", name, "--help"];
            let command = super::super::command_for(&args.map(std::ffi::OsString::from));
            command.try_get_matches_from(args).expect_err("help").to_string()
        };
        assert!(!help("list").contains("--caps") && help("list").contains("--connect"));
        assert!(help("argv").contains("--caps"));
        // A command below another one, too.
        let probe = ["virtc", "probe", "host", "--target", "standalone"];
        let command = super::super::command_for(&probe.map(std::ffi::OsString::from));
        assert!(fault(&command.try_get_matches_from(probe).expect("clap takes it")).is_some());
    }
}
