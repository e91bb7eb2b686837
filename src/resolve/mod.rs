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
mod machine;
pub mod memory;
mod numa_rules;
mod os_rules;
mod place_rules;
mod rules;
mod scope;
mod security_rules;
mod tuning_rules;
mod vcpu_rules;

pub use firmware::{no_firmware, no_firmware_help};
pub use machine::{Board, Machine};

use crate::caps::{Cap, Capabilities, Flags};
use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::domain::Domain;
use crate::host::Host;
use crate::plan::Target;
use crate::xml::{Document, Site};

/// What the caller asks for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the command line is for.
    pub target: Target,
    /// Treat the XML as newly defined: newest defaults.
    pub define: bool,
    /// `-incoming`: where a migration comes from.
    pub incoming: Option<String>,
}

/// What a compilation depends on besides the XML.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// Facts about the host.
    pub host: &'a Host,
    /// What QEMU can do.
    pub caps: &'a Capabilities,
    /// `caps.flags` after `<qemu:capabilities>`.
    pub flags: Flags,
    /// What the caller asks for.
    pub options: &'a Options,
}

impl Env<'_> {
    /// Whether QEMU can do this.
    pub fn has(&self, cap: Cap) -> bool {
        self.flags.has(cap)
    }

    /// Whether the command line is to be libvirt's, byte for byte.
    pub fn is_libvirt(&self) -> bool {
        self.options.target == Target::Libvirt
    }
}

/// The context of a pass: the environment, the document for spans, and where faults go.
pub struct Cx<'a> {
    /// What the compilation depends on.
    pub env: Env<'a>,
    /// The source, for spans.
    pub doc: &'a Document<'a>,
    /// Where faults go.
    pub diags: &'a mut Diagnostics,
}

impl Cx<'_> {
    /// Whether QEMU can do this.
    pub fn has(&self, cap: Cap) -> bool {
        self.env.has(cap)
    }

    /// The span of an element.
    pub fn span(&self, site: Site) -> Span {
        self.doc.span_of(site)
    }

    /// Records a fault of an element.
    pub fn error(&mut self, code: &'static Code, site: Site, message: impl Into<String>) -> &mut Diagnostic {
        let span = self.doc.span_of(site);
        self.diags.error(code, span, message)
    }

    /// Says that a value which libvirt would draw at random was derived. Who compares with libvirt's command line gets
    /// no random value either, and is not told.
    pub fn derived(&mut self, site: Site, message: impl Into<String>, help: impl Into<String>) {
        if !self.env.is_libvirt() {
            let span = self.doc.span_of(site);
            self.diags.note(&crate::diag::codes::general::DERIVED, span, message).help(help);
        }
    }

    /// Records a fault of an attribute.
    pub fn error_at(
        &mut self,
        code: &'static Code,
        site: Site,
        attribute: &str,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let span = self.doc.span_of_attr(site, attribute);
        self.diags.error(code, span, message)
    }
}

/// Settles what a normalised domain may leave open, but a command line cannot.
pub fn settle(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    addresses::assign_late(domain, machine, cx);
    aliases::assign(domain, machine);
}

/// Completes and checks a domain. Gives what is known about its machine; none if that cannot be told.
pub fn resolve(domain: &mut Domain, cx: &mut Cx<'_>) -> Option<Machine> {
    let machine = defaults::domain(domain, cx)?;
    addresses::assign(domain, &machine, cx);
    aliases::assign(domain, &machine);
    bootindex::assign(domain, cx);
    consoles::mirror(domain);
    rules::check(domain, &machine, cx);
    Some(machine)
}
