//! `virtc explain`: what a diagnostic code means, or why something is in the outputs of a domain.

use super::inputs::{World, read};
use super::{Exit, Shared, complain, denial, print, show};
use crate::compile::Until;
use crate::denial::verbs;
use crate::diag::codes;
use crate::emit::argv::write_value_of;
use crate::emit::devices::{self, Device};
use crate::emit::selinux;
use crate::plan::{Access, Cause, OwnerRule, Plan, Sharing};
use crate::stage::quirks::QUIRKS;
use std::fmt::Write;
use std::path::{Path, PathBuf};

// Arguments of `virtc explain`.
#[derive(clap::Args)]
pub struct Args {
    /// A diagnostic code (VC0103), or a domain XML file or plan.json and a text that its lines are to hold;
    /// with --denial, all files that may be meant. Without one, all codes are listed
    #[arg(value_name = "SUBJECT")]
    words: Vec<String>,
    /// Only the grants of this path, each with its reason
    #[arg(long, value_name = "PATH", requires = "words")]
    path: Option<String>,
    /// A line of the audit log with a denial of AppArmor or SELinux, or `-` for many on standard input: what
    /// in the domain it concerns. Without a file: of the machines that are deployed on this host
    #[arg(long, value_name = "LINE", conflicts_with = "path", allow_hyphen_values = true)]
    denial: Option<String>,
    /// Write a page for a browser: the domain on one side, all that comes of it on the other, and what caused what. For
    /// several files, or folders of them, a folder with a page a machine and one of the fleet
    #[arg(long, value_name = "OUT", requires = "words", conflicts_with_all = ["path", "denial", "quirks"])]
    html: Option<PathBuf>,
    /// The table of what one libvirt or another does and a standalone machine does not
    #[arg(long, conflicts_with_all = ["words", "denial"])]
    quirks: bool,
}

impl Args {
    /// The first input.
    pub fn input(&self) -> Option<&Path> {
        self.words.first().map(Path::new).filter(|word| word.exists())
    }
}

/// Explains a code, or the outputs of a domain.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    if let Some(line) = &args.denial {
        let files: Vec<PathBuf> = args.words.iter().map(PathBuf::from).collect();
        return denial::run(&files, line, shared);
    }
    if args.quirks {
        return quirks();
    }
    if let Some(out) = &args.html {
        let files: Vec<PathBuf> = args.words.iter().map(PathBuf::from).collect();
        return super::page::run(&files, out, shared);
    }
    let (subject, pattern) = match args.words.as_slice() {
        [] => return list(),
        [subject] => (subject, ""),
        [subject, pattern] => (subject, pattern.as_str()),
        [_, _, more, ..] => {
            complain(&format!("explain takes a subject and one text to look for; what is '{more}'?"));
            return Exit::Usage;
        }
    };
    if let Some(code) = codes::find(subject) {
        return print(&super::paper::page(&format!("{} {}\n\n{}\n", code.id, code.name, code.explain), shared));
    }
    let file = Path::new(subject);
    if !file.exists() && subject != "-" {
        complain(&format!(
            "'{subject}' is neither a code (as VC0103), nor the name of one, nor a file; `virtc explain` lists all codes"
        ));
        return Exit::Usage;
    }
    let plan = match plan(file, shared) {
        Ok(plan) => plan,
        Err(exit) => return exit,
    };
    let mut out = String::new();
    match &args.path {
        Some(path) => explain_path(&plan, path, &mut out),
        None => explain_plan(&plan, pattern, &mut out),
    }
    if out.is_empty() {
        out.push_str("nothing asks for that\n");
    }
    show(&out)
}

fn list() -> Exit {
    let mut out = String::new();
    for (topic, all) in codes::TOPICS {
        let _ = writeln!(out, "{topic}");
        let mut all = all.to_vec();
        all.sort_by_key(|c| c.id);
        for c in all {
            let _ = writeln!(out, "  {}  {}", c.id, c.name);
        }
    }
    show(&out)
}

fn quirks() -> Exit {
    let mut out =
        String::from("What libvirt does with --target libvirt[@VERSION], and a standalone machine does not:\n\n");
    for row in QUIRKS {
        let bounds = [("since", row.since), ("until", row.until)];
        let bounds = bounds.iter().filter_map(|(word, release)| release.map(|r| format!(" {word} {r}")));
        let _ = writeln!(out, "{}{}\n    {}", row.name, bounds.collect::<String>(), row.why);
    }
    show(&out)
}

/// The Plan of a domain, or of a tree that was built.
pub(super) fn plan(file: &Path, shared: &Shared) -> Result<Plan, Exit> {
    let source = read(file)?;
    if source.bytes.trim_ascii_start().starts_with(b"{") {
        return Plan::read(&source.bytes).map_err(|e| {
            complain(&format!("{}: {e}", source.name));
            Exit::Input
        });
    }
    let (compiled, exit) = World::load(shared)?.compile(&source, Until::Planned);
    compiled.plan.ok_or(exit.and(Exit::Input))
}

/// Every argument, access, link, directory and socket whose line contains `pattern`.
fn explain_plan(plan: &Plan, pattern: &str, out: &mut String) {
    let section = |title: &str, lines: Vec<(String, &Cause)>, out: &mut String| {
        let lines: Vec<String> = lines
            .into_iter()
            .map(|(text, cause)| format!("  {text}\n      because of {cause}\n"))
            .filter(|line| line.contains(pattern))
            .collect();
        if !lines.is_empty() {
            let _ = writeln!(out, "{title}");
            out.extend(lines);
        }
    };
    for process in &plan.processes {
        let lines = process.args.iter().map(|arg| {
            let mut text = arg.switch.to_string();
            let mut value = String::new();
            if write_value_of(&mut value, arg) {
                text.push(' ');
                text.push_str(&value);
            }
            (text, &arg.cause)
        });
        section(&format!("arguments of {}", process.id), lines.collect(), out);
    }
    section("access", plan.access.iter().map(|a| (grant(a), &a.cause)).collect(), out);
    section("network", plan.links.iter().map(|l| (format!("{:?} {}", l.kind, l.name), &l.cause)).collect(), out);
    section("directories", plan.directories.iter().map(|d| (d.path.clone(), &d.cause)).collect(), out);
    section("sockets", plan.sockets.iter().map(|s| (s.path.clone(), &s.cause)).collect(), out);
}

/// Every grant of one path.
fn explain_path(plan: &Plan, path: &str, out: &mut String) {
    for access in plan.access.iter().filter(|a| covers(a, path)) {
        let _ = writeln!(out, "{}\n    because of {}", grant(access), access.cause);
        treatment(plan, access).iter().for_each(|line| {
            let _ = writeln!(out, "    {line}");
        });
    }
    for socket in plan.sockets.iter().filter(|s| s.path == path) {
        let _ = writeln!(out, "{} listens on {}\n    because of {}", socket.process, socket.path, socket.cause);
    }
}

fn covers(access: &Access, path: &str) -> bool {
    use crate::plan::PathKind;
    let below = || path.strip_prefix(access.path.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
    let inside = || path.rsplit_once('/').is_some_and(|(folder, _)| folder == access.path.trim_end_matches('/'));
    let names = access.path == path || access.resolved.as_deref() == Some(path);
    names
        || match access.kind {
            PathKind::Tree => below(),
            PathKind::Files => inside(),
            PathKind::Pipe => [".in", ".out"].iter().any(|end| path.strip_suffix(end) == Some(access.path.as_str())),
            _ => false,
        }
}

/// What else becomes of a path: who shares it, owner and label with what is given back, device rule.
fn treatment(plan: &Plan, access: &Access) -> Vec<String> {
    let back = |back: bool| if back { "given back at the end" } else { "kept at the end" };
    let mut lines = vec![
        match access.sharing {
            Sharing::Exclusive => "shared: with nobody",
            Sharing::Shared => "shared: other machines may write it too",
            Sharing::ReadOnly => "shared: other machines may read it too",
            Sharing::System => "shared: part of the system",
        }
        .to_string(),
    ];
    if let Some(real) = &access.resolved {
        lines.push(format!("leads to: {real}"));
    }
    let confinement = &plan.confinement;
    let user = confinement.user.as_deref().unwrap_or("the user who runs it");
    let account = confinement.group.as_deref().map_or(user.to_string(), |group| format!("{user}:{group}"));
    lines.push(match &access.owner {
        OwnerRule::Domain { restore } => format!("owner: {account}, {}", back(*restore)),
        OwnerRule::Explicit(owner) => format!("owner: {owner} by its own <seclabel>, {}", back(true)),
        OwnerRule::Keep => "owner: as it is".to_string(),
    });
    let label = confinement.selinux.as_ref().filter(|s| s.relabel).and_then(|s| selinux::context_of(s, access));
    lines.push(match label {
        Some(label) => format!("SELinux label: {label}, {}", back(access.restore_label)),
        None => "SELinux label: as it is".to_string(),
    });
    let process = plan.processes.iter().find(|p| p.id == access.process);
    let rules = process.map(|p| devices::rules(plan, p)).unwrap_or_default();
    let rule = rules.iter().find_map(|rule| match rule.device {
        Device::Known { path, .. } | Device::Path { path, .. } if path == access.path => Some((path, rule.perms)),
        Device::Class { name, .. } if rule.cause == access.cause => Some((name, rule.perms)),
        _ => None,
    });
    if let Some((device, perms)) = rule {
        lines.push(format!("device rule: {device} {perms}"));
    }
    lines
}

fn grant(access: &Access) -> String {
    format!(
        "{} may {} {} ({:?}, label {:?})",
        access.process,
        verbs(access.perms),
        access.path,
        access.sharing,
        access.label
    )
}
