//! A domain through every stage and every emitter, for both targets.
//!
//! Beside "no panic": a normalised domain is its own normal form, `plan.json` reads as the Plan that was written, and
//! no argument holds what a process cannot be given. The mutator edits elements and values by the schema, half of the time.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::sync::LazyLock;
use virtc::caps::fitting;
use virtc::compile::{Compiled, Until, compile_for};
use virtc::diag::render::{MessageFormat, render};
use virtc::diag::{Diagnostics, Severity};
use virtc::emit::{Extras, Templates, all, argv, plan_json};
use virtc::host::Host;
use virtc::plan::{Plan, Target};
use virtc::schema::tables;
use virtc::stage::Options;
use virtc::xml::{self, Namespace};

static HOST: LazyLock<Host> = LazyLock::new(Host::default);

/// To parse them takes longer than to compile a domain.
static TEMPLATES: LazyLock<Templates> = LazyLock::new(Templates::built_in);

fuzz_target!(|bytes: &[u8]| {
    // One target and one format an input, chosen by it: an input that differs in a blank tries the other.
    let choice = bytes.iter().fold(0_usize, |sum, b| sum.wrapping_mul(31).wrapping_add(usize::from(*b)));
    let target = match choice % 3 {
        0 => Target::Libvirt(virtc::vocab::Release::OLDEST),
        _ => Target::Standalone,
    };
    let options = Options { target, ..Options::default() };
    let one = |text: &[u8], until| compile_for(text, &HOST, &fitting, &options, until);
    let compiled = one(bytes, Until::Planned);
    rendered(&compiled, bytes, choice / 3);
    if compiled.diags.iter().any(|d| d.severity == Severity::Error) {
        return;
    }
    if let Some(domain) = &compiled.domain {
        let printed = virtc::domain::print(domain);
        let again = one(printed.as_bytes(), Until::Resolved);
        assert!(!again.diags.has_errors(), "its own normal form is refused: {}\n{printed}", said(&again, &printed));
        let twice = virtc::domain::print(&again.domain.expect("no error, so there is a domain"));
        // Like libvirt, virtc sorts disks before it knows a bus that the XML leaves out: only their order may change.
        let lines = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(String::from).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&twice), lines(&printed), "the normal form of the normal form is another");
    }
    if let Some(plan) = &compiled.plan {
        emitted(plan);
    }
});

fn rendered(compiled: &Compiled, bytes: &[u8], choice: usize) {
    // For people, an excerpt of the source is drawn for each fault: seldom, because it takes long.
    let format = match choice % 16 {
        0 => MessageFormat::Human,
        n if n % 2 == 0 => MessageFormat::Json,
        _ => MessageFormat::Github,
    };
    let text = String::from_utf8_lossy(bytes);
    render(&compiled.diags, "fuzz.xml", &text, format, false, &mut std::io::sink()).expect("a sink takes all");
}

fn said(compiled: &Compiled, text: &str) -> String {
    let mut out = Vec::new();
    render(&compiled.diags, "fuzz.xml", text, MessageFormat::Github, false, &mut out).expect("memory takes all");
    String::from_utf8_lossy(&out).into_owned()
}

fn emitted(plan: &Plan) {
    let json = plan_json(plan);
    let read: Plan = serde_json::from_str(&json).expect("plan.json is a Plan");
    assert_eq!(plan_json(&read), json);
    for process in &plan.processes {
        assert!(argv::tokens(process).iter().all(|t| !t.contains('\0')));
    }
    let tree = all(plan, &Extras::default(), &TEMPLATES, &mut Diagnostics::new());
    for file in tree {
        assert!(!file.path.starts_with('/') && !file.path.split('/').any(|part| part == ".."), "{}", file.path);
    }
}

/// Numbers from one seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.roll(from.len()))
    }
}

const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "9223372036854775807",
    "0x0",
    "0xffff",
    "yes",
    "no",
    "on",
    "off",
    "a,b=c",
    "/",
    "//",
    "/dev/null",
    "..",
    "%s",
    "${x}",
    "\u{e9}",
    "vda",
    "pcie-root",
    "virtio",
    "auto",
    "default",
    "none",
    "65535",
    "65536",
    "1000000000000",
];

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut dice = Dice(u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let edited = std::str::from_utf8(&data[..size]).ok().filter(|_| dice.roll(8) != 0).and_then(|t| edit(t, &mut dice));
    match edited {
        Some(text) if text.len() <= max_size => {
            data[..text.len()].copy_from_slice(text.as_bytes());
            text.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});

/// One edit by the schema.
fn edit(text: &str, dice: &mut Dice) -> Option<String> {
    let doc = xml::parse(text.as_bytes(), &mut Diagnostics::new());
    let all: Vec<_> = doc.elements().collect();
    let el = *dice.pick(&all)?;
    let attrs: Vec<_> = el.attrs().collect();
    let whole = el.whole().range();
    let replaced = |at: std::ops::Range<usize>, with: &str| format!("{}{with}{}", &text[..at.start], &text[at.end..]);
    let name = tables::find_name(Namespace::None, el.name());
    let definitions: Vec<_> = tables::elements().iter().filter(|e| e.name == name).collect();
    let behind_name = el.span().range().start + 1 + el.name().len();
    Some(match dice.roll(7) {
        0 => replaced(whole, ""),
        1 => replaced(whole.clone(), &text[whole].repeat(2)),
        2 => replaced(dice.pick(&attrs)?.span().range(), ""),
        3 => {
            let definition = *dice.pick(&definitions)?;
            let slot = dice.pick(definition.attrs())?;
            let value = value_of(slot.ty(), dice);
            replaced(behind_name..behind_name, &format!(" {}='{value}'", tables::name_text(slot.name)))
        }
        4 => {
            let other = dice.pick(&all)?.whole().range();
            let spot = el.span().range().end;
            replaced(spot..spot, text.get(other)?)
        }
        5 => {
            let definition = *dice.pick(&definitions)?;
            let slot = dice.pick(definition.children())?;
            let spot = el.span().range().end;
            replaced(spot..spot, &format!("<{}/>", tables::name_text(slot.name)))
        }
        _ => {
            let attr = dice.pick(&attrs)?;
            let slots = definitions.iter().flat_map(|d| d.attrs()).filter(|s| tables::name_text(s.name) == attr.name());
            let types: Vec<_> = slots.map(|s| s.ty()).collect();
            let ty = *dice.pick(&types)?;
            replaced(attr.value_span().range(), &value_of(ty, dice))
        }
    })
}

fn value_of(ty: &tables::Type, dice: &mut Dice) -> String {
    let word = dice.pick(ty.words());
    match word {
        Some(word) if dice.roll(3) != 0 => word.word.get().to_string(),
        _ => dice.pick(VALUES).copied().unwrap_or_default().to_string(),
    }
}
