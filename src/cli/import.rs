//! `virtc import`: what other tools have written, in virtc's terms.

use super::inputs::{Source, World, read, report, text_of};
use super::{Exit, Shared, complain, print};
use crate::compile::Until;
use crate::diag::{Diagnostics, codes};
use crate::host::{self, Host, qemu_conf};
use crate::import;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

// Arguments of `virtc import`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Libvirt's qemu.conf, as host facts
    #[command(name = "qemu.conf")]
    QemuConf(QemuConf),
    /// A QEMU command line, as a domain
    Argv(Argv),
    /// A domain that is written in KDL, as XML
    Kdl(Kdl),
}

#[derive(clap::Args)]
struct Argv {
    /// A file with the command line: a shell script, a systemd unit, a line of `ps`, /proc/PID/cmdline, libvirt's log, a
    /// list of Compose, JSON, one token a line; `-` is standard input
    file: PathBuf,
    /// Of several command lines of QEMU in the file, this one, counted from 1
    #[arg(long, value_name = "N")]
    nth: Option<usize>,
    /// The directory in which the command line is run: relative paths are below it [default: this one]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

#[derive(clap::Args)]
struct QemuConf {
    /// The file; `-` is standard input
    #[arg(default_value = "/etc/libvirt/qemu.conf")]
    file: PathBuf,
}

#[derive(clap::Args)]
struct Kdl {
    /// A file with one domain: nodes are elements, properties attributes, an argument is the text; `-` is standard input
    file: PathBuf,
}

/// Imports. With `--host`, on top of those facts.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    match &args.what {
        What::QemuConf(args) => qemu_conf(args, shared),
        What::Argv(args) => argv(args, shared),
        What::Kdl(args) => kdl(args, shared),
    }
}

fn qemu_conf(args: &QemuConf, shared: &Shared) -> Exit {
    let base = match &shared.host {
        None => Host::default(),
        Some(path) => match super::inputs::read_host(path, shared) {
            Ok(host) => host,
            Err(exit) => return exit,
        },
    };
    let source = match read(&args.file) {
        Ok(source) => source,
        Err(exit) => return exit,
    };
    let mut diags = Diagnostics::new();
    let text = String::from_utf8_lossy(&source.bytes);
    let host = qemu_conf::import(&text, base, &|path| Path::new(path).is_dir(), &mut diags);
    if shared.strict {
        diags.make_strict();
    }
    report(&diags, &source, shared);
    if diags.has_errors() {
        return Exit::Input;
    }
    print(&host::write(&host, "Host facts, written by virtc import qemu.conf."))
}

/// Prints the domain of a command line; says what could not be expressed, and checks the domain.
fn argv(args: &Argv, shared: &Shared) -> Exit {
    let source = match read(&args.file) {
        Ok(source) => source,
        Err(exit) => return exit,
    };
    let base = args.directory.clone().map_or_else(std::env::current_dir, std::path::absolute);
    let base = match base {
        Ok(base) => base.display().to_string(),
        Err(e) => {
            complain(&format!("which directory is this? {e}"));
            return Exit::Environment;
        }
    };
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let environment: Vec<(String, String)> = shared
        .env
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    let around = import::Around { name: &source.name, base: &base, environment: &environment };
    let mut diags = Diagnostics::new();
    let lines = import::command_lines(&source.bytes, &around, &mut diags);
    // What the import compiled last is mostly what it prints: it is not compiled again.
    let last: RefCell<Option<(Vec<u8>, Diagnostics)>> = RefCell::new(None);
    let line = if diags.has_errors() { None } else { chosen(lines, args.nth, &mut diags) };
    let imported = line.map(|mut line| {
        import::read_configs(&mut line, &base, &|path| text_of(Path::new(path)).ok(), &mut diags);
        import::domain(&line, &base, &|xml| {
            let compiled = world.compile_text(xml, Until::Planned);
            *last.borrow_mut() = Some((xml.to_vec(), compiled.diags));
            compiled.plan
        })
    });
    let Some(imported) = imported else {
        report(&diags, &source, shared);
        return Exit::Input;
    };
    diags.extend(imported.notes);
    if shared.strict {
        diags.make_strict();
    }
    report(&diags, &source, shared);
    let exit = if diags.has_errors() { Exit::Input } else { Exit::Done };
    match last.into_inner() {
        Some((text, diags)) if text == imported.xml.as_bytes() => exit.and(judged(&imported.xml, diags, shared)),
        _ => exit.and(checked(&imported.xml, &world)),
    }
}

/// The command line that is meant; the others are listed.
fn chosen(mut lines: Vec<import::Line>, nth: Option<usize>, diags: &mut Diagnostics) -> Option<import::Line> {
    let nth = match nth {
        None if lines.len() == 1 => 1,
        Some(nth) if (1..=lines.len()).contains(&nth) => nth,
        _ => {
            for (i, line) in lines.iter().enumerate() {
                let what = format!("command line {} of {}: {}", i + 1, lines.len(), line.program.text);
                diags
                    .error(&codes::inputs::ARGV_MANY, line.program.span, what)
                    .help(format!("--nth {} is this one", i + 1));
            }
            return None;
        }
    };
    Some(lines.swap_remove(nth - 1))
}

/// Prints the XML of a domain that is written in KDL.
fn kdl(args: &Kdl, shared: &Shared) -> Exit {
    let source = match read(&args.file) {
        Ok(source) => source,
        Err(exit) => return exit,
    };
    let mut diags = Diagnostics::new();
    let xml = import::domain_of_kdl(&String::from_utf8_lossy(&source.bytes), &mut diags);
    report(&diags, &source, shared);
    let Some(xml) = xml else { return Exit::Input };
    match World::load(shared) {
        Ok(world) => checked(&xml, &world),
        Err(exit) => exit,
    }
}

/// Prints a domain that was made here, and reports what is wrong with it.
fn checked(xml: &str, world: &World<'_>) -> Exit {
    judged(xml, world.compile_text(xml.as_bytes(), Until::Planned).diags, world.shared)
}

/// The same of one that was compiled.
fn judged(xml: &str, mut diags: Diagnostics, shared: &Shared) -> Exit {
    let domain = Source { name: "<imported domain>".to_string(), bytes: xml.as_bytes().to_vec() };
    if shared.strict {
        diags.make_strict();
    }
    report(&diags, &domain, shared);
    let exit = if diags.has_errors() { Exit::Input } else { Exit::Done };
    exit.and(print(xml))
}
