//! What no guest may have: the host's own system, and QEMU options that take its confinement apart.
//!
//! A pure check of the finished Plan and of `<qemu:commandline>`. Target `libvirt` is left alone: it
//! shows what libvirt would do. The host facts may allow paths (`security { allow-path … }`).

mod devices;
mod options;
mod places;
mod programs;
mod secrets;
mod texts;
mod values;

use crate::diag::codes::{emit, security as codes};
use crate::plan::{Access, PathKind, Sharing, Use};
use crate::stage::Lower;
use std::collections::BTreeMap;

pub use options::refused;
#[cfg(feature = "host")]
pub use places::closed;
pub use programs::refused_emulator;

/// Checks the Plan, and what is handed through to QEMU.
pub fn check(lx: &mut Lower<'_>) {
    if !lx.env.is_guardian() {
        return;
    }
    names(lx);
    programs::check(lx);
    twice(lx);
    let faults = places::paths(&lx.plan, &lx.env.host.security.allow_paths, lx.diags.has_errors());
    for (cause, message) in faults {
        lx.diags
            .error(&codes::FORBIDDEN_PATH, cause.span, message)
            .help("give the guest a copy in a place of its own, or allow it in the host facts: security { allow-path \"…\"; }");
    }
    options::check(lx);
    texts::check(lx);
    values::check(lx);
}

/// Names and titles that would be more than one line or one component.
fn names(lx: &mut Lower<'_>) {
    let domain = lx.domain;
    let name = domain.name();
    let fault = if name.trim().is_empty() {
        Some("the name of the domain is empty")
    } else if matches!(name, "." | "..") || name.contains('/') {
        Some("the name of the domain is not one component of a path")
    } else if name.chars().any(char::is_control) {
        Some("the name of the domain holds a control character")
    } else if name.len() > 200 {
        Some("the name of the domain is longer than 200 bytes, so that no file can be named after it")
    } else {
        None
    };
    if let Some(fault) = fault {
        let span = lx.doc.span_of_child(domain.site, "name");
        lx.diags.error(&emit::NOT_EXPRESSIBLE, span, fault).help("choose another name");
    }
    if domain.uuid.is_some_and(|u| u.to_string().bytes().all(|b| matches!(b, b'0' | b'-'))) {
        let span = lx.doc.span_of_child(domain.site, "uuid");
        lx.diags
            .error(&emit::NOT_EXPRESSIBLE, span, "the UUID of the domain is all zeroes, which stands for none")
            .help("leave <uuid> out, or make one with uuidgen");
    }
    if domain.title.as_deref().is_some_and(|t| t.contains(['\n', '\r'])) {
        let span = lx.doc.span_of_child(domain.site, "title");
        lx.diags
            .error(&emit::NOT_EXPRESSIBLE, span, "the title holds a newline")
            .help("put longer text into <description>");
    }
}

/// An image that two disks write is destroyed at once, by the same guest.
fn twice(lx: &mut Lower<'_>) {
    let alone = |a: &&Access| {
        a.sharing == Sharing::Exclusive && a.perms.write && matches!(a.kind, PathKind::File | PathKind::BlockDevice)
    };
    let mut first: BTreeMap<&str, &Access> = BTreeMap::new();
    let mut faults = Vec::new();
    for access in lx.plan.access.iter().filter(alone).filter(|a| a.usage == Use::Disk) {
        let other = *first.entry(&access.path).or_insert(access);
        if other.cause.span != access.cause.span {
            faults.push((
                access.cause.span,
                other.cause.span,
                format!("'{}' is written by two disks: {} and {}", access.path, other.cause.what, access.cause.what),
            ));
        }
    }
    for (span, other, message) in faults {
        lx.diags
            .error(&codes::SHARED_IMAGE, span, message)
            .help("add <shareable/> to both if the guest can cope, or <readonly/> to one")
            .related(other, "written here too");
    }
}
