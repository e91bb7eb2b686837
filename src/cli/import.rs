//! `virtc import`: what other tools have written, in virtc's terms.

use super::inputs::{Source, World, read, report};
use super::{Exit, Shared, complain, print};
use crate::compile::Until;
use crate::diag::{Diagnostics, Span, codes};
use crate::host::{self, Host, qemu_conf};
use crate::import;
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
    /// A file with the command line: for a shell, one token a line, or JSON; `-` is standard input
    file: PathBuf,
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
    let mut diags = Diagnostics::new();
    let text = String::from_utf8_lossy(&source.bytes);
    let words = import::words(&text).unwrap_or_else(|fault| {
        diags.error(&codes::inputs::ARGV, Span::new(fault.at, fault.at + 1), fault.what);
        Vec::new()
    });
    if words.is_empty() && !diags.has_errors() {
        diags.error(&codes::inputs::ARGV, Span::new(0, 0), "there is no command line in this file");
    }
    report(&diags, &source, shared);
    if diags.has_errors() {
        return Exit::Input;
    }
    let base = args.directory.clone().map_or_else(std::env::current_dir, std::path::absolute);
    let base = match base {
        Ok(base) => base,
        Err(e) => {
            complain(&format!("which directory is this? {e}"));
            return Exit::Environment;
        }
    };
    let imported = import::domain(&words, &base.display().to_string());
    if !shared.quiet {
        imported.notes.iter().for_each(|note| complain(&format!("note: {note}")));
    }
    checked(&imported.xml, shared)
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
    xml.map_or(Exit::Input, |xml| checked(&xml, shared))
}

/// Prints a domain that was made here, and reports what is wrong with it.
fn checked(xml: &str, shared: &Shared) -> Exit {
    let world = match World::load(shared) {
        Ok(world) => world,
        Err(exit) => return exit,
    };
    let domain = Source { name: "<imported domain>".to_string(), bytes: xml.as_bytes().to_vec() };
    let (_, exit) = world.compile(&domain, Until::Planned);
    exit.and(print(xml))
}
