//! tmpfiles.d: what has to be there before a machine starts, and who may do what with it. systemd-tmpfiles does it at boot
//! and before each start. It follows no link that another than root has made.
//!
//! A path is given in one of two ways, and never in both, because the mode of the first would close the access list of
//! the second: what is the machine's alone and lies in a folder of root's becomes its account's (`z`); anything else, and
//! what is only read, keeps its owner and gets an entry in its access list (`a+`).

mod homes;

use super::artifact::Artifact;
use super::fit::Fitter;
use super::names::Names;
use super::selinux;
use super::template::{Fields, Templates};
use crate::diag::Diagnostics;
use crate::escape::{AccountName, Escaped, TmpfilesLine, TmpfilesPath, TmpfilesPattern, TmpfilesSource, UnitText};
use crate::plan::{
    Access, Cause, Directory, DirectoryRole, Instance, NewFile, OwnerRule, PathKind, Plan, Role, Sharing,
};
use crate::vocab::nodes::is_node;
use std::collections::BTreeSet;

/// The path of the file.
pub fn path(names: &Names) -> String {
    format!("usr/lib/tmpfiles.d/{}.conf", names.stem)
}

/// Whether a machine has anything to prepare.
pub fn is_needed(plan: &Plan) -> bool {
    let mut none = Diagnostics::new();
    plan.instance == Instance::System && !Writer::new(plan, &mut none).write().is_empty()
}

/// The file; none when there is nothing to prepare.
pub fn emit(plan: &Plan, names: &Names, templates: &Templates, diags: &mut Diagnostics) -> Option<Artifact> {
    if plan.instance != Instance::System {
        return None;
    }
    let lines = Writer::new(plan, diags).write();
    if lines.is_empty() {
        return None;
    }
    let mut fields = Fields::new();
    fields.maybe::<UnitText>("title", Fitter::new(diags).fit(&plan.name, &Cause::default()));
    let mut before: Option<Cause> = None;
    let records = lines.into_iter().map(|(cause, line)| {
        let mut record = Fields::new();
        // Lines of one cause are under one comment.
        let new = before.as_ref() != Some(&cause);
        record.maybe::<UnitText>("why", new.then(|| Escaped::new(&cause.to_string()).ok()).flatten());
        record.traced("line", line, &[&cause]);
        before = Some(cause);
        record
    });
    fields.list("lines", records.collect());
    Some(Artifact::traced(path(names), templates.render("tmpfiles", &fields, diags)))
}

/// The lines of a machine as text, without comments.
pub fn lines(plan: &Plan, diags: &mut Diagnostics) -> Vec<String> {
    Writer::new(plan, diags).write().into_iter().map(|(_, line)| format!("{line}\n")).collect()
}

/// Where only root puts files.
const OF_ROOT: &[&str] = &["/usr/share", "/usr/lib", "/nix/store", "/gnu/store"];

/// Whether a file is copied at the start by virtc's own helper: somebody else than root may have put links on the way to its
/// template, and systemd-tmpfiles would read what they lead to.
pub fn is_copied_at_start(file: &NewFile) -> bool {
    let of_root = |path: &str| {
        let plain = !path.split('/').any(|part| part == "..");
        plain && OF_ROOT.iter().any(|place| path.strip_prefix(place).is_some_and(|rest| rest.starts_with('/')))
    };
    file.template.as_deref().is_some_and(|template| !of_root(template))
}

type Line = Escaped<TmpfilesLine>;

struct Writer<'a, 'b> {
    plan: &'a Plan,
    fit: Fitter<'b>,
    user: &'a str,
    group: &'a str,
    lines: Vec<(Cause, Line)>,
    /// Folders that the account may search already.
    open: BTreeSet<String>,
}

impl<'a, 'b> Writer<'a, 'b> {
    fn new(plan: &'a Plan, diags: &'b mut Diagnostics) -> Writer<'a, 'b> {
        let user = plan.confinement.user.as_deref().unwrap_or("root");
        let group = plan.confinement.group.as_deref().unwrap_or(user);
        Writer { plan, fit: Fitter::new(diags), user, group, lines: Vec::new(), open: BTreeSet::new() }
    }

    fn write(mut self) -> Vec<(Cause, Line)> {
        let plan = self.plan;
        for directory in plan.directories.iter().filter(|d| is_made_here(plan, d)) {
            self.folder(&directory.path, directory.mode, &directory.cause);
        }
        for file in &plan.files {
            self.parents(&file.path, &file.cause);
            if let Some(template) = file.template.as_ref().filter(|_| !is_copied_at_start(file)) {
                self.copy(&file.path, template, &file.cause);
            }
        }
        for inherited in &plan.inherited {
            self.copy(&inherited.path, &inherited.from, &inherited.cause);
        }
        let mut seen = BTreeSet::new();
        for access in &plan.access {
            if is_of_machine(plan, access) && seen.insert(access.path.as_str()) {
                self.access(access);
            }
        }
        self.lines
    }

    fn push(&mut self, cause: &Cause, line: Option<Line>) {
        self.lines.extend(line.map(|line| (cause.clone(), line)));
    }

    fn account(&mut self, name: &str) -> Option<Line> {
        let name = self.fit.fit::<AccountName>(name, &Cause::default())?;
        Some(name.cast_line())
    }

    /// `MODE USER GROUP`
    fn owned(&mut self, mode: &str) -> Option<[Line; 3]> {
        let mode = self.fit.fit::<AccountName>(mode, &Cause::default())?.cast_line();
        Some([mode, self.account(self.user)?, self.account(self.group)?])
    }

    fn made(
        &mut self,
        kind: &'static str,
        path: &str,
        mode: &str,
        source: Option<&str>,
        cause: &Cause,
    ) -> Option<Line> {
        let target = self.fit.fit::<TmpfilesPath>(path, cause)?;
        let mut rest = Vec::from(self.owned(mode)?);
        if let Some(source) = source {
            rest.push(Escaped::literal("-"));
            rest.push(self.fit.fit::<TmpfilesSource>(source, cause)?.cast_line());
        }
        Some(Escaped::of(kind, target, rest))
    }

    fn folder(&mut self, path: &str, mode: u32, cause: &Cause) {
        let line = self.made("d", path, &format!("0{mode:o}"), None, cause);
        self.push(cause, line);
    }

    fn copy(&mut self, path: &str, template: &str, cause: &Cause) {
        let line = self.made("C", path, "0600", Some(template), cause);
        self.push(cause, line);
    }

    /// What one access needs.
    fn access(&mut self, access: &Access) {
        let labelled = self
            .plan
            .confinement
            .selinux
            .as_ref()
            .is_some_and(|s| s.relabel && selinux::context_of(s, access).is_some());
        let real = access.resolved.as_deref().unwrap_or(&access.path);
        if is_node(real) {
            return;
        }
        match &access.owner {
            OwnerRule::Keep if is_made_by_qemu(access) => self.empty(real, access),
            OwnerRule::Keep => self.parents(real, &access.cause),
            // What others use, too, is nobody's to own: an owner could change its permissions.
            OwnerRule::Explicit(owner) if access.sharing == Sharing::Exclusive => {
                self.parents(real, &access.cause);
                let line = self.given_to(owner, real, &access.cause);
                self.push(&access.cause, line);
            }
            OwnerRule::Domain { .. } | OwnerRule::Explicit(_) => {
                if is_made_by_qemu(access) {
                    self.empty(real, access);
                }
                self.domain(real, access);
            }
        }
        let made = self.plan.directories.iter().any(|d| d.path == real);
        if labelled && !made && access.kind != PathKind::Pipe {
            let line = self.fit.fit::<TmpfilesPattern>(real, &access.cause).map(|p| Escaped::of("z", p, []));
            self.push(&access.cause, line);
        }
    }

    /// A file that QEMU makes itself, but in whose folder it may not write.
    fn empty(&mut self, path: &str, access: &Access) {
        self.parents(path, &access.cause);
        let line = self.made("f", path, "0600", None, &access.cause);
        self.push(&access.cause, line);
    }

    /// What the account of the machine may use.
    fn domain(&mut self, path: &str, access: &Access) {
        let cause = &access.cause;
        let copied = self.plan.files.iter().any(|f| f.path == path && f.template.is_some());
        if copied || self.plan.directories.iter().any(|d| d.path == path) {
            return;
        }
        self.parents(path, cause);
        match access.kind {
            PathKind::Tree | PathKind::Files | PathKind::Directory if access.perms.write => {
                self.folder(path, 0o700, cause)
            }
            PathKind::Pipe => {
                for end in ["", ".in", ".out"] {
                    self.entry(&format!("{path}{end}"), access);
                }
            }
            PathKind::File if is_own(access) && homes::is_of_root(path) => {
                let owned = self.owned("0600");
                let pattern = self.fit.fit::<TmpfilesPattern>(path, cause);
                let line = owned.zip(pattern).map(|(owned, pattern)| Escaped::of("z", pattern, owned));
                self.push(cause, line);
            }
            _ => self.entry(path, access),
        }
    }

    /// An entry in the access list of a file. Its mask takes nothing from the group of the file.
    fn entry(&mut self, path: &str, access: &Access) {
        let permissions = if access.perms.write { "rw" } else { "r" };
        // What is one machine's alone is nobody else's, or the guest next door could read it.
        let mask = if is_own(access) { ",m::rw,o::---" } else { ",m::rw" };
        self.list(path, permissions, mask, &access.cause);
    }

    fn list(&mut self, path: &str, permissions: &'static str, mask: &'static str, cause: &Cause) {
        let account = self.fit.fit::<AccountName>(self.user, cause);
        let pattern = self.fit.fit::<TmpfilesPattern>(path, cause);
        let Some((account, pattern)) = account.zip(pattern) else { return };
        let nothing = ["-"; 4].map(Escaped::literal);
        let line = Escaped::of("a+", pattern, nothing.into_iter().chain([Escaped::entry(&account, permissions, mask)]));
        self.push(cause, Some(line));
    }

    /// The way to a file in somebody's home, which is closed to others.
    fn parents(&mut self, path: &str, cause: &Cause) {
        for (folder, mask) in homes::closed(path) {
            if self.open.insert(folder.clone()) {
                self.list(&folder, "x", mask, cause);
            }
        }
    }

    fn given_to(&mut self, owner: &str, path: &str, cause: &Cause) -> Option<Line> {
        let (user, group) = owner.split_once(':').unwrap_or((owner, owner));
        let (user, group) = (self.account(user)?, self.account(group)?);
        let pattern = self.fit.fit::<TmpfilesPattern>(path, cause)?;
        Some(Escaped::of("z", pattern, [Escaped::literal("-"), user, group]))
    }
}

/// Whether a directory is made here: systemd makes and removes the run-time folder of services that run as the account, but
/// one of root's helpers would take it.
fn is_made_here(plan: &Plan, directory: &Directory) -> bool {
    let of_root = || plan.processes.iter().any(|p| p.user.as_deref() == Some("root"));
    directory.role != DirectoryRole::Runtime || of_root()
}

/// Whether an access is to something that has to be given: not part of the system, not of a helper of root's, and nothing
/// that the machine makes in its run-time folder.
fn is_of_machine(plan: &Plan, access: &Access) -> bool {
    let root = plan
        .processes
        .iter()
        .any(|p| p.id == access.process && p.role != Role::Qemu && p.user.as_deref() == Some("root"));
    let own = plan.run_dir().is_some_and(|d| access.path.strip_prefix(&*d.path).is_some_and(|r| r.starts_with('/')));
    access.sharing != Sharing::System && !root && !own
}

/// Whether nobody else may use a file.
fn is_own(access: &Access) -> bool {
    access.perms.write && access.sharing == Sharing::Exclusive
}

/// The file behind a character device, a log.
fn is_made_by_qemu(access: &Access) -> bool {
    access.kind == PathKind::File && access.perms.write && !access.perms.lock
}
