//! `virtc man`: the manual pages of the commands.

use super::{Exit, complain, print};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::io;
use std::path::{Path, PathBuf};

// Arguments of `virtc man`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder for virtc.1 and a page a command; without it virtc(1) is printed
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Writes the pages of all commands, or prints the one of virtc itself.
pub fn run(args: &Args) -> Exit {
    let mut command = super::command();
    command.build();
    let Some(dir) = &args.dir else {
        return match page(&command) {
            Ok(text) => print(&String::from_utf8_lossy(&text)),
            Err(e) => failed(&e),
        };
    };
    match write_all(&command, dir) {
        Ok(()) => Exit::Done,
        Err(e) => failed(&e),
    }
}

fn failed(error: &io::Error) -> Exit {
    complain(&format!("cannot write the manual pages: {error}"));
    Exit::Environment
}

/// The page of a command and of each command below it.
fn write_all(command: &clap::Command, dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    write_below(command, dir)
}

fn write_below(command: &clap::Command, dir: &Path) -> io::Result<()> {
    std::fs::write(dir.join(format!("{}.1", name(command))), page(command)?)?;
    shown(command).try_for_each(|one| write_below(one, dir))
}

/// What `virtc help` lists, without `help` itself.
fn shown(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help")
}

/// The name of a page: virtc-import-argv for `virtc import argv`.
fn name(command: &clap::Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

/// What every command means by its exit status.
const EXIT_STATUS: [(&str, &str); 5] = [
    ("0", "Done."),
    ("1", "The input has errors."),
    ("2", "Wrong usage."),
    ("3", "diff or golden found differences."),
    ("4", "The environment failed: a file could not be read or written, QEMU did not start."),
];

/// One page: what clap knows of the command, then what holds for all of them.
fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let name = name(command);
    let man = Man::new(command.clone())
        .title(name.clone())
        .manual("virtc")
        .section("1")
        .source(concat!("virtc ", env!("CARGO_PKG_VERSION")));
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if shown(command).next().is_some() {
        man.render_subcommands_section(&mut out)?;
    }
    let mut rest = Roff::new();
    rest.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in EXIT_STATUS {
        rest.control("TP", []).text([roman(status)]).text([roman(meaning)]);
    }
    rest.control("SH", ["SEE ALSO"]).text([roman(see_also(&name, command))]);
    rest.to_writer(&mut out)?;
    Ok(out)
}

/// The pages below this one, and the one above.
fn see_also(name: &str, command: &clap::Command) -> String {
    let below = shown(command).map(self::name);
    let above = name.rsplit_once('-').map(|(above, _)| above.to_owned());
    let pages: Vec<String> = above.into_iter().chain(below).map(|page| format!("{page}(1)")).collect();
    match pages.is_empty() {
        true => "virtc(1)".to_owned(),
        false => pages.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_name_options_and_exit_status() {
        let mut command = crate::cli::command();
        command.build();
        let argv = shown(&command).find(|c| c.get_name() == "argv").expect("argv");
        let text = String::from_utf8(page(argv).expect("a page")).expect("UTF-8");
        for part in [
            ".TH virtc-argv 1",
            "virtc\\-argv \\- Print the QEMU command line",
            "\\-\\-caps",
            "EXIT STATUS",
            "virtc(1)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut command = crate::cli::command();
        command.build();
        write_all(&command, dir.path()).expect("pages");
        for page in ["virtc.1", "virtc-build.1", "virtc-import-argv.1", "virtc-probe-qemu.1"] {
            assert!(dir.path().join(page).is_file(), "{page}");
        }
    }
}
