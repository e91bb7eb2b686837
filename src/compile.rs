//! The compiler as one pure function.

mod consequences;
mod qemu;

use crate::caps::{Capabilities, Chosen, Wanted};
use crate::diag::codes::lock as codes;
use crate::diag::{Diagnostics, Span};
use crate::domain::{self, Domain};
use crate::host::Host;
use crate::lint;
use crate::lock::{self, Lock, Supplied};
use crate::lower;
use crate::plan::Plan;
use crate::resolve;
use crate::schema;
use crate::stage::{Cx, Env, Guess, Options};
use crate::vocab::Release;
use crate::xml;

/// What a compilation gives.
pub struct Compiled {
    /// The resolved domain; none if the XML holds none.
    pub domain: Option<Domain>,
    /// The Plan; none if there were errors.
    pub plan: Option<Plan>,
    /// What a lock did, and what it would do.
    pub locking: Locking,
    /// All faults and remarks.
    pub diags: Diagnostics,
    /// Values of secrets that the XML itself holds (passwords of displays, cookies), by the source that
    /// the Plan names. They are no part of the Plan, which is written to files.
    pub secret_values: Vec<(String, String)>,
}

/// The lock of a compilation.
#[derive(Default)]
pub struct Locking {
    /// What was supplied.
    pub supplied: Supplied,
    /// The lock that fits the domain; none if there were errors, or neither a lock nor the Plan was asked for.
    pub fresh: Option<Lock>,
}

impl Compiled {
    /// Nothing but what is wrong.
    fn faulty(mut diags: Diagnostics) -> Compiled {
        diags.advise();
        let locking = Locking::default();
        Compiled { domain: None, plan: None, locking, diags, secret_values: Vec::new() }
    }
}

/// How far to compile.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// Through all checks (`virtc check`, `virtc normalize`).
    Resolved,
    /// Through the Plan.
    Planned,
}

/// A domain may have this many devices, and this many of some kinds: more than any machine has places for.
const MOST_DEVICES: usize = 2048;
const MOST_OF_A_KIND: &[(&str, usize)] = &[("controller", 512), ("memory", 256), ("video", 64), ("audio", 256)];

/// Compiles the text of a domain. Reads nothing, starts nothing, knows no clock: the same arguments give
/// the same result.
pub fn compile(text: &[u8], host: &Host, caps: &Capabilities, options: &Options, until: Until) -> Compiled {
    compile_for(text, host, &|_| Chosen::given(caps), options, until)
}

/// The same, with the capabilities that `choose` finds for what the domain says about its QEMU.
pub fn compile_for<'a>(
    text: &[u8],
    host: &Host,
    choose: &dyn Fn(&Wanted<'_>) -> Chosen<'a>,
    options: &Options,
    until: Until,
) -> Compiled {
    compile_locked(text, host, choose, options, until, None)
}

/// The same, with what a lock keeps of the machine.
pub fn compile_locked<'a>(
    text: &[u8],
    host: &Host,
    choose: &dyn Fn(&Wanted<'_>) -> Chosen<'a>,
    options: &Options,
    until: Until,
    lock: Option<&Lock>,
) -> Compiled {
    let mut diags = Diagnostics::new();
    let mut doc = xml::parse(text, &mut diags);
    if !doc.is_certain() {
        let broken = diags.len();
        if !too_many(&doc, &mut diags) {
            check_format(&mut doc, options, &mut diags);
            consequences::broken(&doc, broken, &mut diags);
        }
        return Compiled::faulty(diags);
    }
    if too_many(&doc, &mut diags) {
        return Compiled::faulty(diags);
    }
    let slips = diags.len();
    let flagged = check_format(&mut doc, options, &mut diags);
    consequences::slips(slips, &mut diags);
    let format = diags.len();
    let lock = usable(lock, options, &mut diags);
    let supplied = lock::supply(&mut doc, lock);
    let Some(mut domain) = domain::bind(&doc, &|place| flagged.covers(place), &mut diags) else {
        return Compiled::faulty(diags);
    };
    if let Some(devices) = &mut domain.devices {
        devices.held = supplied.held.clone();
    }
    let chosen = choose(&qemu::wanted(&doc, host));
    let host = crate::assume::assume(&domain, &doc, host, options.target, &mut diags);
    let mut env = Env { host: &host, caps: &chosen.caps, flags: chosen.caps.flags, options };
    for edit in &domain.qemu.capabilities {
        match crate::caps::Cap::parse(&edit.capability) {
            Some(cap) if edit.add => env.flags.set(cap, true),
            Some(cap) => env.flags.set(cap, false),
            None => {
                diags.error(
                    &crate::diag::codes::schema::WRONG_VALUE,
                    doc.span_of_attr(edit.site, "capability"),
                    format!("<qemu:capabilities>: there is no capability '{}'", edit.capability),
                );
            }
        }
    }
    consequences::drop(&doc, format, &flagged, Guess::No, &mut diags);
    let read = diags.len();
    qemu::tell(&chosen, &doc, &mut diags);
    let mut cx = Cx { env, doc: &doc, diags: &mut diags };
    lint::given(&domain, &mut cx);
    let machine = resolve::resolve(&mut domain, &mut cx);
    consequences::drop(&doc, read, &flagged, machine.guess, cx.diags);
    let mut plan = None;
    let mut secret_values = Vec::new();
    // Lowering checks, too: it runs for its faults even where there are others, and what it makes is thrown away.
    if until >= Until::Planned {
        let resolved = cx.diags.len();
        resolve::settle(&mut domain, &machine, &mut cx);
        let lowered = lower::lower(&domain, &machine, &mut cx);
        lint::complete(&domain, &machine, &lowered.plan.listens, &mut cx);
        consequences::drop(&doc, resolved, &flagged, machine.guess, cx.diags);
        plan = Some(Plan { qemu: qemu::made_for(&chosen), ..lowered.plan });
        secret_values = lowered.secret_values;
    }
    let mut fresh = None;
    let wanted = options.fresh_lock || lock.is_some();
    if wanted && until >= Until::Planned && options.target.is_standalone() && !diags.has_errors() {
        let new = lock::take(&domain, plan.as_ref(), &supplied, lock, false);
        behind(lock, &new, &doc, options, &mut diags);
        fresh = Some(new);
    }
    options.levels.apply(&mut diags);
    if diags.has_errors() {
        plan = None;
        secret_values.clear();
        consequences::tidy(&doc, &mut diags);
    }
    diags.advise();
    Compiled { domain: Some(domain), plan, locking: Locking { supplied, fresh }, diags, secret_values }
}

/// The lock, if the target is one that it is for.
fn usable<'l>(lock: Option<&'l Lock>, options: &Options, diags: &mut Diagnostics) -> Option<&'l Lock> {
    if lock.is_some() && !options.target.is_standalone() {
        diags.note(&codes::FOR_LIBVIRT, Span::NONE, "a libvirt knows the XML alone: the lock beside it is not used");
        return None;
    }
    lock
}

/// Says that a lock would have to change, and where.
fn behind(lock: Option<&Lock>, fresh: &Lock, doc: &xml::Document<'_>, options: &Options, diags: &mut Diagnostics) {
    let Some(lock) = lock else { return };
    let changes = lock.changes(fresh);
    let Some(first) = changes.first() else { return };
    let span = doc.root().map_or(Span::NONE, |root| root.span());
    let more = if changes.len() > 1 { format!(", and {} more", changes.len() - 1) } else { String::new() };
    let message = format!("the lock would have to change: {first}{more}");
    let told = match options.locked {
        true => diags.error(&codes::BEHIND, span, message),
        false => diags.note(&codes::BEHIND, span, message),
    };
    told.help("look at what changes (`virtc lock --diff FILE`), and take it over with `virtc lock FILE`");
}

/// Checks the document against the format. What is younger than the libvirt that it is for does not stay in it.
fn check_format(doc: &mut xml::Document<'_>, options: &Options, diags: &mut Diagnostics) -> schema::Flagged {
    let grade = if options.target.is_standalone() { schema::Grade::Lenient } else { schema::Grade::Warn };
    match options.target.release() {
        Some(release) if release < Release::NEWEST => {
            let mut younger = schema::Younger::than(release);
            let flagged = schema::validate_watched(doc, grade, diags, &mut younger);
            younger.take_out(doc, diags);
            flagged
        }
        _ => schema::validate(doc, grade, diags),
    }
}

/// Whether there are more devices than any machine takes: then nothing else is looked at.
fn too_many(doc: &xml::Document<'_>, diags: &mut Diagnostics) -> bool {
    let Some(devices) = doc.root().and_then(|r| r.children().find(|e| e.is("devices"))) else { return false };
    if devices.children().count() <= MOST_OF_A_KIND.iter().map(|(_, most)| *most).min().unwrap_or(0) {
        return false;
    }
    let mut refuse = |span, message: String| {
        diags
            .error(&crate::diag::codes::xml::SIZE, span, message)
            .help("QEMU would not start with so many, and Linux would not take its command line");
    };
    let mut found = false;
    if devices.children().nth(MOST_DEVICES).is_some() {
        refuse(devices.span(), format!("more than {MOST_DEVICES} devices"));
        found = true;
    }
    for (kind, most) in MOST_OF_A_KIND {
        if let Some(beyond) = devices.children().filter(|e| e.is(kind)).nth(*most) {
            refuse(beyond.span(), format!("more than {most} elements <{kind}>"));
            found = true;
        }
    }
    found
}
