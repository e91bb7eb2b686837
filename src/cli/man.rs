//! `virtc man`: the manual pages of the commands and of virtc's own files.

use super::{Exit, complain, print};
use crate::diag::codes::TOPICS;
use crate::host::reference::{Entry, NODES as HOST_FACTS};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::io;
use std::path::{Path, PathBuf};

// Arguments of `virtc man`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder that man looks into, as ~/.local/share/man: pages of the commands go to man1, of files to man5, of all codes
    /// to man7 in it; without it virtc(1) is printed
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

/// All pages, each in the folder of its section.
fn write_all(command: &clap::Command, dir: &Path) -> io::Result<()> {
    let [commands, files, others] = ["man1", "man5", "man7"].map(|section| dir.join(section));
    for section in [&commands, &files, &others] {
        std::fs::create_dir_all(section)?;
    }
    for file in FILES {
        std::fs::write(files.join(format!("{}.5", file.name)), page_of_file(file)?)?;
    }
    std::fs::write(others.join("virtc-codes.7"), page_of_codes()?)?;
    write_below(command, &commands)
}

/// The page of all that virtc says of domains, of host facts and of machines: every code, topic by topic.
fn page_of_codes() -> io::Result<Vec<u8>> {
    let mut page = Roff::new();
    page.control("TH", ["virtc-codes", "7", "", concat!("virtc ", env!("CARGO_PKG_VERSION")), "virtc"]);
    page.control("SH", ["NAME"]).text([roman("virtc-codes - what virtc says, and what to do about it")]);
    page.control("SH", ["DESCRIPTION"]).text([roman(
        "Each message has a code, which stays the same from release to release, and a name; virtc explain takes both. \
         --allow, --warn and --deny change how serious a lint is taken.",
    )]);
    for (topic, codes) in TOPICS {
        page.control("SH", [topic.to_uppercase().as_str()]);
        for code in *codes {
            page.control("SS", [format!("{} {}", code.id, code.name).as_str()]);
            for paragraph in code.explain.split("\n\n") {
                page.control("PP", []);
                // Lines of an example stay lines.
                let lines = Vec::from_iter(paragraph.lines());
                if lines.len() > 1 {
                    page.control("nf", []);
                }
                for line in &lines {
                    page.text([roman(*line)]);
                }
                if lines.len() > 1 {
                    page.control("fi", []);
                }
            }
        }
    }
    page.control("SH", ["SEE ALSO"]).text([roman("virtc-explain(1), virtc-check(1)")]);
    let mut out = Vec::new();
    page.to_writer(&mut out)?;
    Ok(out)
}

/// A kind of file that virtc reads.
struct File {
    name: &'static str,
    /// What it is, in a few words.
    about: &'static str,
    description: &'static [&'static str],
    nodes: &'static [Entry],
    see_also: &'static str,
}

/// The files that have a page.
const FILES: [&File; 2] = [
    &File {
        name: "virtc-host",
        about: "facts about the host of virtual machines",
        description: &[
            "host.kdl tells virtc about the machine on which domains will run: everything, besides the domain, the capabilities of QEMU and the command line, that can change an output. It is a KDL document of version 2.",
            "virtc probe host writes one for this machine, and virtc import qemu.conf makes one of libvirt's configuration. Every node but machine with arch may be left out. An unknown node, property or value is an error with its place. What a file does not list is not there.",
            "Sizes are strings with a unit, truth values are #true and #false, paths are absolute.",
        ],
        nodes: HOST_FACTS,
        see_also: "virtc(1), virtc-probe-host(1), virtc-import-qemu.conf(1), virtc-project(5)",
    },
    &File {
        name: "virtc-project",
        about: "what holds for all domains below a folder",
        description: &[
            "virtc.kdl holds what one would else type each time. build, argv, check, diff, normalize, explain, golden, run and import look for it in the folder of their first input and upwards; the nearest one is taken, alone. What the command line says counts more; --no-config passes the file over, and -v says which one is in use.",
            "Every node may be left out, and each stands once. Paths start at the folder of the file.",
        ],
        nodes: super::project::NODES,
        see_also: "virtc(1), virtc-host(5)",
    },
];

/// The page of a kind of file: every node, as it may stand there, and what its parts mean.
fn page_of_file(file: &File) -> io::Result<Vec<u8>> {
    let mut page = Roff::new();
    page.control("TH", [file.name, "5", "", concat!("virtc ", env!("CARGO_PKG_VERSION")), "virtc"]);
    page.control("SH", ["NAME"]).text([roman(format!("{} - {}", file.name, file.about))]);
    page.control("SH", ["DESCRIPTION"]);
    for paragraph in file.description {
        page.control("PP", []).text([roman(*paragraph)]);
    }
    page.control("SH", ["NODES"]);
    for node in file.nodes {
        page.control("SS", [node.name]).text([roman(node.about)]);
        page.control("PP", []).control("RS", ["4"]).control("nf", []);
        page.text([roman(node.example)]);
        page.control("fi", []).control("RE", []);
        for (part, meaning) in node.parts {
            page.control("TP", []).text([bold(*part)]).text([roman(*meaning)]);
        }
    }
    page.control("SH", ["SEE ALSO"]).text([roman(file.see_also)]);
    let mut out = Vec::new();
    page.to_writer(&mut out)?;
    Ok(out)
}

/// The page of a command and of each command below it.
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
    let is_first = above.is_none();
    let mut pages: Vec<String> = above.into_iter().chain(below).map(|page| format!("{page}(1)")).collect();
    if is_first {
        pages.extend(FILES.map(|file| format!("{}(5)", file.name)));
        pages.push("virtc-codes(7)".to_owned());
    }
    pages.join(", ")
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
    fn a_page_of_a_file_shows_every_node() {
        for file in FILES {
            let text = String::from_utf8(page_of_file(file).expect("a page")).expect("UTF-8");
            assert!(text.contains(&format!(".TH {} 5", file.name)), "{text}");
            assert_eq!(text.matches("\n.SS ").count(), file.nodes.len(), "{text}");
        }
    }

    #[test]
    fn every_page_that_one_names_is_there() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut command = crate::cli::command();
        command.build();
        write_all(&command, dir.path()).expect("pages");
        let sections = std::fs::read_dir(dir.path()).expect("sections").map(|e| e.expect("an entry").path());
        let pages = Vec::from_iter(sections.flat_map(|dir| {
            std::fs::read_dir(dir).expect("pages").map(|e| e.expect("an entry").path()).collect::<Vec<_>>()
        }));
        for page in &pages {
            let text = std::fs::read_to_string(page).expect("a page").replace("\\-", "-");
            let (_, named) = text.split_once(".SH \"SEE ALSO\"\n").expect("what to see also");
            for other in named.trim().split(", ") {
                let (name, section) = other.trim_end_matches(')').split_once('(').expect("a section");
                let file = dir.path().join(format!("man{section}/{name}.{section}"));
                assert!(file.is_file(), "{} names {other}", page.display());
            }
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut command = crate::cli::command();
        command.build();
        write_all(&command, dir.path()).expect("pages");
        for page in ["virtc.1", "virtc-build.1", "virtc-import-argv.1", "virtc-probe-qemu.1"] {
            assert!(dir.path().join("man1").join(page).is_file(), "{page}");
        }
        for page in ["virtc-host.5", "virtc-project.5"] {
            assert!(dir.path().join("man5").join(page).is_file(), "{page}");
        }
        let codes = std::fs::read_to_string(dir.path().join("man7/virtc-codes.7")).expect("a page");
        for code in crate::diag::codes::all() {
            assert!(codes.contains(&format!("{} {}", code.id, code.name)), "{}", code.id);
        }
    }
}
