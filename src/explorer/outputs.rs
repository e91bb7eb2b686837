//! What came of a domain, sorted as a reader looks for it.

use super::origins::Origins;
use super::text::{of_artifact, parts};
use super::{Tab, Text, normalised};
use crate::diag::Diagnostics;
use crate::domain::Domain;
use crate::emit::{self, Artifact, Extras, Templates, Traced, argv};
use crate::plan::{Access, Perms, Plan, Sharing};
use crate::xml::Document;

/// The kinds of files: id, title, what they are, and whether a path is of the kind.
type Kind = (&'static str, &'static str, &'static str, fn(&str) -> bool);

const KINDS: [Kind; 4] = [
    (
        "units",
        "Units",
        "What systemd, udev and tmpfiles are told: it starts, confines and stops the machine.",
        |path| path.starts_with("usr/lib/"),
    ),
    ("apparmor", "AppArmor", "What the processes may open where AppArmor is the security module.", |path| {
        path.starts_with("etc/apparmor.d/")
    }),
    ("selinux", "SELinux", "How files are labelled where SELinux is the security module.", |path| {
        path.contains("/selinux/")
    }),
    ("cgroup", "cgroup", "The limits as the kernel takes them, for who starts the machine without systemd.", |path| {
        path.contains("/cgroup/")
    }),
];

/// All outputs. What cannot be expressed is added to `diags`.
pub fn tabs(
    plan: &Plan,
    domain: &Domain,
    doc: &Document<'_>,
    templates: &Templates,
    origins: &mut Origins,
    diags: &mut Diagnostics,
) -> Vec<Tab> {
    let mut tabs = vec![command_lines(plan, origins), grants(plan, origins)];
    let tree = emit::all(plan, &Extras::default(), templates, diags);
    for (id, title, about, belongs) in KINDS {
        let at = tabs.len();
        let files = tree.iter().filter(|file| belongs(&file.path) && !file.contents.is_empty());
        let texts = files.enumerate().map(|(i, file)| of_artifact(file.clone(), (at, i), origins));
        let texts = Vec::from_iter(texts);
        if !texts.is_empty() {
            tabs.push(Tab { id, title, about, texts });
        }
    }
    let about = "The domain with all defaults and addresses. What is underlined was added.";
    let text = normalised::text(domain, doc, (tabs.len(), 0), origins);
    tabs.push(Tab { id: "xml", title: "Normalised", about, texts: vec![text] });
    tabs
}

/// The command line of each process, as a shell takes it.
fn command_lines(plan: &Plan, origins: &mut Origins) -> Tab {
    let text = |(at, process)| {
        let Traced { text, marks } = argv::traced(process);
        let parts = parts(&text, marks, (0, at), origins);
        Text { name: process.id.clone(), text, parts, added: Vec::new() }
    };
    let texts = plan.processes.iter().enumerate().map(text).collect();
    let about = "What is started: QEMU and its helpers, one argument a line.";
    Tab { id: "argv", title: "Command", about, texts }
}

/// What each process may do with which path: the table that all security modules are written from.
fn grants(plan: &Plan, origins: &mut Origins) -> Tab {
    let mut texts = Vec::new();
    for process in &plan.processes {
        let own = Vec::from_iter(plan.access.iter().filter(|a| a.process == process.id));
        let width = own.iter().map(|a| a.path.chars().count()).max().unwrap_or(0).min(72);
        let mut table = Traced::default();
        for access in own {
            let shared = shared(access);
            table.push(&format!("{:<14}{:<width$}  {shared}", rights(access.perms), access.path), &access.cause);
            table.push_str("\n");
        }
        let artifact = Artifact::traced(process.id.as_str(), table);
        let text = of_artifact(artifact, (1, texts.len()), origins);
        texts.push(Text { name: format!("{} may", process.id), ..text });
    }
    let about = "Every path that a process touches. The rules of all security modules follow from this table.";
    Tab { id: "grants", title: "Access", about, texts }
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
