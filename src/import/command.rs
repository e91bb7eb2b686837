//! The arguments of a command line, and which of them were understood.

use super::options::{Options, is_on};

/// Switches that take no value (QEMU's documentation, "Invocation").
const ALONE: &[&str] = &[
    "S",
    "curses",
    "daemonize",
    "enable-fips",
    "enable-kvm",
    "enable-sync-profile",
    "full-screen",
    "h",
    "help",
    "mem-prealloc",
    "no-acpi",
    "no-fd-bootchk",
    "no-hpet",
    "no-quit",
    "no-reboot",
    "no-shutdown",
    "no-user-config",
    "nodefaults",
    "nographic",
    "only-migratable",
    "preconfig",
    "sdl",
    "singlestep",
    "snapshot",
    "usb",
    "version",
    "win2k-hack",
    "xen-attach",
    "xen-domid-restrict",
    "one-insn-per-tb",
    "gtk",
];

/// One argument.
#[derive(Clone, Debug)]
struct Argument {
    switch: String,
    value: Option<String>,
    used: bool,
}

/// All arguments of a command line.
#[derive(Debug)]
pub struct Command(Vec<Argument>);

impl Command {
    /// Reads the words behind the program. A word that belongs to no switch is a disk image.
    pub fn new(words: &[String]) -> Command {
        let mut out = Vec::new();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            let (switch, value) = match word.strip_prefix('-') {
                None => ("hda".to_string(), Some(word.clone())),
                Some(switch) => {
                    let switch = switch.strip_prefix('-').unwrap_or(switch);
                    let value = if ALONE.contains(&switch) { None } else { words.next().cloned() };
                    (switch.to_string(), value)
                }
            };
            out.push(Argument { switch, value, used: false });
        }
        Command(out)
    }

    /// The values of a switch, as often as it is given, used or not.
    pub fn values<'a>(&'a self, switch: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |a| a.switch == switch).filter_map(|a| a.value.as_deref())
    }

    /// Takes a switch without a value.
    pub fn take_switch(&mut self, switch: &str) -> bool {
        let mut found = false;
        for argument in self.0.iter_mut().filter(|a| a.switch == switch && !a.used) {
            argument.used = true;
            found = true;
        }
        found
    }

    /// Takes every value of some switches, in the order of the command line.
    pub fn take(&mut self, switches: &[&str]) -> Vec<(String, String)> {
        let mut out = Vec::new();
        for argument in self.0.iter_mut().filter(|a| !a.used && switches.contains(&a.switch.as_str())) {
            if let Some(value) = &argument.value {
                argument.used = true;
                out.push((argument.switch.clone(), value.clone()));
            }
        }
        out
    }

    /// Takes the last value of a switch; the earlier ones are without effect.
    pub fn take_last(&mut self, switch: &str) -> Option<String> {
        self.take(&[switch]).pop().map(|(_, value)| value)
    }

    /// The places of the arguments of a switch that are not used yet, with their options.
    pub fn find(&self, switch: &str, implied: &str) -> Vec<(usize, Options)> {
        let open = self.0.iter().enumerate().filter(|(_, a)| !a.used && a.switch == switch);
        open.filter_map(|(i, a)| Some((i, Options::parse(a.value.as_deref()?, implied)))).collect()
    }

    /// The place and options of the argument of a switch whose option `key` has this value.
    pub fn find_by(&self, switch: &str, implied: &str, key: &str, value: &str) -> Option<(usize, Options)> {
        self.find(switch, implied).into_iter().find(|(_, options)| options.get(key) == Some(value))
    }

    /// Marks an argument as understood.
    pub fn mark(&mut self, place: usize) {
        if let Some(argument) = self.0.get_mut(place) {
            argument.used = true;
        }
    }

    /// What is left: switch and value.
    pub fn unused(&self) -> Vec<(String, Option<String>)> {
        self.0.iter().filter(|a| !a.used).map(|a| (a.switch.clone(), a.value.clone())).collect()
    }

    /// Takes out what virtc writes for every machine, and what is about the process and not the machine.
    pub fn drop_own(&mut self) {
        for switch in ["no-user-config", "no-shutdown", "S", "daemonize", "enable-sync-profile"] {
            self.take_switch(switch);
        }
        self.take(&[
            "msg",
            "sandbox",
            "pidfile",
            "D",
            "d",
            "runas",
            "chroot",
            "monitor",
            "qmp",
            "qmp-pretty",
            "incoming",
        ]);
        for (place, monitor) in self.find("mon", "chardev") {
            self.mark(place);
            if let Some((place, _)) = monitor.get("chardev").and_then(|id| self.find_by("chardev", "backend", "id", id))
            {
                self.mark(place);
            }
        }
        for (place, object) in self.find("object", "qom-type") {
            // Libvirt's own key for secrets.
            if object.get("qom-type") == Some("secret") && object.get("id") == Some("masterKey0") {
                self.mark(place);
            }
        }
        for (place, options) in self.find("overcommit", "") {
            if !options.get("mem-lock").is_some_and(is_on) && options.get("cpu-pm").is_none() {
                self.mark(place);
            }
        }
    }
}
