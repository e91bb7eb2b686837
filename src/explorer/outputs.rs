//! What came of a domain, sorted as a reader looks for it.

use super::origins::Origins;
use super::text::{parts, whole_lines};
use super::{Tab, Text, locked, normalised};
use crate::diag::Diagnostics;
use crate::domain::Domain;
use crate::emit::{self, Extras, Mark, Templates, Traced, argv};
use crate::lock::Lock;
use crate::plan::{Access, Perms, Plan, Process, Sharing};
use crate::xml::Document;

/// The tabs of what comes of a Plan: word, title, what they show.
pub const TABS: [(&str, &str, &str); 6] = [
    ("argv", "Command", "What is started: QEMU and its helpers, one argument a line."),
    (
        "grants",
        "Access",
        "Every path that a process touches. The rules of all security modules follow from this table.",
    ),
    ("units", "Units", "What systemd, udev and tmpfiles are told: it starts, confines and stops the machine."),
    ("apparmor", "AppArmor", "What the processes may open where AppArmor is the security module."),
    ("selinux", "SELinux", "How files are labelled where SELinux is the security module."),
    ("cgroup", "cgroup", "The limits as the kernel takes them, for who starts the machine without systemd."),
];

/// A tab, and whether a path belongs behind it.
type Kind = (&'static str, fn(&str) -> bool);

const KINDS: [Kind; 4] = [
    ("units", |path| path.starts_with("usr/lib/")),
    ("apparmor", |path| path.starts_with("etc/apparmor.d/")),
    ("selinux", |path| path.contains("/selinux/")),
    ("cgroup", |path| path.contains("/cgroup/")),
];

/// What the outputs are made from.
pub struct Inputs<'a> {
    /// The Plan.
    pub plan: &'a Plan,
    /// The domain, resolved.
    pub domain: &'a Domain,
    /// What was chosen for it, where that was asked for.
    pub lock: Option<&'a Lock>,
    /// The source.
    pub doc: &'a Document<'a>,
}

/// All outputs. What cannot be expressed is added to `diags`.
pub fn tabs(from: &Inputs<'_>, templates: &Templates, origins: &mut Origins, diags: &mut Diagnostics) -> Vec<Tab> {
    let Inputs { plan, domain, lock, doc } = *from;
    let sheets = sheets(plan, templates, diags);
    let mut tabs: Vec<Tab> = Vec::new();
    for (id, title, about) in TABS {
        let at = tabs.len();
        let own = sheets.iter().filter(|sheet| sheet.tab == id);
        let texts = Vec::from_iter(own.enumerate().map(|(i, sheet)| {
            let parts = parts(&sheet.text, sheet.marks.clone(), (at, i), origins);
            Text { name: sheet.name.clone(), text: sheet.text.clone(), parts, added: Vec::new() }
        }));
        if !texts.is_empty() {
            tabs.push(Tab { id, title, about, texts });
        }
    }
    let about = "The domain with all defaults and addresses. What is underlined was added.";
    let text = normalised::text(domain, doc, (tabs.len(), 0), origins);
    tabs.push(Tab { id: "xml", title: "Normalised", about, texts: vec![text] });
    if let Some(lock) = lock {
        let about = "What was chosen for this machine and its guest can see. `virtc lock` keeps it, so that an edit or a new QEMU moves nothing.";
        let text = locked::text(lock, domain, doc, (tabs.len(), 0), origins);
        tabs.push(Tab { id: "lock", title: "Lock", about, texts: vec![text] });
    }
    tabs
}

/// An output of a Plan: what it is, and what caused what in it.
pub struct Sheet {
    /// The word of its tab.
    pub tab: &'static str,
    /// Where it goes on the host, or what it is.
    pub name: String,
    /// The text.
    pub text: String,
    /// What caused its parts.
    pub marks: Vec<Mark>,
}

/// Everything that comes of a Plan, in the order of the tabs. What cannot be expressed is added to `diags`.
pub fn sheets(plan: &Plan, templates: &Templates, diags: &mut Diagnostics) -> Vec<Sheet> {
    let mut all = Vec::from_iter(plan.processes.iter().map(command_line));
    all.extend(plan.processes.iter().map(|process| grants(plan, process)));
    let tree = emit::all(plan, &Extras::default(), templates, diags);
    for (tab, belongs) in KINDS {
        let files = tree.iter().filter(|file| belongs(&file.path) && !file.contents.is_empty());
        all.extend(files.map(|file| {
            let marks = whole_lines(&file.contents, file.marks.clone());
            Sheet { tab, name: format!("/{}", file.path), text: file.contents.clone(), marks }
        }));
    }
    all
}

/// The command line of a process, as a shell takes it.
fn command_line(process: &Process) -> Sheet {
    let Traced { text, marks } = argv::traced(process);
    Sheet { tab: "argv", name: process.id.clone(), text, marks }
}

/// What a process may do with which path: the table that all security modules are written from.
fn grants(plan: &Plan, process: &Process) -> Sheet {
    let own = Vec::from_iter(plan.access.iter().filter(|a| a.process == process.id));
    let width = own.iter().map(|a| a.path.chars().count()).max().unwrap_or(0).min(72);
    let mut table = Traced::default();
    for access in own {
        let shared = shared(access);
        table.push(&format!("{:<14}{:<width$}  {shared}", rights(access.perms), access.path), &access.cause);
        table.push_str("\n");
    }
    let marks = whole_lines(&table.text, table.marks);
    Sheet { tab: "grants", name: format!("{} may", process.id), text: table.text, marks }
}

fn rights(perms: Perms) -> String {
    let all = [
        (perms.read, "read"),
        (perms.write, "write"),
        (perms.append && !perms.write, "append"),
        (perms.execute, "execute"),
    ];
    all.iter().filter(|(has, _)| *has).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

fn shared(access: &Access) -> &'static str {
    match access.sharing {
        Sharing::Exclusive => "alone",
        Sharing::Shared => "others may write it, too",
        Sharing::ReadOnly => "others may read it, too",
        Sharing::System => "part of the system",
    }
}
