//! AppArmor: the profile of a domain, and its rules in a file of their own.
//!
//! The profile holds what every QEMU needs; the `.files` hold one rule for each access of the Plan.
//! Everything that no rule names is denied, so that there are no `deny` rules but for noise.

use super::artifact::Artifact;
use super::fit::Fitter;
use super::names::Names;
use super::systemd::credentials;
use super::template::{Fields, Templates};
use crate::diag::Diagnostics;
use crate::escape::{ApparmorName, ApparmorPath, ApparmorText, Escaped, Unfit, format::Apparmor};
use crate::plan::{Cause, Need, PathKind, Perms, Plan, Process, Role, SocketRole};
use std::collections::BTreeMap;

/// The profile and its rules; nothing when the XML names a profile of the host, or none.
pub fn emit(plan: &Plan, names: &Names, templates: &Templates, diags: &mut Diagnostics) -> Vec<Artifact> {
    let Some(apparmor) = plan.confinement.apparmor.as_ref().filter(|a| a.generated) else { return Vec::new() };
    let mut out = Vec::new();
    let mut fit = Fitter::new(diags);
    let Some(profile) = fit.fit::<ApparmorName>(&apparmor.profile, &apparmor.cause) else { return out };
    let mut files = Vec::new();
    for process in &plan.processes {
        let helper = names.helper(process);
        let file: Escaped<ApparmorName> = match helper {
            None => profile.clone().between("", ".files"),
            Some(_) => match fit.fit(&format!("{profile}.{}.files", process.id), &process.cause) {
                Some(name) => name,
                None => return out,
            },
        };
        files.push(file);
    }
    let mut fields = Fields::new();
    head(plan, &profile, &mut fit, &mut fields);
    fields.flag("complain", apparmor.complain);
    let mut helpers = Vec::new();
    for (process, file) in plan.processes.iter().zip(&files) {
        match process.role {
            Role::Qemu => body(plan, process, file, &mut fit, &mut fields),
            _ => {
                let mut record = Fields::new();
                record.maybe::<ApparmorName>("name", fit.fit(&process.id, &process.cause));
                let full = format!("{profile}//{}", process.id);
                record.maybe::<ApparmorName>("profile", fit.fit(&full, &process.cause));
                let local = format!("{profile}.{}", process.id);
                record.maybe::<ApparmorName>("local", fit.fit(&local, &process.cause));
                record.maybe::<ApparmorText>("what", fit.fit(&process.cause.what, &process.cause));
                let virtiofsd = process.role == Role::Virtiofsd;
                // Never a virtiofsd's: in namespaces of its own the shared directory is `/`, and with the right to mount
                // a rule for all files would be the host's.
                record.flag("namespaces", process.needs(Need::Namespaces) && !virtiofsd);
                record.list("links", links(plan, process));
                record.flag("reservations", process.role == Role::PrHelper);
                record.flag("shares", virtiofsd).flag("tpm", process.role == Role::Swtpm);
                record.flag("bus", process.role == Role::Dbus);
                record.flag("locks", process.needs(Need::LockFolder));
                record.flag("complain", apparmor.complain);
                body(plan, process, file, &mut fit, &mut record);
                helpers.push(record);
            }
        }
    }
    fields.list("helpers", helpers);
    let mut rules = Vec::new();
    for (process, file) in plan.processes.iter().zip(&files) {
        let mut fields = Fields::new();
        fields.maybe::<ApparmorText>("title", fit.fit(&plan.name, &Cause::default()));
        fields.maybe::<ApparmorText>("process", fit.fit(&process.id, &process.cause));
        fields.list("rules", rules_of(plan, process, names, &mut fit));
        rules.push((file.clone(), fields));
    }
    out.push(Artifact::traced(
        format!("etc/apparmor.d/libvirt/{profile}"),
        templates.render("apparmor", &fields, diags),
    ));
    for (file, fields) in rules {
        let text = templates.render("apparmor-files", &fields, diags);
        out.push(Artifact::traced(format!("etc/apparmor.d/libvirt/{file}"), text));
    }
    out
}

fn head(plan: &Plan, profile: &Escaped<ApparmorName>, fit: &mut Fitter<'_>, fields: &mut Fields<Apparmor>) {
    fields.maybe::<ApparmorText>("title", fit.fit(&plan.name, &Cause::default()));
    fields.put("profile", profile.clone());
}

/// What QEMU may need, by the name of its part in the template.
const OF_QEMU: &[(&str, Need)] = &[
    ("sgx", Need::Enclaves),
    ("pty", Need::Pty),
    ("hugetlb", Need::HugePages),
    ("firmware", Need::SystemFirmware),
    ("usb", Need::Usb),
    ("spice", Need::Spice),
];

/// The parts of a profile that follow from the process itself.
fn body(
    plan: &Plan,
    process: &Process,
    file: &Escaped<ApparmorName>,
    fit: &mut Fitter<'_>,
    fields: &mut Fields<Apparmor>,
) {
    fields.maybe::<ApparmorPath>("program", fit.fit(&process.program, &process.cause));
    for (name, need) in [("inet", Need::Inet), ("netlink", Need::Netlink), ("gl", Need::Gpu)] {
        fields.flag(name, process.needs(need));
    }
    if process.role == Role::Qemu {
        for (name, need) in OF_QEMU {
            fields.flag(name, process.needs(*need));
        }
        fields.flag("bus", plan.processes.iter().any(|p| p.role == Role::Dbus));
        fields.flag("overlays", !plan.overlays.is_empty());
        fields.flag("block", own(plan, process).any(|a| a.kind == PathKind::BlockDevice));
        fields.flag("vhost", own(plan, process).any(|a| a.path.starts_with("/dev/vhost-")));
        fields.list("links", links(plan, process));
    }
    fields.put("files", file.clone());
    let mut capabilities = Vec::new();
    for name in &process.capabilities {
        // `CAP_NET_ADMIN` is `net_admin` here.
        let name = name.strip_prefix("CAP_").unwrap_or(name).to_ascii_lowercase();
        if let Some(name) = fit.fit::<ApparmorName>(&name, &process.cause) {
            let mut record = Fields::new();
            record.put("capability", name);
            capabilities.push(record);
        }
    }
    fields.list("capabilities", capabilities);
}

fn own<'a>(plan: &'a Plan, process: &'a Process) -> impl Iterator<Item = &'a crate::plan::Access> {
    plan.access.iter().filter(|a| a.process == process.id)
}

/// Nodes that links lead to. A profile names no link, and which of the nodes it is changes from boot to boot.
const NODES: &[(&str, &str, &str)] = &[
    (
        "/dev/disk/by-",
        "/dev/{sd[a-z]*,vd[a-z]*,nvme[0-9]*n[0-9]*,dm-[0-9]*,md[0-9]*,loop[0-9]*,sr[0-9]*,mmcblk[0-9]*}",
        "block",
    ),
    ("/dev/mapper/", "/dev/dm-[0-9]*", "block"),
    ("/dev/input/by-", "/dev/input/event[0-9]*", ""),
    ("/dev/serial/by-", "/dev/tty{S,USB,ACM}[0-9]*", ""),
    ("/dev/cdrom", "/dev/sr[0-9]*", "block"),
];

/// Rules for what links to devices lead to; nothing where the host facts tell it.
fn links(plan: &Plan, process: &Process) -> Vec<Fields<Apparmor>> {
    let mut found: BTreeMap<&'static str, Perms> = BTreeMap::new();
    let mut sizes = false;
    for access in own(plan, process).filter(|a| a.resolved.is_none()) {
        let known = NODES.iter().find(|(link, ..)| access.path.starts_with(link));
        // A logical volume: `/dev/GROUP/NAME`.
        let volume = || {
            let inner = access.path.strip_prefix("/dev/").is_some_and(|n| n.contains('/'));
            (access.kind == PathKind::BlockDevice && inner).then_some(&("", "/dev/dm-[0-9]*", "block"))
        };
        let Some((_, nodes, kind)) = known.or_else(volume) else { continue };
        sizes |= *kind == "block";
        let perms = found.entry(nodes).or_default();
        *perms = perms.union(access.perms);
    }
    if sizes {
        found.insert("@{sys}/devices/**/queue/max_segments", Perms { lock: false, ..Perms::READ });
    }
    let rule = |(path, perms)| {
        let mut rule = Fields::new();
        rule.put::<ApparmorText>("path", Escaped::literal(path))
            .put("perms", Escaped::<ApparmorText>::literal(letters(perms)));
        rule
    };
    found.into_iter().map(rule).collect()
}

/// The rules of a process for what lies behind links, as text: a path that no rule can name has none.
pub fn rules(plan: &Plan, process: &Process) -> String {
    let mut text = String::new();
    for access in own(plan, process) {
        let Some(real) = access.resolved.as_deref() else { continue };
        let grant = Grant { perms: access.perms, kind: access.kind, causes: Vec::new() };
        for (path, perms) in spell(real, &grant).into_iter().flatten() {
            text += &format!("{path} {},\n", letters(perms));
        }
    }
    text
}

/// What a process may do with one path, and why.
struct Grant<'a> {
    perms: Perms,
    kind: PathKind,
    causes: Vec<&'a Cause>,
}

/// One rule a path, by path.
fn rules_of(plan: &Plan, process: &Process, names: &Names, fit: &mut Fitter<'_>) -> Vec<Fields<Apparmor>> {
    let credentials = credentials::paths(plan, process, names);
    let mut grants: BTreeMap<&str, Grant<'_>> = BTreeMap::new();
    let mut grant = |path, kind, perms: Perms, cause| {
        let entry = grants.entry(path).or_insert(Grant { perms: Perms::default(), kind, causes: Vec::new() });
        entry.perms = entry.perms.union(perms);
        if kind == PathKind::Tree || (kind == PathKind::Files && entry.kind != PathKind::Tree) {
            entry.kind = kind;
        }
        if !entry.causes.contains(&cause) {
            entry.causes.push(cause);
        }
    };
    for access in plan.access.iter().filter(|a| a.process == process.id) {
        // Links are followed before rules are looked at, so that only what they lead to counts.
        grant(access.resolved.as_deref().unwrap_or(&access.path), access.kind, access.perms, &access.cause);
    }
    if let Some(screen) = plan.screen.as_ref().filter(|s| s.process == process.id) {
        grant(&screen.path, PathKind::File, Perms { lock: false, ..Perms::READ_WRITE }, &screen.cause);
    }
    for socket in plan.sockets.iter() {
        // Who listens makes the socket; QEMU connects to those of its helpers.
        if socket.process == process.id || (socket.role == SocketRole::Helper && process.role == Role::Qemu) {
            grant(&socket.path, PathKind::Socket, Perms { lock: false, ..Perms::READ_WRITE }, &socket.cause);
        }
    }
    for (secret, path) in &credentials {
        // Where a unit has it, and where the runner puts it.
        let read = Perms { lock: false, ..Perms::READ };
        grant(path, PathKind::File, read, &secret.cause);
        grant(&secret.path, PathKind::File, read, &secret.cause);
    }
    let mut rules = Vec::new();
    for (path, grant) in &grants {
        let reason = reason(&grant.causes);
        let cause = grant.causes.first().copied().cloned().unwrap_or_default();
        let spelled: Result<Vec<(Escaped<ApparmorPath>, Perms)>, Unfit> = spell(path, grant);
        let Some(spelled) = fit.take(spelled, &cause) else { continue };
        for (path, perms) in spelled {
            let mut rule = Fields::new();
            rule.traced("path", path, &grant.causes).put("perms", Escaped::<ApparmorText>::literal(letters(perms)));
            rule.maybe::<ApparmorText>("reason", fit.fit(&reason, &cause));
            rules.push(rule);
        }
    }
    rules
}

/// The paths of rules for one resource: a directory has itself and what is below.
fn spell(path: &str, grant: &Grant<'_>) -> Result<Vec<(Escaped<ApparmorPath>, Perms)>, Unfit> {
    let look = Perms { lock: false, ..Perms::READ };
    Ok(match grant.kind {
        PathKind::Tree => {
            let [itself, _, below] = ApparmorPath::tree(path)?;
            vec![(itself, look), (below, grant.perms)]
        }
        PathKind::Files => {
            let [itself, files, _] = ApparmorPath::tree(path)?;
            vec![(itself, look), (files, grant.perms)]
        }
        PathKind::Directory => {
            let [itself, ..] = ApparmorPath::tree(path)?;
            vec![(itself, look)]
        }
        PathKind::Pipe => vec![
            (Escaped::new(path)?, grant.perms),
            (Escaped::new(&format!("{path}.in"))?, grant.perms),
            (Escaped::new(&format!("{path}.out"))?, grant.perms),
        ],
        _ => vec![(Escaped::new(path)?, grant.perms)],
    })
}

/// `disk vda (line 12); default: …`
fn reason(causes: &[&Cause]) -> String {
    causes.iter().map(|c| c.to_string()).collect::<Vec<_>>().join("; ")
}

/// The letters of a rule. `a` and `w` exclude each other, and `x` needs to say under which profile: this one.
pub fn letters(perms: Perms) -> &'static str {
    // Every combination that a Plan can hold, so that no text is made.
    const TABLE: [&str; 64] = table();
    let write = if perms.write { 1 } else { 0 };
    let append = perms.append && !perms.write;
    let index = usize::from(perms.read)
        | write << 1
        | usize::from(perms.lock) << 2
        | usize::from(perms.link) << 3
        | usize::from(perms.map) << 4
        | usize::from(perms.execute) << 5;
    match TABLE.get(index) {
        Some(letters) if !append => letters,
        // Logs: nothing else is asked of them.
        _ if perms.read => "ra",
        _ => "a",
    }
}

const fn table() -> [&'static str; 64] {
    [
        "r", "r", "w", "rw", "k", "rk", "wk", "rwk", "l", "rl", "wl", "rwl", "lk", "rlk", "wlk", "rwlk", //
        "m", "mr", "mw", "mrw", "mk", "mrk", "mwk", "mrwk", "ml", "mrl", "mwl", "mrwl", "mlk", "mrlk", "mwlk", "mrwlk",
        "ix", "rix", "wix", "rwix", "kix", "rkix", "wkix", "rwkix", "lix", "rlix", "wlix", "rwlix", "lkix", "rlkix",
        "wlkix", "rwlkix", "mix", "mrix", "mwix", "mrwix", "mkix", "mrkix", "mwkix", "mrwkix", "mlix", "mrlix",
        "mwlix", "mrwlix", "mlkix", "mrlkix", "mwlkix", "mrwlkix",
    ]
}
