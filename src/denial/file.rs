//! A denial that is about a file.

use super::finding::{Finding, Hints, Verdict, policy_help, unasked};
use super::{Denial, Module, verbs};
use crate::emit::selinux::{boolean_of_type, context_of};
use crate::plan::{Access, Cause, PathKind, Perms, Plan, SocketRole, Use};

/// A process that asked for a file, and what is known about it.
pub(super) struct FileDenial<'a> {
    pub denial: &'a Denial,
    pub plan: &'a Plan,
    /// The process, by its id.
    pub process: &'a str,
    /// The file; for SELinux sometimes only the last component of its path.
    pub path: &'a str,
    pub asked: Perms,
    /// The file's label (SELinux).
    pub label: Option<&'a str>,
    pub hints: &'a Hints,
}

/// What a Plan says about a path: what may be done, the first reason, and the entry, if it is one for files.
type Granted<'a> = (Perms, &'a Cause, Option<&'a Access>);

impl<'a> FileDenial<'a> {
    pub fn judge(&self) -> Finding {
        // SELinux confines all processes of a domain alike.
        let who = (self.denial.module == Module::Apparmor).then_some(self.process);
        let Some((perms, cause, access)) = self.granted(who) else {
            return self.elsewhere();
        };
        let lacks = missing(self.asked, perms);
        if lacks != Perms::default() {
            return self.too_little(lacks, perms, cause);
        }
        match self.denial.module {
            Module::Apparmor => Finding {
                verdict: Verdict::Granted,
                cause: Some(cause.clone()),
                message: format!(
                    "{cause} asks for '{}', and the profile that virtc makes lets {} {} it: another one is loaded",
                    self.path,
                    self.process,
                    verbs(self.asked)
                ),
                help: format!(
                    "build and deploy again, then apparmor_parser --replace /etc/apparmor.d/libvirt/{}",
                    self.denial.profile()
                ),
            },
            Module::Selinux => self.labelled(self.path, cause, access),
        }
    }

    /// Everything that one process, or any, is granted at the path.
    fn granted(&self, process: Option<&str>) -> Option<Granted<'a>> {
        let mut found: Option<Granted<'a>> = None;
        let mut add = |perms: Perms, cause, access| {
            let (all, first, of) = found.unwrap_or((Perms::default(), cause, access));
            found = Some((all.union(perms), first, of.or(access)));
        };
        for access in self.plan.access.iter().filter(|a| process.is_none_or(|p| a.process == p)) {
            if let Some(perms) = covers(access, self.path) {
                add(perms, &access.cause, Some(access));
            }
        }
        for socket in self.plan.sockets.iter().filter(|s| s.path == self.path) {
            let qemu = process.is_none_or(|p| self.plan.qemu().is_some_and(|q| q.id == p));
            if process.is_none_or(|p| socket.process == p) || (socket.role == SocketRole::Helper && qemu) {
                add(Perms { lock: false, ..Perms::READ_WRITE }, &socket.cause, None);
            }
        }
        found
    }

    /// The domain asks for the file, but for less.
    fn too_little(&self, lacks: Perms, granted: Perms, cause: &Cause) -> Finding {
        let help = if lacks.write {
            "if the guest is to write it, drop <readonly/> (or readonly='yes') there; programs that first try to write and \
             then read do no harm"
        } else {
            "virtc grants what QEMU is known to need: if the guest fails for it, add a rule to the local part and report it"
        };
        let (process, path, wanted) = (self.process, self.path, verbs(lacks));
        Finding {
            verdict: Verdict::TooLittle,
            cause: Some(cause.clone()),
            message: format!("{process} wanted to {wanted} '{path}', and {cause} only lets it {}", verbs(granted)),
            help: help.to_string(),
        }
    }

    /// Right path, right permissions: the label of the file, or the policy.
    fn labelled(&self, path: &str, cause: &Cause, access: Option<&Access>) -> Finding {
        let label = self.label.unwrap_or_default();
        let selinux = self.plan.confinement.selinux.as_ref();
        let wanted = selinux.filter(|s| s.relabel).zip(access).and_then(|(s, a)| context_of(s, a));
        let boolean = label.split(':').nth(2).and_then(boolean_of_type);
        let (verdict, message, help) = match (boolean, wanted) {
            (Some(boolean), _) => (
                Verdict::Policy,
                format!("{cause}: '{path}' lies on a file system without labels of its own ('{label}')"),
                format!("setsebool -P {boolean} on; or mount it with context=\"{}\"", wanted.unwrap_or("…")),
            ),
            (None, Some(wanted)) if wanted != label => (
                Verdict::Label,
                format!("{cause}: '{path}' has the label '{label}' and is to have '{wanted}'"),
                format!("start the machine by its unit, which labels the file; or chcon '{wanted}' '{path}'"),
            ),
            (None, Some(_)) => (
                Verdict::Policy,
                format!(
                    "{cause}: '{path}' has the right label ('{label}'), and the policy of the host has no rule for it"
                ),
                policy_help(self.plan),
            ),
            (None, None) => (
                Verdict::Label,
                format!("{cause}: virtc leaves the label of '{path}' alone, and '{label}' is not open to guests"),
                match selinux.filter(|s| !s.relabel) {
                    Some(s) => format!("the <seclabel> says relabel='no': give it the label '{}' by hand", s.image),
                    None => format!(
                        "give it a label by hand (semanage fcontext), or add <seclabel model='selinux'> with a <label> to its source; {}",
                        policy_help(self.plan)
                    ),
                },
            ),
        };
        Finding { verdict, cause: Some(cause.clone()), message, help }
    }

    /// The path is nothing that the domain names for the process: a link, a backing file, another process's, or nobody's.
    fn elsewhere(&self) -> Finding {
        self.hinted()
            .or_else(|| self.last_component())
            .or_else(|| self.of_another_process())
            .or_else(|| self.beside_an_image())
            .unwrap_or_else(|| {
                let (process, path, asked) = (self.process, self.path, verbs(self.asked));
                unasked(
                    format!("{process} wanted to {asked} '{path}', and nothing in the domain asks for it"),
                    format!("if the guest is to have it, add the device that uses it; {}", self.by_hand()),
                )
            })
    }

    /// Where a link of the domain leads, or what the header of an image names.
    fn hinted(&self) -> Option<Finding> {
        let access_to = |hints: &[(String, String)]| {
            let (from, _) = hints.iter().find(|(_, to)| to == self.path)?;
            self.plan.access.iter().find(|a| a.path == *from)
        };
        let path = self.path;
        let (access, message, help) = if let Some(access) = access_to(&self.hints.links) {
            let (own, cause) = (&access.path, &access.cause);
            (
                access,
                format!("{cause} names '{own}', which leads to '{path}': modules see the latter"),
                format!(
                    "build with --probe-backing on the host, or add link \"{own}\" to=\"{path}\" to the host facts"
                ),
            )
        } else {
            let access = access_to(&self.hints.backing)?;
            (
                access,
                format!("'{path}' stands in the header of '{}' ({}), not in the XML", access.path, access.cause),
                "name it in a <backingStore>, or build with --probe-backing on the host if all headers can be trusted"
                    .to_string(),
            )
        };
        Some(Finding { verdict: Verdict::OtherPath, cause: Some(access.cause.clone()), message, help })
    }

    /// SELinux often knows the last component only.
    fn last_component(&self) -> Option<Finding> {
        let name = Some(self.path).filter(|p| !p.contains('/') && !p.is_empty())?;
        let access = self.plan.access.iter().find(|a| a.path.rsplit('/').next() == Some(name))?;
        Some(match self.label {
            Some(_) => self.labelled(&access.path, &access.cause, Some(access)),
            None => Finding {
                verdict: Verdict::Granted,
                cause: Some(access.cause.clone()),
                message: format!("'{name}' may be '{}' ({})", access.path, access.cause),
                help: "look for the PATH record of the same event".to_string(),
            },
        })
    }

    fn of_another_process(&self) -> Option<Finding> {
        let (_, cause, _) = self.granted(None)?;
        Some(Finding {
            verdict: Verdict::Unasked,
            cause: Some(cause.clone()),
            message: format!("'{}' is for another process of the domain than {}: {cause}", self.path, self.process),
            help: "each process may only use what is its own".to_string(),
        })
    }

    /// An image lies in the same folder: the file may be a part of its chain.
    fn beside_an_image(&self) -> Option<Finding> {
        if self.plan.qemu().is_none_or(|q| q.id != self.process) || !self.asked.read || self.asked.execute {
            return None;
        }
        let (folder, _) = self.path.rsplit_once('/').filter(|(folder, _)| !folder.is_empty())?;
        let access = self.plan.access.iter().find(|a| {
            a.kind == PathKind::File
                && a.usage == Use::Disk
                && a.path.rsplit_once('/').is_some_and(|(own, _)| own == folder)
        })?;
        let (process, path, asked) = (self.process, self.path, verbs(self.asked));
        let (own, cause) = (&access.path, &access.cause);
        Some(Finding {
            verdict: Verdict::Unasked,
            cause: Some(cause.clone()),
            message: format!("{process} wanted to {asked} '{path}'; the domain only asks for '{own}' there ({cause})"),
            help: format!(
                "if it is a backing file or data file of it, name it in a <backingStore>; {}",
                self.by_hand()
            ),
        })
    }

    /// What a person may add without virtc.
    fn by_hand(&self) -> String {
        match self.denial.module {
            Module::Apparmor => format!("rules of your own go into /etc/apparmor.d/local/{}", self.denial.profile()),
            Module::Selinux => {
                "what the host's policy is to allow beyond that goes into a module of your own".to_string()
            }
        }
    }
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
