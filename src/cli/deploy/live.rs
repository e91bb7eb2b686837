//! What is told to a host that runs: systemd, udev, AppArmor, SELinux.

use super::changes::{Changes, Class};
use super::transaction::{Change, Content, Duties};
use std::path::Path;
use std::process::{Command, Stdio};

/// A host that does as it is told.
pub trait Host {
    /// Whether there is anything to tell: for a root that is an image there is not.
    fn runs(&self) -> bool;
    /// Runs a command; whether it went well.
    fn tell(&mut self, program: &str, arguments: &[String]) -> bool;
    /// Whether a unit runs.
    fn is_active(&self, unit: &str) -> bool;
    /// Whether the host has this: `apparmor`, `selinux`.
    fn has(&self, what: &str) -> bool;
    /// Whether the next boot is to finish what is interrupted from now on.
    fn watch(&mut self, on: bool);
}

/// The unit that finishes a deployment in which the host went down; it is there while one is under way.
const WATCH: &str = "/etc/systemd/system/virtc-recover.service";

/// What enables it.
const WATCH_LINK: &str = "/etc/systemd/system/multi-user.target.wants/virtc-recover.service";

/// Its text, for the virtc at this path; none for a path that a unit would not take as it stands.
fn watch(program: &str) -> Option<String> {
    let plain = program.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.+".contains(&b));
    (plain && program.starts_with('/')).then(|| {
        format!(
            "# A deployment of virtual machines is under way. Made by virtc, and removed by it.\n\
             [Unit]\nDescription=Finish an interrupted deployment of virtual machines\nBefore=virtc.target\n\
             ConditionPathExistsGlob=/var/lib/virtc/deployments/*/next/*.json\n\n\
             [Service]\nType=oneshot\nExecStart={program} deploy --recover\n\
             ExecStartPost=-/bin/sh -c 'systemctl -q is-enabled virtc.target && systemctl --no-block start virtc.target'\n"
        )
    })
}

/// This host, if the root is its own.
pub struct This {
    /// Whether it is told anything.
    pub told: bool,
}

impl Host for This {
    fn runs(&self) -> bool {
        self.told && Path::new("/run/systemd/system").exists()
    }

    fn tell(&mut self, program: &str, arguments: &[String]) -> bool {
        Command::new(program).args(arguments).stdin(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    fn is_active(&self, unit: &str) -> bool {
        let asked = Command::new("systemctl").args(["is-active", "--quiet", "--", unit]).stdin(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    }

    fn has(&self, what: &str) -> bool {
        match what {
            "apparmor" => {
                std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|t| t.starts_with('Y'))
            }
            _ => Path::new("/sys/fs/selinux/enforce").exists(),
        }
    }

    fn watch(&mut self, on: bool) {
        if !self.runs() {
            return;
        }
        let program = std::env::current_exe().ok().and_then(|path| path.to_str().map(str::to_string));
        // Without it the next deployment finishes what was interrupted.
        let done = match program.as_deref().and_then(watch).filter(|_| on) {
            Some(text) => std::fs::write(WATCH, text)
                .and_then(|()| std::fs::create_dir_all("/etc/systemd/system/multi-user.target.wants"))
                .and_then(|()| std::os::unix::fs::symlink(WATCH, WATCH_LINK)),
            None => {
                let _ = std::fs::remove_file(WATCH_LINK);
                std::fs::remove_file(WATCH)
            }
        };
        // It has read the unit with those of the machines.
        if done.is_ok() && !on {
            self.tell("systemctl", &words(&["daemon-reload"]));
        }
    }
}

/// Units that have to be stopped, and those that are to be started, for these changes.
pub fn duties(changes: &Changes, start: bool, restart: bool, host: &dyn Host) -> Duties {
    let mut duties = Duties::default();
    let gone =
        changes.files.iter().filter(|c| c.new.is_none()).filter_map(|c| c.path.strip_prefix("usr/lib/systemd/system/"));
    // A network goes with the last machine that is in it.
    let networks: Vec<String> = gone.filter(|unit| unit.starts_with("virtc-net-")).map(str::to_string).collect();
    for machine in &changes.machines {
        let Some(main) = machine.units.first() else { continue };
        match &machine.class {
            Class::Removed => duties.stop.extend(machine.units.iter().cloned()),
            Class::Replaced => {
                duties.stop.extend(machine.units.iter().cloned());
                duties.start.extend(start.then(|| main.clone()));
            }
            Class::New | Class::Renamed(_) if start => duties.start.push(main.clone()),
            Class::Restart if restart && host.runs() && host.is_active(main) => duties.restart.push(main.clone()),
            _ => {}
        }
    }
    duties.stop.extend(networks);
    duties
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

/// Stops what leaves. Its files are still there, so that it goes down as it should.
pub fn stop(duties: &Duties, host: &mut dyn Host) -> bool {
    if duties.stop.is_empty() || !host.runs() {
        return true;
    }
    let mut arguments = words(&["stop", "--"]);
    arguments.extend(duties.stop.iter().cloned());
    host.tell("systemctl", &arguments)
}

/// Nodes that rules give to accounts.
pub const TRIGGER: [&str; 12] = [
    "trigger",
    "--settle",
    "--subsystem-match=usb",
    "--subsystem-match=input",
    "--subsystem-match=block",
    "--subsystem-match=vfio",
    "--subsystem-match=tty",
    "--subsystem-match=sound",
    "--subsystem-match=scsi_generic",
    "--subsystem-match=vfio-dev",
    "--subsystem-match=vhost-vdpa",
    "--subsystem-match=misc",
];

/// One thing that is told.
struct Order {
    program: &'static str,
    arguments: Vec<String>,
    /// Whether it matters if it fails.
    matters: bool,
}

/// What is told once the files are there, in order: accounts, labels, folders, devices, networks, profiles, units. `old`: the folder
/// where what was replaced is kept.
fn orders(changes: &[Change], old: &Path, duties: &Duties, host: &dyn Host) -> Vec<Order> {
    let mut out = Vec::new();
    let mut order = |program: &'static str, arguments: Vec<String>, matters: bool| {
        out.push(Order { program, arguments, matters });
    };
    let below = |folder: &str| changes.iter().filter(move |c| c.path.starts_with(folder)).collect::<Vec<_>>();
    let absolute = |all: &[&Change], made: bool| -> Vec<String> {
        let some = all.iter().filter(|c| c.new.is_some() == made);
        some.map(|c| if made { format!("/{}", c.path) } else { old.join(&c.path).display().to_string() }).collect()
    };
    if !absolute(&below("usr/lib/sysusers.d/"), true).is_empty() {
        order("systemd-sysusers", Vec::new(), true);
    }
    if host.has("selinux") {
        selinux(changes, &mut order);
    }
    let tmpfiles = absolute(&below("usr/lib/tmpfiles.d/"), true);
    if !tmpfiles.is_empty() {
        // What is not there yet is prepared before the start.
        order("systemd-tmpfiles", [words(&["--create"]), tmpfiles].concat(), false);
    }
    let rules = below("usr/lib/udev/rules.d/");
    if !rules.is_empty() {
        order("udevadm", words(&["control", "--reload"]), true);
        order("udevadm", words(&TRIGGER), true);
        for account in accounts_without_rules(&rules, old) {
            let give =
                ["/dev", "-xdev", "-user", &account, "!", "-type", "l", "-exec", "chown", "-h", "root", "{}", "+"];
            order("find", words(&give), false);
        }
    }
    if !below("usr/lib/systemd/network/").is_empty() {
        // Where networkd does not run yet, the first machine starts it.
        order("networkctl", words(&["reload"]), false);
    }
    if host.has("apparmor") {
        let profiles: Vec<&Change> =
            below("etc/apparmor.d/libvirt/").into_iter().filter(|c| !c.path.ends_with(".files")).collect();
        // A profile that went includes the list of its files, which lies where it does now.
        let includes = old.join("etc/apparmor.d").display().to_string();
        for (made, options) in [(false, ["--Include", &includes, "--remove"].as_slice()), (true, &["--replace"])] {
            let files = absolute(&profiles, made);
            if !files.is_empty() {
                order("apparmor_parser", [words(options), files].concat(), made);
            }
        }
    }
    order("systemctl", words(&["daemon-reload"]), true);
    // A disk may go from one to another: nothing starts before everything has stopped.
    let start = [duties.restart.clone(), duties.start.clone()].concat();
    for (verb, units) in [("stop", &duties.restart), ("start", &start)] {
        if !units.is_empty() {
            order("systemctl", [words(&[verb, "--"]), units.clone()].concat(), true);
        }
    }
    for bridge in bridges_without_network(&below("usr/lib/systemd/network/"), old) {
        // networkd leaves what it has made. A guest that still is in it keeps it until the host starts anew.
        let ports = format!("/sys/class/net/{bridge}/brif");
        let away = ["-maxdepth", "0", "-empty", "-exec", "ip", "link", "delete", "dev", &bridge, "type", "bridge", ";"];
        order("find", [vec![ports], words(&away)].concat(), false);
    }
    out
}

/// The bridges of networks that went, by the files that declared them.
fn bridges_without_network(networks: &[&Change], old: &Path) -> Vec<String> {
    let gone = networks.iter().filter(|c| c.new.is_none() && c.path.ends_with(".netdev"));
    gone.filter_map(|c| {
        let Some(Content::File { bytes, .. }) = super::transaction::content(&old.join(&c.path)) else { return None };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let name = text.lines().find_map(|line| line.strip_prefix("Name="))?.to_string();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        (name.bytes().all(plain) && !name.starts_with(['-', '.'])).then_some(name)
    })
    .collect()
}

fn selinux(changes: &[Change], order: &mut dyn FnMut(&'static str, Vec<String>, bool)) {
    let modules = |made: bool| {
        changes.iter().filter(move |c| c.path.ends_with(".cil") && c.new.is_some() == made).map(|c| c.path.as_str())
    };
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).trim_end_matches(".cil").to_string();
    let gone: Vec<String> = modules(false).map(name).collect();
    if !gone.is_empty() {
        order("semodule", [words(&["--remove"]), gone].concat(), false);
    }
    let made: Vec<String> = modules(true).map(|path| format!("/{path}")).collect();
    if !made.is_empty() {
        order("semodule", [words(&["--install"]), made].concat(), true);
        // Folders that tmpfiles.d makes for machines have labels of machines.
        order("setsebool", words(&["-P", "systemd_tmpfiles_manage_all", "on"]), false);
    }
}

/// An owner stays when the rule that gave it is gone: the accounts whose rules went.
fn accounts_without_rules(rules: &[&Change], old: &Path) -> Vec<String> {
    let gone = rules.iter().filter(|c| c.new.is_none());
    gone.filter_map(|c| {
        let text = match super::transaction::content(&old.join(&c.path))? {
            Content::File { bytes, .. } => String::from_utf8_lossy(&bytes).into_owned(),
            Content::Link(_) => return None,
        };
        let (_, rest) = text.split_once("OWNER=\"")?;
        Some(rest.split_once('"')?.0.to_string()).filter(|name| !name.starts_with('-'))
    })
    .collect()
}

/// Tells the host what has changed. The commands that failed and matter.
pub fn reload(changes: &[Change], old: &Path, duties: &Duties, host: &mut dyn Host) -> Vec<String> {
    if !host.runs() {
        return Vec::new();
    }
    let orders = orders(changes, old, duties, host);
    let failed = |order: Order| {
        let done = host.tell(order.program, &order.arguments);
        (!done && order.matters).then(|| format!("{} {}", order.program, order.arguments.join(" ")))
    };
    orders.into_iter().filter_map(failed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Noted {
        told: Vec<String>,
    }

    impl Host for Noted {
        fn runs(&self) -> bool {
            true
        }
        fn tell(&mut self, program: &str, arguments: &[String]) -> bool {
            self.told.push(format!("{program} {}", arguments.join(" ")).trim_end().to_string());
            true
        }
        fn is_active(&self, _: &str) -> bool {
            true
        }
        fn has(&self, _: &str) -> bool {
            true
        }
        fn watch(&mut self, _: bool) {}
    }

    #[test]
    fn the_next_boot_finishes_what_was_interrupted() {
        let unit = watch("/usr/bin/virtc").expect("a unit");
        assert!(unit.contains("\nExecStart=/usr/bin/virtc deploy --recover\n"), "{unit}");
        assert_eq!(watch("/srv/a b/virtc"), None);
    }

    #[test]
    fn the_order_is_that_of_what_needs_what() {
        let change = |path: &str, made: bool| Change {
            path: path.to_string(),
            new: made.then(|| Content::File { bytes: Vec::new(), mode: 0o644 }),
        };
        let changes = [
            change("etc/apparmor.d/libvirt/libvirt-1", true),
            change("etc/apparmor.d/libvirt/libvirt-1.files", true),
            change("etc/apparmor.d/libvirt/libvirt-2", false),
            change("usr/lib/systemd/network/50-virtc-dmz.netdev", false),
            change("usr/lib/systemd/network/50-virtc-lan.netdev", true),
            change("usr/lib/systemd/system/virtc-a.service", true),
            change("usr/lib/sysusers.d/virtc-a.conf", true),
            change("usr/lib/tmpfiles.d/virtc-a.conf", true),
            change("usr/lib/udev/rules.d/90-virtc-a.rules", true),
            change("usr/share/virtc/a/selinux/virtc_1.cil", true),
            change("usr/share/virtc/b/selinux/virtc_2.cil", false),
        ];
        let old = tempfile::tempdir().unwrap();
        let networks = old.path().join("usr/lib/systemd/network");
        std::fs::create_dir_all(&networks).unwrap();
        std::fs::write(networks.join("50-virtc-dmz.netdev"), "[NetDev]\nName=vbdmz0\nKind=bridge\n").unwrap();
        let mut host = Noted { told: Vec::new() };
        let duties = Duties {
            start: vec!["virtc-a.service".into()],
            restart: vec!["virtc-c.service".into()],
            ..Duties::default()
        };
        assert!(reload(&changes, old.path(), &duties, &mut host).is_empty());
        let trigger = format!("udevadm {}", TRIGGER.join(" "));
        let expected = [
            "systemd-sysusers",
            "semodule --remove virtc_2",
            "semodule --install /usr/share/virtc/a/selinux/virtc_1.cil",
            "setsebool -P systemd_tmpfiles_manage_all on",
            "systemd-tmpfiles --create /usr/lib/tmpfiles.d/virtc-a.conf",
            "udevadm control --reload",
            &trigger,
            "networkctl reload",
            &format!(
                "apparmor_parser --Include {0}/etc/apparmor.d --remove {0}/etc/apparmor.d/libvirt/libvirt-2",
                old.path().display()
            ),
            "apparmor_parser --replace /etc/apparmor.d/libvirt/libvirt-1",
            "systemctl daemon-reload",
            "systemctl stop -- virtc-c.service",
            "systemctl start -- virtc-c.service virtc-a.service",
            "find /sys/class/net/vbdmz0/brif -maxdepth 0 -empty -exec ip link delete dev vbdmz0 type bridge ;",
        ];
        assert_eq!(host.told, expected);
    }
}
