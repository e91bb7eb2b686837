//! Who the processes run as, and which labels confine them.

use super::account;
use crate::diag::codes::security as codes;
use crate::domain::seclabel::{Seclabel, SeclabelType};
use crate::escape::{ApparmorName, Escaped, SelinuxContext};
use crate::host::{Categories, DEFAULT_USER, InstanceMode, Seccomp, SecurityDriver};
use crate::plan::{Accelerator, Apparmor, Cause, Confinement, OwnerRule, Selinux};
use crate::stage::Lower;
use crate::vocab::nodes::{self, Class};
use crate::vocab::{Uuid, Value as _};
use crate::xml::Site;

/// The confinement of a domain, from its `<seclabel>` elements and the host's policy.
pub fn confinement(lx: &mut Lower<'_>) -> Confinement {
    let host = lx.env.host;
    let system = host.instance.mode == InstanceMode::System;
    let domain = lx.domain;
    let find = |model: &str| domain.seclabels.iter().find(|l| l.is_for(model));
    let mut out = Confinement { seccomp: host.instance.seccomp_sandbox != Seccomp::Off, ..Confinement::default() };
    if system {
        owner(lx, find("dac"), &mut out);
    }
    // A standalone tree serves hosts of either kind, unless the facts name one.
    let wanted = |driver| {
        let named = host.instance.security_driver;
        named == driver || (named == SecurityDriver::None && lx.env.is_guardian())
    };
    let (for_selinux, for_apparmor) = (wanted(SecurityDriver::Selinux), wanted(SecurityDriver::Apparmor));
    // Where the administrator looks after owners, nothing is given to anybody, whatever a device asks for.
    if !out.dynamic_ownership {
        lx.plan.access.iter_mut().for_each(|access| access.owner = OwnerRule::Keep);
    }
    if find("selinux").is_some() || (for_selinux && host.security.default_confined) {
        out.selinux = selinux(lx, find("selinux"));
    }
    // Only root loads profiles.
    if find("apparmor").is_some() || (for_apparmor && system && host.security.default_confined) {
        out.apparmor = apparmor(lx, find("apparmor"));
    }
    out
}

/// The cause of what a label says, or of what a default rule does.
fn cause(lx: &Lower<'_>, label: Option<&Seclabel>, what: &'static str) -> Cause {
    match label {
        Some(label) => lx.cause(label.site, what),
        None => Cause { what: format!("default: {what}").into(), ..Cause::default() },
    }
}

/// Whether the driver is told to leave the domain alone; refused where the host demands confinement.
fn refuses(lx: &mut Lower<'_>, label: Option<&Seclabel>) -> bool {
    let Some(label) = label.filter(|l| l.kind() == SeclabelType::None) else { return false };
    if lx.env.host.security.require_confined {
        let model = label.model.as_deref().unwrap_or("");
        lx.error(
            &codes::FORBIDDEN_LABEL,
            label.site,
            format!("the host demands confinement, and the label of model '{model}' is of type 'none'"),
        )
        .help("leave the <seclabel> out");
    }
    true
}

/// User, group, supplementary groups.
fn owner(lx: &mut Lower<'_>, label: Option<&Seclabel>, out: &mut Confinement) {
    let policy = &lx.env.host.security;
    // An account for each machine keeps machines apart without any security module.
    out.own_account = policy.user.is_none() && policy.group.is_none() && lx.env.options.target.is_standalone();
    let user = match &policy.user {
        Some(user) => user.clone(),
        None if out.own_account => account::of(&lx.plan.name),
        None => DEFAULT_USER.to_string(),
    };
    out.group = Some(policy.group.clone().unwrap_or_else(|| user.clone()));
    out.user = Some(user);
    out.dynamic_ownership = policy.dynamic_ownership;
    if let Some(label) = label {
        match (label.kind(), label.label.as_deref()) {
            (SeclabelType::Static, Some(text)) => match split_owner(text) {
                Some((user, group)) if allowed_owner(lx, user, group, label) => {
                    out.own_account = false;
                    out.user = Some(user.to_string());
                    out.group = Some(group.to_string());
                }
                Some(_) => {}
                None => {
                    lx.error(
                        &codes::BAD_LABEL,
                        label.site,
                        format!("the label '{text}' of model 'dac' is not of the form user:group"),
                    )
                    .help("give names, or numbers such as +107:+107");
                }
            },
            (SeclabelType::None, _) => out.dynamic_ownership = false,
            _ => {}
        }
        if label.relabel.is_some() && !label.relabels() {
            out.dynamic_ownership = false;
        }
    }
    // What systems give to groups: /dev/kvm and /dev/vhost-net, render nodes, sound.
    if lx.env.is_guardian() {
        let access = &lx.plan.access;
        let any = |prefix: &str| access.iter().any(|a| a.path.starts_with(prefix));
        let of = |class: Class| access.iter().any(|a| Class::of(&a.path) == Some(class));
        let of_kvm = [nodes::KVM, nodes::UDMABUF, "/dev/vhost-"].into_iter().any(any);
        let kvm = lx.plan.accelerator == Accelerator::Kvm || of_kvm;
        for (needed, group) in [(kvm, "kvm"), (of(Class::Gpu), "render"), (of(Class::Sound), "audio")] {
            if needed {
                out.groups.push(group.to_string());
            }
        }
    }
}

/// The parts of `user:group`; none if one is no name or number that an account can have.
fn split_owner(label: &str) -> Option<(&str, &str)> {
    let (user, group) = label.split_once(':')?;
    let fits = |part: &str| match part.strip_prefix('+').or(part.parse::<u64>().is_ok().then_some(part)) {
        // 65535 and 4294967295 mean "no such user" to the kernel.
        Some(number) => {
            number.bytes().all(|b| b.is_ascii_digit())
                && number.parse::<u32>().is_ok_and(|n| n != u32::MAX && n != 65_535)
        }
        None => {
            part.len() <= 31
                && part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        }
    };
    (fits(user) && fits(group)).then_some((user, group))
}

/// Groups whose members can become root, or read what all guests hold.
const MIGHTY_GROUPS: &[&str] = &[
    "root",
    "shadow",
    "disk",
    "kmem",
    "sudo",
    "wheel",
    "adm",
    "docker",
    "lxd",
    "libvirt",
    "incus-admin",
    "podman",
    "staff",
    "backup",
];

/// The same by number, where distributions have fixed it (Debian's base-passwd, Fedora's setup): root and those of its
/// programs, adm, disk, kmem, wheel, sudo, backup, shadow, staff.
const MIGHTY_NUMBERS: &[u32] = &[0, 1, 2, 3, 4, 6, 9, 10, 15, 27, 34, 42, 50];

/// Accounts of the programs of a host, whose files a guest would have.
const OF_PROGRAMS: &[&str] = &[
    "_apt",
    "apache",
    "backup",
    "bin",
    "chrony",
    "daemon",
    "dbus",
    "ftp",
    "games",
    "irc",
    "list",
    "lp",
    "mail",
    "man",
    "messagebus",
    "mysql",
    "named",
    "news",
    "nginx",
    "ntp",
    "polkitd",
    "postfix",
    "postgres",
    "proxy",
    "redis",
    "rpc",
    "sshd",
    "sync",
    "sys",
    "syslog",
    "tss",
    "uucp",
    "uuidd",
    "www-data",
];

/// Refuses the accounts of others, unless the host allows it.
fn allowed_owner(lx: &mut Lower<'_>, user: &str, group: &str, label: &Seclabel) -> bool {
    let own = account::of(&lx.plan.name);
    let other = |name: &str| name.starts_with("virtc-") && name != own;
    let program = |name: &str| OF_PROGRAMS.contains(&name) || name.starts_with("systemd-");
    let whose = match () {
        () if other(user) || other(group) => Some("another machine"),
        () if program(user) => Some("a program of the host"),
        () => None,
    };
    if let Some(whose) = whose.filter(|_| !lx.env.host.security.allow_unconfined && lx.env.is_guardian()) {
        let message = format!("the label '{user}:{group}' of model 'dac' would give the guest the files of {whose}");
        lx.error(&codes::FORBIDDEN_LABEL, label.site, message)
            .help("leave the <seclabel> out: the machine gets an account of its own; or allow it in the host facts: security { allow-unconfined #true; }");
        return false;
    }
    let number = |name: &str| name.trim_start_matches('+').parse::<u32>().ok();
    let root = |name: &str| name == "root" || number(name) == Some(0);
    let mighty = MIGHTY_GROUPS.contains(&group) || number(group).is_some_and(|n| MIGHTY_NUMBERS.contains(&n));
    if lx.env.host.security.allow_unconfined || !lx.env.is_guardian() || !(root(user) || root(group) || mighty) {
        return true;
    }
    lx.error(
        &codes::FORBIDDEN_LABEL,
        label.site,
        format!("the label '{user}:{group}' of model 'dac' would give the guest the rights of root"),
    )
    .help("name an account of its own, or allow it in the host facts: security { allow-unconfined #true; }");
    false
}

/// SELinux contexts.
fn selinux(lx: &mut Lower<'_>, label: Option<&Seclabel>) -> Option<Selinux> {
    if refuses(lx, label) {
        return None;
    }
    let policy = lx.env.host.security.selinux.clone();
    let base = if lx.plan.accelerator == Accelerator::Tcg { &policy.tcg_process } else { &policy.process };
    let own = match label.map(|l| (l, l.kind())) {
        Some((l, SeclabelType::Static)) => l.label.as_deref(),
        _ => None,
    };
    let baselabel = label.and_then(|l| l.baselabel.as_deref());
    for text in own.iter().chain(&baselabel) {
        if !valid_context(lx, text, label) {
            return None;
        }
    }
    let process = match own {
        Some(own) => own.to_string(),
        None => {
            // The policy's own range was checked when it was read.
            let range = Categories::parse(&policy.range).ok()?;
            let (low, high) = range.pair(Categories::number(&lx.plan.uuid));
            // Of a base label only the type counts.
            let kind = part(baselabel.unwrap_or(base), 2);
            format!("{}:{}:{kind}:{}:c{low},c{high}", part(base, 0), part(base, 1), range.sensitivity)
        }
    };
    let range = process.splitn(4, ':').nth(3).unwrap_or("s0").to_string();
    let without_range = |context: &str| -> String { (0..3).map(|i| part(context, i)).collect::<Vec<_>>().join(":") };
    let lowest = range.split([':', '-']).next().unwrap_or("s0").to_string();
    Some(Selinux {
        image: format!("{}:{range}", without_range(&policy.image)),
        shared: format!("{}:{lowest}", without_range(&policy.image)),
        content: policy.content.clone(),
        relabel: label.is_none_or(Seclabel::relabels),
        derived: own.is_none(),
        range: if policy.range == Categories::ALL { String::new() } else { policy.range.clone() },
        unlabelled: Vec::new(),
        cause: cause(lx, label, "dynamic label"),
        process,
    })
}

/// A part of a context, `user:role:type:range`; one without a range has an empty one.
fn part(context: &str, index: usize) -> &str {
    context.splitn(4, ':').nth(index).unwrap_or("")
}

/// Refuses what is no context, and contexts that confine nothing.
fn valid_context(lx: &mut Lower<'_>, text: &str, label: Option<&Seclabel>) -> bool {
    let site = label.map_or(Site::NONE, |l| l.site);
    // Nobody looks at the label of a driver that is not in use.
    if !lx.env.is_guardian() && lx.env.host.instance.security_driver == SecurityDriver::None {
        return Escaped::<SelinuxContext>::new(text).is_ok();
    }
    if let Err(why) = Escaped::<SelinuxContext>::new(text) {
        lx.error(&codes::BAD_LABEL, site, format!("the label of model 'selinux' is not of its form: {why}"))
            .help("give user:role:type:range, such as system_u:system_r:svirt_t:s0:c1,c2");
        return false;
    }
    let policy = &lx.env.host.security.selinux;
    let own = [part(&policy.process, 2), part(&policy.tcg_process, 2)];
    if let Some(why) = unconfined(text, &own)
        && !lx.env.host.security.allow_unconfined
        && lx.env.is_guardian()
    {
        lx.error(&codes::FORBIDDEN_LABEL, site, format!("the label '{text}' {why}"))
            .help("use a type such as svirt_t, or allow it in the host facts: security { allow-unconfined #true; }");
        return false;
    }
    true
}

/// Why a context confines nothing; none if it does. `own` are the types that the host facts name for guests.
fn unconfined(context: &str, own: &[&str]) -> Option<&'static str> {
    let kind = part(context, 2);
    let range = part(context, 3);
    // What the policies call the types of guests: svirt_t, svirt_tcg_t, svirt_kvm_net_t, and those that people derive from them.
    if !kind.starts_with("svirt") && !own.contains(&kind) {
        return Some("names a type that is not one of guests");
    }
    // c0.c1023 covers the categories of all other guests.
    let wide = range.split([':', ',', '-']).filter_map(|set| set.split_once('.')).any(|(a, b)| {
        let number = |c: &str| c.trim_start_matches('c').parse::<u32>().unwrap_or(0);
        number(b).saturating_sub(number(a)) > 1
    });
    if wide {
        return Some("has a range of categories, which covers those of other guests");
    }
    // A process may use what has some of its categories: with two pairs it has the files of two machines.
    let sets = range.split('-').filter_map(|level| level.split_once(':'));
    if sets.map(|(_, set)| set.split(',').count()).max() > Some(2) {
        return Some("has more than a pair of categories, which covers those of other guests");
    }
    if range.split([':', ',', '-', '.']).any(|c| c.strip_prefix('c').and_then(|n| n.parse::<u32>().ok()) > Some(1023)) {
        return Some("has a category above c1023");
    }
    // A base label lends its type only.
    (range.is_empty() && kind.starts_with("svirt")).then_some("has no range, so that it is that of all guests")
}

/// The AppArmor profile.
fn apparmor(lx: &mut Lower<'_>, label: Option<&Seclabel>) -> Option<Apparmor> {
    if refuses(lx, label) {
        return None;
    }
    let fixed = label.filter(|l| l.kind() == SeclabelType::Static);
    if let Some(label) = label.filter(|l| l.baselabel.is_some()) {
        lx.error(&codes::BAD_LABEL, label.site, "AppArmor knows no <baselabel>".to_string())
            .help("leave it out, or give a static label with the name of a profile");
        return None;
    }
    let profile = match fixed.and_then(|l| l.label.clone()) {
        Some(name) => {
            let site = fixed.map_or(Site::NONE, |l| l.site);
            if let Err(why) = Escaped::<ApparmorName>::new(&name) {
                lx.error(&codes::BAD_LABEL, site, why.to_string()).help("give the name of a profile of the host");
                return None;
            }
            // The profile of another machine lets this one have what is the other's.
            let foreign = name
                .strip_prefix("libvirt-")
                .is_some_and(|rest| Uuid::parse(rest).is_ok_and(|uuid| Some(uuid) != lx.domain.uuid));
            if foreign && !lx.env.host.security.allow_unconfined && lx.env.is_guardian() {
                lx.error(&codes::FORBIDDEN_LABEL, site, format!("the profile '{name}' is that of another machine"))
                    .help("leave the <seclabel> out: the machine gets a profile of its own");
                return None;
            }
            let daemon = ["unconfined", "libvirtd", "virtqemud", "/usr/sbin/libvirtd", "/usr/sbin/virtqemud"];
            if daemon.contains(&name.as_str()) && !lx.env.host.security.allow_unconfined && lx.env.is_guardian() {
                lx.error(&codes::FORBIDDEN_LABEL, site, format!("the profile '{name}' confines no guest"))
                    .help("give type='none' if that is meant, and allow it on the host");
                return None;
            }
            name
        }
        None => format!("libvirt-{}", lx.plan.uuid),
    };
    Some(Apparmor {
        generated: fixed.is_none(),
        complain: lx.env.host.security.apparmor_complain,
        cause: cause(lx, label, "generated profile"),
        profile,
    })
}
