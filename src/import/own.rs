//! What virtc writes for every machine, and what is about the process and not the machine.

use super::Import;
use super::command::Argument;
use super::note::{Fate, Notes};
use super::options::{Options, is_on};

/// Arguments of the process, and what takes their place.
const PROCESS: &[(&str, &str)] = &[
    ("daemonize", "systemd, or `virtc run --detach`, keeps it in the background"),
    ("pidfile", "systemd, and `virtc list`, know its process"),
    ("runas", "its unit says as whom it runs"),
    ("chroot", "its unit confines it"),
    ("run-with", "its unit says how it runs"),
    ("incoming", "`--incoming` says it when the machine is started"),
    ("S", "`virtc monitor` can stop and continue it"),
    ("no-user-config", "virtc says it for every machine"),
    ("no-shutdown", "`<on_poweroff>` says what a shutdown does"),
    ("msg", "the host facts say how the log looks"),
    ("sandbox", "the host facts say it"),
    ("enable-sync-profile", "it is for those who develop QEMU"),
    ("add-fd", "the descriptor is opened anew"),
    ("id", "it is a number of Proxmox; `<uuid>` and `<name>` tell machines apart"),
];

impl Import {
    /// Sets aside what virtc writes by itself. Whether it does, is seen when the domain is compiled.
    pub fn set_aside_own(&mut self) {
        for (place, argument) in self.command.all().to_vec().into_iter().enumerate() {
            // What is about the machine is read with it.
            let machine = argument.switch == "run-with"
                && argument.value.as_deref().is_some_and(|v| v.starts_with("async-teardown"));
            if !machine && PROCESS.iter().any(|(name, _)| *name == argument.switch) {
                self.set_aside(place, argument);
            }
        }
        self.monitors();
        for (place, object) in self.command.find("object", "qom-type") {
            // libvirt's own key for secrets.
            if object.get("qom-type") == Some("secret") && object.get("id") == Some("masterKey0") {
                self.set_aside_place(place);
            }
        }
        for (place, options) in self.command.find("overcommit", "") {
            if !options.get("mem-lock").is_some_and(is_on) && options.get("cpu-pm").is_none() {
                self.set_aside_place(place);
            }
        }
    }

    fn set_aside(&mut self, place: usize, argument: Argument) {
        self.command.mark(place);
        self.own.push(argument);
    }

    fn set_aside_place(&mut self, place: usize) {
        if let Some(argument) = self.command.at(place).cloned() {
            self.set_aside(place, argument);
        }
    }

    /// Monitors: virtc has one of its own; a socket that others talk to stays.
    fn monitors(&mut self) {
        for argument in self.command.take(&["monitor", "qmp", "qmp-pretty"]) {
            let value = argument.value.clone().unwrap_or_default();
            let socket = ["unix:", "tcp:", "telnet:"].iter().any(|kind| value.starts_with(kind));
            match socket {
                true => {
                    let value = self.absolute_socket(&value);
                    self.notes.push(argument.span, Fate::Through, argument.shown());
                    self.hand(&argument.switch, Some(value), argument.span);
                }
                false => self.idle(argument.span, format!("{}: `virtc monitor` is there for it", argument.shown())),
            }
        }
        // Since QEMU 11.1 a monitor is an object, too.
        let objects = self.command.find("object", "qom-type").into_iter();
        let objects = objects.filter(|(_, o)| matches!(o.get("qom-type"), Some("monitor-qmp" | "monitor-hmp")));
        for (place, monitor) in self.command.find("mon", "chardev").into_iter().chain(objects) {
            let Some(id) = monitor.get("chardev") else { continue };
            let Some((back, chardev)) = self.command.find_by("chardev", "backend", "id", id) else { continue };
            // libvirt and virtc call theirs so; a descriptor is one that nobody can hand over again.
            let own = id == "charmonitor" || chardev.get("fd").is_some();
            let kind = chardev.get("backend");
            if own {
                self.set_aside_place(place);
                self.set_aside_place(back);
            } else if kind != Some("socket") && chardev.get("mux").is_none() {
                let shown = self.command.at(place).map(Argument::shown).unwrap_or_default();
                self.idle(monitor.span, format!("{shown}: `virtc monitor` is there for it"));
                self.command.mark(place);
                self.command.mark(back);
            }
        }
    }

    /// `unix:PATH,…` with an absolute path.
    pub fn absolute_socket(&self, value: &str) -> String {
        match value.strip_prefix("unix:") {
            Some(rest) => format!("unix:{}", self.path(rest)),
            None => value.to_string(),
        }
    }

    /// Whether a chardev has a monitor on it, too.
    pub fn has_monitor(&self, chardev: &str) -> bool {
        let of = |(_, monitor): &(usize, Options)| monitor.get("chardev") == Some(chardev);
        let is_monitor = |object: &Options| object.get("qom-type").is_some_and(|t| t.starts_with("monitor-"));
        self.command.find("mon", "chardev").iter().any(of)
            || self.command.find("object", "qom-type").iter().any(|object| is_monitor(&object.1) && of(object))
    }
}

/// Tells which arguments of the process virtc does not write.
pub fn compare(own: &[Argument], tokens: &[String], notes: &mut Notes) {
    for argument in own {
        let switch = format!("-{}", argument.switch);
        let there = tokens.iter().enumerate().any(|(i, token)| {
            *token == switch && argument.value.as_deref().is_none_or(|v| tokens.get(i + 1).is_some_and(|t| alike(v, t)))
        });
        if there {
            continue;
        }
        let why = PROCESS.iter().find(|(name, _)| *name == argument.switch).map(|(_, why)| *why);
        notes.push(
            argument.span,
            Fate::Idle,
            match why {
                Some(why) => format!("{}: {why}", argument.shown()),
                None => format!("{}: virtc has its own", argument.shown()),
            },
        );
    }
}

/// Whether two values are the same up to the order of their options.
fn alike(a: &str, b: &str) -> bool {
    let sorted = |text: &str| {
        let mut all: Vec<_> = Options::parse(text, "=").into_rest().into_iter().map(|(k, v, _)| (k, v)).collect();
        all.sort();
        all
    };
    a == b || sorted(a) == sorted(b)
}
