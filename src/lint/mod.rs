//! Lints: what compiles, and will not start or will hurt.
//!
//! A lint is a warning with a code of its own; [`crate::diag::lints`] has the table of groups and levels. [`given`] looks at the domain as it was written, [`complete`] at the resolved one. A
//! libvirt target is not judged: there, libvirt is the guardian.

mod arguments;
mod data;
mod guest;
mod host_devices;
mod security;
mod start;
mod surprise;
mod undone;

pub use start::NIC_MODELS;

use crate::domain::Domain;
use crate::plan::Listen;
use crate::stage::{Cx, Machine};

/// Looks at what the domain says, before anything is filled in.
pub fn given(domain: &Domain, cx: &mut Cx<'_>) {
    if !cx.env.is_guardian() {
        return;
    }
    surprise::memory(domain, cx);
    surprise::limit(domain, cx);
    surprise::boot(domain, cx);
    surprise::serials(domain, cx);
    surprise::pins(domain, cx);
    surprise::ports(domain, cx);
    surprise::addresses(domain, cx);
    surprise::balloon(domain, cx);
    security::passwords(domain, cx);
    data::images(domain, cx);
}

/// Looks at the complete domain, and at the ports on which it listens.
pub fn complete(domain: &Domain, machine: &Machine, listens: &[Listen], cx: &mut Cx<'_>) {
    if !cx.env.is_guardian() {
        return;
    }
    start::ports(listens, cx);
    start::check(domain, machine, cx);
    arguments::check(domain, machine, cx);
    data::check(domain, cx);
    security::check(domain, cx);
    surprise::check(domain, machine, cx);
    guest::check(domain, cx);
    host_devices::check(domain, cx);
    undone::check(domain, cx);
}
