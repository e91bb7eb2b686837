//! `virtc import`: what other tools have written, in virtc's terms.

use super::inputs::{read, report};
use super::{Exit, Shared, print};
use crate::diag::Diagnostics;
use crate::host::{self, Host, qemu_conf};
use std::path::{Path, PathBuf};

/// Arguments of `virtc import`.
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
}

#[derive(clap::Args)]
struct QemuConf {
    /// The file; `-` is standard input
    #[arg(default_value = "/etc/libvirt/qemu.conf")]
    file: PathBuf,
}

/// Imports. With `--host`, on top of those facts.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    match &args.what {
        What::QemuConf(args) => qemu_conf(args, shared),
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
