//! What `virtc adopt` takes over from libvirt's `qemu.conf`.

use crate::diag::{Diagnostics, Severity};
use crate::host::{Host, qemu_conf};
use std::path::Path;

/// What came of `qemu.conf`.
#[derive(Default)]
pub struct Conf {
    /// Its keys.
    pub said: Vec<qemu_conf::Said>,
    /// What is wrong with it, or unknown.
    pub faults: Vec<String>,
    /// The displays whose common password stands in it.
    pub passwords: Vec<&'static str>,
}

impl Conf {
    /// Reads it on top of other facts. A password goes into no file that git keeps.
    pub fn read(text: &str, host: Host) -> (Host, Conf) {
        let mut diags = Diagnostics::new();
        let before = host.clone();
        let mut host = qemu_conf::import(text, host, &|path| Path::new(path).is_dir(), &mut diags);
        let mut passwords = Vec::new();
        for (name, password, old) in [
            ("vnc", &mut host.vnc.password, before.vnc.password),
            ("spice", &mut host.spice.password, before.spice.password),
            ("rdp", &mut host.rdp.password, before.rdp.password),
        ] {
            passwords.extend((*password != old).then_some(name));
            *password = old;
        }
        let grave = diags.sorted().into_iter().filter(|d| d.severity != Severity::Note);
        let faults = grave.map(|d| d.message.clone()).collect();
        (host, Conf { said: qemu_conf::said(text), faults, passwords })
    }
}
