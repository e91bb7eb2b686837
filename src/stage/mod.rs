//! The tools of the passes: what a pass reads, where it reports, and what it writes to.
//!
//! [`Env`] is what a compilation depends on besides the XML, [`Cx`] (in the code: `cx`) the context of a pass over the
//! domain, [`Lower`] (`lx`) that of lowering. Devices and passes use them; they know neither.

pub mod backend;
pub mod chain;
mod grant;
mod lower;
mod machine;
pub mod mapping;
mod paths;
pub mod quirks;
mod reconnect;
mod secret;
pub mod sizes;
pub mod tls;
pub mod virtio;

pub use backend::{Backend, BackendRequest};
pub use grant::{Grant, labels_of_layer};
pub use lower::{BlockNodes, Lower};
pub use machine::{Board, Guess, Machine};
pub use paths::Paths;
pub use quirks::Quirk;

use crate::caps::{Cap, Capabilities, Flags};
use crate::diag::{Code, Diagnostic, Diagnostics, Levels, Span};
use crate::host::Host;
use crate::plan::{Target, Wiring};
use crate::xml::{Document, Site};

/// What the caller asks for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the command line is for.
    pub target: Target,
    /// How files and sockets reach QEMU.
    pub wiring: Wiring,
    /// Treat the XML as newly defined: newest defaults.
    pub define: bool,
    /// `-incoming`: where a migration comes from.
    pub incoming: Option<String>,
    /// How serious lints are taken.
    pub levels: Levels,
    /// A lock that would have to change is an error.
    pub locked: bool,
    /// Make the lock that fits the domain, also where there is none yet.
    pub fresh_lock: bool,
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

    /// *Wiring*: whether a parent (libvirt) starts QEMU, speaks to its monitor and looks after directories, helpers
    /// and secrets. A standalone machine is started by its unit or by `virtc run`, from the Plan alone.
    pub fn has_parent(&self) -> bool {
        !self.options.target.is_standalone()
    }

    /// *Strictness*: whether virtc is the last who looks, so that it refuses what does harm or cannot work. For a
    /// libvirt target, that is libvirt.
    pub fn is_guardian(&self) -> bool {
        self.options.target.is_standalone()
    }

    /// *Behaviour*: whether the libvirt that is asked for has this quirk. A standalone machine has none.
    pub fn behaves(&self, quirk: Quirk) -> bool {
        self.options.target.release().is_some_and(|release| quirk.of(release))
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
        if self.env.is_guardian() {
            let span = self.doc.span_of(site);
            self.diags.note(&crate::diag::codes::general::DERIVED, span, message).help(help);
        }
    }

    /// Records a warning about an element.
    pub fn warn(&mut self, code: &'static Code, site: Site, message: impl Into<String>) -> &mut Diagnostic {
        let span = self.doc.span_of(site);
        self.diags.warning(code, span, message)
    }

    /// Records a warning about an attribute.
    pub fn warn_at(
        &mut self,
        code: &'static Code,
        site: Site,
        attribute: &str,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let span = self.doc.span_of_attr(site, attribute);
        self.diags.warning(code, span, message)
    }

    /// Records a fault of a child of an element: where it stands, or the element where it does not.
    pub fn error_in(
        &mut self,
        code: &'static Code,
        site: Site,
        child: &str,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let span = self.doc.span_of_child(site, child);
        self.diags.error(code, span, message)
    }

    /// Records that two places claim what only one can have: at the one that stands later in the source, with the other
    /// beside it.
    pub fn twice(
        &mut self,
        code: &'static Code,
        one: Span,
        other: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let (first, second) = if other < one { (other, one) } else { (one, other) };
        let (first, second) = if second.is_none() { (second, first) } else { (first, second) };
        self.diags.error(code, second, message).related(first, "the first is here")
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
