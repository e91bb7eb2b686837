//! The compiler as one pure function.

use crate::caps::Capabilities;
use crate::diag::{Diagnostics, Severity};
use crate::domain::{self, Domain};
use crate::host::Host;
use crate::lower;
use crate::plan::{Plan, Target};
use crate::resolve::{self, Cx, Env, Options};
use crate::xml;

/// What a compilation gives.
pub struct Compiled {
    /// The resolved domain; none if the XML holds none.
    pub domain: Option<Domain>,
    /// The Plan; none if there were errors.
    pub plan: Option<Plan>,
    /// All faults and remarks.
    pub diags: Diagnostics,
    /// Values of secrets that the XML itself holds (passwords of displays, cookies), by the source that
    /// the Plan names. They are no part of the Plan, which is written to files.
    pub secret_values: Vec<(String, String)>,
}

/// How far to compile.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// Through all checks (`virtc check`, `virtc normalize`).
    Resolved,
    /// Through the Plan.
    Planned,
}

/// A domain may have this many devices: several times what the buses of any machine hold.
const MAX_DEVICES: usize = 4096;

/// Compiles the text of a domain. Reads nothing, starts nothing, knows no clock: the same arguments give
/// the same result.
pub fn compile(text: &[u8], host: &Host, caps: &Capabilities, options: &Options, until: Until) -> Compiled {
    let mut diags = Diagnostics::new();
    let doc = xml::parse(text, &mut diags);
    if diags.has_errors() {
        return Compiled { domain: None, plan: None, diags, secret_values: Vec::new() };
    }
    if let Some(devices) = doc.root().and_then(|r| r.children().find(|e| e.is("devices")))
        && devices.children().nth(MAX_DEVICES).is_some()
    {
        diags
            .error(&crate::diag::codes::xml::SIZE, devices.span(), format!("more than {MAX_DEVICES} devices"))
            .help("QEMU would not start with so many, and Linux would not take its command line");
        return Compiled { domain: None, plan: None, diags, secret_values: Vec::new() };
    }
    let severity = if options.target == Target::Libvirt { Severity::Warning } else { Severity::Error };
    let flagged = crate::schema::validate(&doc, severity, &mut diags);
    let Some(mut domain) = domain::bind(&doc, &|place| flagged.covers(place), &mut diags) else {
        return Compiled { domain: None, plan: None, diags, secret_values: Vec::new() };
    };
    let mut env = Env { host, caps, flags: caps.flags, options };
    for edit in &domain.qemu.capabilities {
        match crate::caps::Cap::parse(&edit.capability) {
            Some(cap) if edit.add => env.flags.set(cap, true),
            Some(cap) => env.flags.set(cap, false),
            None => {
                diags.error(
                    &crate::diag::codes::schema::WRONG_VALUE,
                    doc.span_of_attr(edit.site, "capability"),
                    format!("invalid qemu namespace capability '{}'", edit.capability),
                );
            }
        }
    }
    let mut cx = Cx { env, doc: &doc, diags: &mut diags };
    let machine = resolve::resolve(&mut domain, &mut cx);
    let mut plan = None;
    let mut secret_values = Vec::new();
    if let Some(machine) = machine
        && until >= Until::Planned
        && !cx.diags.has_errors()
    {
        resolve::settle(&mut domain, &machine, &mut cx);
        let lowered = lower::lower(&domain, &machine, &mut cx);
        plan = Some(lowered.plan);
        secret_values = lowered.secret_values;
    }
    if diags.has_errors() {
        plan = None;
    }
    Compiled { domain: Some(domain), plan, diags, secret_values }
}
