//! From what the XML says to what it means: three passes over the domain.
//!
//! 1. [`defaults`]: machine type, models, implicit devices;
//! 2. [`addresses`]: a place for every device on its bus; then [`aliases`] and boot indexes;
//! 3. rules: semantic checks, each with a stable code.
//!
//! Every pass is a pure function of the domain and the [`Env`]; `virtc normalize` prints the domain as
//! it is after them.

pub mod addresses;
pub mod aliases;
mod bootindex;
mod consoles;
pub mod controllers;
mod cpu;
pub mod defaults;
mod feature_rules;
mod firmware;
mod guest;
mod guest_rules;
mod numa_rules;
mod os_rules;
mod place_rules;
mod retired;
mod rooted;
mod rules;
mod scope;
pub mod seclabel;
mod security_rules;
mod tuning_rules;
mod vcpu_rules;

pub use firmware::{no_firmware, no_firmware_help};

use crate::domain::Domain;
use crate::stage::{Cx, Machine};

/// Settles what a normalised domain may leave open, but a command line cannot.
pub fn settle(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    addresses::assign_late(domain, machine, cx);
    aliases::assign(domain, machine);
    if cx.env.is_guardian() {
        rooted::paths(domain);
    }
}

/// Completes and checks a domain. Gives what is known about its machine; a guess where that cannot be told.
pub fn resolve(domain: &mut Domain, cx: &mut Cx<'_>) -> Machine {
    let machine = defaults::domain(domain, cx);
    addresses::assign(domain, &machine, cx);
    aliases::assign(domain, &machine);
    bootindex::assign(domain, cx);
    consoles::mirror(domain);
    rules::check(domain, &machine, cx);
    machine
}
