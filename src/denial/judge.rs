//! A denial held against a Plan: who asked for it, or that nobody did, and what helps.

use super::{Denial, Module, Object, verbs};
use crate::emit::selinux::context_of;
use crate::plan::{Access, Cause, PathKind, Perms, Plan, Role, SocketRole};

/// What kind of answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing in the domain asks for it.
    Unasked,
    /// The domain asks for the thing, but for less.
    TooLittle,
    /// The domain asks for it, by another path than the module saw.
    OtherPath,
    /// What virtc makes grants it: something older is in force.
    Granted,
    /// The file does not have the label that it is to have.
    Label,
    /// The labels are right; the policy of the host lacks a rule, or a boolean is off.
    Policy,
}

impl Verdict {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Unasked => "unasked",
            Verdict::TooLittle => "too-little",
            Verdict::OtherPath => "other-path",
            Verdict::Granted => "granted",
            Verdict::Label => "label",
            Verdict::Policy => "policy",
        }
    }
}

/// The answer to one denial.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What kind of answer.
    pub verdict: Verdict,
    /// What in the domain it concerns; none when nothing asks for it.
    pub cause: Option<Cause>,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// What the host says about the files of a domain.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// A path of the domain, and where its links lead.
    pub links: Vec<(String, String)>,
    /// An image of the domain, and a file that its header names.
    pub backing: Vec<(String, String)>,
}

/// The process of a domain that a denial is about, by its id; none if it is of another domain.
pub fn belongs_to<'a>(denial: &Denial, plan: &'a Plan) -> Option<&'a str> {
    let by_name = || {
        let comm = denial.comm.as_deref()?;
        let process = plan.processes.iter().find(|p| {
            let program = p.program.rsplit('/').next().unwrap_or_default();
            // The kernel keeps 15 bytes of a name.
            program == comm || (comm.len() == 15 && program.starts_with(comm))
        })?;
        Some(process.id.as_str())
    };
    let qemu = || plan.qemu().map(|q| q.id.as_str());
    match denial.module {
        Module::Apparmor => {
            let profile = plan.confinement.apparmor.as_ref()?.profile.as_str();
            if let Object::Confinement(name) = &denial.object
                && name.split("//").next() == Some(profile)
            {
                return qemu();
            }
            match denial.subject.strip_prefix(profile)? {
                "" => qemu(),
                rest => {
                    let helper = rest.strip_prefix("//")?;
                    plan.processes.iter().find(|p| p.id == helper).map(|p| p.id.as_str()).or_else(qemu)
                }
            }
        }
        Module::Selinux => {
            let own = plan.confinement.selinux.as_ref()?.process.as_str();
            // The pair of categories is the domain's own, whatever type a helper has.
            let range = |context: &str| context.splitn(4, ':').nth(3).map(str::to_string);
            let same = range(own).is_some_and(|r| r.contains(':') && Some(r) == range(&denial.subject));
            (own == denial.subject || same).then(|| by_name().or_else(qemu)).flatten()
        }
    }
}

/// What a denial of a process of the domain means.
pub fn judge(denial: &Denial, plan: &Plan, process: &str, hints: &Hints) -> Finding {
    match &denial.object {
        Object::File { path, asked, label } => file(denial, plan, process, path, *asked, label.as_deref(), hints),
        Object::Capability(name) => capability(plan, process, name),
        Object::Network(what) => unasked(
            format!("{process} wanted a network socket ({what}), and nothing in the domain uses the network that way"),
            "if it is meant, give the domain the display, character device or network disk that needs it",
        ),
        Object::Process(peer) => unasked(
            format!("{process} wanted to reach the process confined as '{peer}' ({})", denial.operation),
            "a guest has no business with other processes: look at what it does",
        ),
        Object::Own(right) => own_right(plan, right),
        Object::Confinement(name) => Finding {
            verdict: Verdict::Granted,
            cause: plan.confinement.apparmor.as_ref().map(|a| a.cause.clone()),
            message: format!(
                "the process could not enter the profile '{name}': it is not loaded, or not under this name"
            ),
            help: format!("apparmor_parser --replace /etc/apparmor.d/libvirt/{name}"),
        },
        Object::Other(what) => unasked(
            format!("{process} was refused '{what}', which no domain of virtc asks for"),
            "if it is meant, add a rule to the local part of the profile or policy",
        ),
    }
}

fn unasked(message: String, help: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Unasked, cause: None, message, help: help.into() }
}

/// What one entry of the Plan grants to a path; none if it is about another.
fn covers(access: &Access, path: &str) -> Option<Perms> {
    covers_as(access, &access.path, path).or_else(|| covers_as(access, access.resolved.as_deref()?, path))
}

/// The same, with the entry's path under one of its names.
fn covers_as(access: &Access, own: &str, path: &str) -> Option<Perms> {
    let look = Perms { lock: false, ..Perms::READ };
    let folder = own.trim_end_matches('/');
    let itself = path == own || path.trim_end_matches('/') == folder;
    let below = path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1);
    match access.kind {
        PathKind::Tree | PathKind::Files if itself => Some(look),
        PathKind::Tree if below => Some(access.perms),
        PathKind::Files if below && path.rsplit_once('/').is_some_and(|(parent, _)| parent == folder) => {
            Some(access.perms)
        }
        PathKind::Directory if itself => Some(look),
        PathKind::Pipe if itself || path.strip_prefix(folder).is_some_and(|end| end == ".in" || end == ".out") => {
            Some(access.perms)
        }
        _ if itself => Some(access.perms),
        _ => None,
    }
}

/// Everything that one process is granted at a path: what, and the first reason.
fn granted<'a>(plan: &'a Plan, process: Option<&str>, path: &str) -> Option<(Perms, &'a Cause, Option<&'a Access>)> {
    let mut found: Option<(Perms, &Cause, Option<&Access>)> = None;
    let mut add = |perms: Perms, cause, access| {
        let (all, first, of) = found.unwrap_or((Perms::default(), cause, access));
        found = Some((all.union(perms), first, of.or(access)));
    };
    for access in plan.access.iter().filter(|a| process.is_none_or(|p| a.process == p)) {
        if let Some(perms) = covers(access, path) {
            add(perms, &access.cause, Some(access));
        }
    }
    for socket in plan.sockets.iter().filter(|s| s.path == path) {
        let qemu = process.is_none_or(|p| plan.qemu().is_some_and(|q| q.id == p));
        if process.is_none_or(|p| socket.process == p) || (socket.role == SocketRole::Helper && qemu) {
            add(Perms { lock: false, ..Perms::READ_WRITE }, &socket.cause, None);
        }
    }
    found
}

/// What is asked and not granted.
fn missing(asked: Perms, granted: Perms) -> Perms {
    Perms {
        read: asked.read && !granted.read,
        write: asked.write && !granted.write,
        append: asked.append && !granted.append && !granted.write,
        lock: asked.lock && !granted.lock,
        map: asked.map && !granted.map,
        execute: asked.execute && !granted.execute,
        link: asked.link && !granted.link,
    }
}

/// `disk vda (line 12)`
pub(crate) fn named(cause: &Cause) -> String {
    let what = if cause.what.is_empty() { "the domain" } else { cause.what.as_ref() };
    if cause.line > 0 { format!("{what} (line {})", cause.line) } else { what.to_string() }
}

fn file(
    denial: &Denial,
    plan: &Plan,
    process: &str,
    path: &str,
    asked: Perms,
    label: Option<&str>,
    hints: &Hints,
) -> Finding {
    // SELinux confines all processes of a domain alike.
    let who = (denial.module == Module::Apparmor).then_some(process);
    let Some((perms, cause, access)) = granted(plan, who, path) else {
        return elsewhere(denial, plan, process, path, asked, label, hints);
    };
    let lacks = missing(asked, perms);
    if lacks != Perms::default() {
        let message = format!(
            "{process} wanted to {} '{path}', and {} only lets it {}",
            verbs(lacks),
            named(cause),
            verbs(perms)
        );
        let help = if lacks.write {
            "if the guest is to write it, drop <readonly/> (or readonly='yes') there; programs that first try to write and \
             then read do no harm"
        } else {
            "virtc grants what QEMU is known to need: if the guest fails for it, add a rule to the local part and report it"
        };
        return Finding { verdict: Verdict::TooLittle, cause: Some(cause.clone()), message, help: help.to_string() };
    }
    match denial.module {
        Module::Apparmor => Finding {
            verdict: Verdict::Granted,
            cause: Some(cause.clone()),
            message: format!(
                "{} asks for '{path}', and the profile that virtc makes lets {process} {} it: another one is loaded",
                named(cause),
                verbs(asked)
            ),
            help: format!(
                "build and deploy again, then apparmor_parser --replace /etc/apparmor.d/libvirt/{}",
                denial.subject.split("//").next().unwrap_or_default()
            ),
        },
        Module::Selinux => labelled(plan, path, cause, access, label.unwrap_or_default()),
    }
}

/// Right path, right permissions: the label of the file, or the policy.
fn labelled(plan: &Plan, path: &str, cause: &Cause, access: Option<&Access>, label: &str) -> Finding {
    let selinux = plan.confinement.selinux.as_ref();
    let wanted = selinux.filter(|s| s.relabel).zip(access).and_then(|(s, a)| context_of(s, a));
    let cause_of = Some(cause.clone());
    if let Some(boolean) = file_system_boolean(label) {
        return Finding {
            verdict: Verdict::Policy,
            cause: cause_of,
            message: format!("{}: '{path}' lies on a file system without labels of its own ('{label}')", named(cause)),
            help: format!("setsebool -P {boolean} on; or mount it with context=\"{}\"", wanted.unwrap_or("…")),
        };
    }
    match wanted {
        Some(wanted) if wanted != label => Finding {
            verdict: Verdict::Label,
            cause: cause_of,
            message: format!("{}: '{path}' has the label '{label}' and is to have '{wanted}'", named(cause)),
            help: format!("start the machine by its unit, which labels the file; or chcon '{wanted}' '{path}'"),
        },
        Some(_) => Finding {
            verdict: Verdict::Policy,
            cause: cause_of,
            message: format!(
                "{}: '{path}' has the right label ('{label}'), and the policy of the host has no rule for it",
                named(cause)
            ),
            help: policy_help(plan),
        },
        None => Finding {
            verdict: Verdict::Label,
            cause: cause_of,
            message: format!(
                "{}: virtc leaves the label of '{path}' alone, and '{label}' is not open to guests",
                named(cause)
            ),
            help: match selinux.filter(|s| !s.relabel) {
                Some(s) => format!("the <seclabel> says relabel='no': give it the label '{}' by hand", s.image),
                None => format!(
                    "give it a label by hand (semanage fcontext), or add <seclabel model='selinux'> with a <label> to its source; {}",
                    policy_help(plan)
                ),
            },
        },
    }
}

/// The boolean that opens file systems without labels.
fn file_system_boolean(label: &str) -> Option<&'static str> {
    Some(match label.split(':').nth(2)? {
        "nfs_t" => "virt_use_nfs",
        "cifs_t" => "virt_use_samba",
        "fusefs_t" => "virt_use_fusefs",
        _ => return None,
    })
}

fn policy_help(plan: &Plan) -> String {
    let short: String = plan.uuid.chars().filter(char::is_ascii_hexdigit).collect();
    format!(
        "install the module of the tree (semodule -i virtc_{short}.cil) and look into its selinux/booleans for what is off"
    )
}

/// The path is nothing that the domain names: a link, a backing file, another process's, or nobody's.
fn elsewhere(
    denial: &Denial,
    plan: &Plan,
    process: &str,
    path: &str,
    asked: Perms,
    label: Option<&str>,
    hints: &Hints,
) -> Finding {
    let of = |own: &str| plan.access.iter().find(|a| a.path == own);
    if let Some(access) = hints.links.iter().find(|(_, to)| to == path).and_then(|(from, _)| of(from)) {
        return Finding {
            verdict: Verdict::OtherPath,
            cause: Some(access.cause.clone()),
            message: format!(
                "{} names '{}', which leads to '{path}': modules see the latter",
                named(&access.cause),
                access.path
            ),
            help: format!(
                "build with --probe-backing on the host, or add link \"{}\" to=\"{path}\" to the host facts",
                access.path
            ),
        };
    }
    if let Some(access) = hints.backing.iter().find(|(_, to)| to == path).and_then(|(from, _)| of(from)) {
        return Finding {
            verdict: Verdict::OtherPath,
            cause: Some(access.cause.clone()),
            message: format!(
                "'{path}' stands in the header of '{}' ({}), not in the XML",
                access.path,
                named(&access.cause)
            ),
            help:
                "name it in a <backingStore>, or build with --probe-backing on the host if all headers can be trusted"
                    .to_string(),
        };
    }
    // SELinux often knows the last component only.
    if !path.contains('/')
        && !path.is_empty()
        && let Some(access) = plan.access.iter().find(|a| a.path.rsplit('/').next() == Some(path))
    {
        return match label {
            Some(label) => labelled(plan, &access.path, &access.cause, Some(access), label),
            None => Finding {
                verdict: Verdict::Granted,
                cause: Some(access.cause.clone()),
                message: format!("'{path}' may be '{}' ({})", access.path, named(&access.cause)),
                help: "look for the PATH record of the same event".to_string(),
            },
        };
    }
    if let Some((_, cause, _)) = granted(plan, None, path) {
        return Finding {
            verdict: Verdict::Unasked,
            cause: Some(cause.clone()),
            message: format!("'{path}' is for another process of the domain than {process}: {}", named(cause)),
            help: "each process may only use what is its own".to_string(),
        };
    }
    if plan.qemu().is_some_and(|q| q.id == process)
        && let Some(access) = above(plan, path, asked)
    {
        return Finding {
            verdict: Verdict::Unasked,
            cause: Some(access.cause.clone()),
            message: format!(
                "{process} wanted to {} '{path}'; the domain only asks for '{}' there ({})",
                verbs(asked),
                access.path,
                named(&access.cause)
            ),
            help: format!(
                "if it is a backing file or data file of it, name it in a <backingStore>; {}",
                by_hand(denial)
            ),
        };
    }
    unasked(
        format!("{process} wanted to {} '{path}', and nothing in the domain asks for it", verbs(asked)),
        format!("if the guest is to have it, add the device that uses it; {}", by_hand(denial)),
    )
}

/// An image in the same folder: the path may be a part of its chain.
fn above<'a>(plan: &'a Plan, path: &str, asked: Perms) -> Option<&'a Access> {
    let (folder, _) = path.rsplit_once('/')?;
    let neighbour = |a: &&Access| {
        a.kind == PathKind::File
            && a.cause.what.starts_with("disk")
            && a.path.rsplit_once('/').is_some_and(|(f, _)| f == folder && !f.is_empty())
    };
    plan.access.iter().find(neighbour).filter(|_| asked.read && !asked.execute)
}

fn by_hand(denial: &Denial) -> String {
    match denial.module {
        Module::Apparmor => {
            let profile = denial.subject.split("//").next().unwrap_or_default();
            format!("rules of your own go into /etc/apparmor.d/local/{profile}")
        }
        Module::Selinux => "what the host's policy is to allow beyond that goes into a module of your own".to_string(),
    }
}

fn capability(plan: &Plan, process: &str, name: &str) -> Finding {
    let full = format!("CAP_{}", name.to_ascii_uppercase());
    let found = plan.processes.iter().find(|p| p.id == process && p.capabilities.iter().any(|c| *c == full));
    match found {
        Some(found) => Finding {
            verdict: Verdict::Granted,
            cause: Some(found.cause.clone()),
            message: format!("{} needs {full}, and what virtc makes leaves it to {process}", named(&found.cause)),
            help: "build and deploy again, and restart the machine".to_string(),
        },
        None => unasked(
            format!("{process} tried to use {full}, which no device of the domain needs"),
            "QEMU and its libraries try some at every start, without harm; rawio='yes' and the like ask for the rest",
        ),
    }
}

fn own_right(plan: &Plan, right: &str) -> Finding {
    let cause = plan.confinement.selinux.as_ref().map(|s| s.cause.clone());
    let emulated = plan.accelerator == crate::plan::Accelerator::Tcg;
    if right.contains("execmem") && emulated {
        return Finding {
            verdict: Verdict::Policy,
            cause: plan.processes.iter().find(|p| p.role == Role::Qemu).map(|p| p.cause.clone()),
            message: "QEMU's own emulation writes code and runs it, and the type of the process may not".to_string(),
            help: format!("setsebool -P virt_use_execmem on; or {}", policy_help(plan)),
        };
    }
    Finding {
        verdict: Verdict::Policy,
        cause,
        message: format!("the policy of the host does not let the processes of a guest {right}"),
        help: policy_help(plan),
    }
}
