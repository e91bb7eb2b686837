//! Proves that virtc and libvirt's own grammar agree: random mutations of valid domains get the same verdict
//! from `schema::validate` and from `xmllint --relaxng` with the schemas that libvirt ships.
//!
//! Domains come from `examples/` and `tests/schema/valid/`, and from the folders that VIRTC_CORPUS names
//! (separated by ':'). VIRTC_MUTATIONS says how many mutants to make (default 300; the full run is 10000; `all` makes every
//! small change of every distinct context instead),
//! VIRTC_RNG where libvirt's schemas are, VIRTC_SEED another seed. Differences that are meant are in
//! `tests/schema/known-differences.txt`, each with its reason.

use crate::common::{self, Dice};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use virtc::diag::Diagnostics;
use virtc::schema::{self, tables};
use virtc::xml::{self, El};

struct Base {
    name: String,
    text: String,
}

struct Mutant {
    text: String,
    /// `KIND PATH: before -> after`
    what: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn env_number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// libvirt's grammar, where it is installed.
fn grammar() -> Option<PathBuf> {
    let given = std::env::var_os("VIRTC_RNG").map(PathBuf::from);
    let path = given.unwrap_or_else(|| PathBuf::from("/usr/share/libvirt/schemas/domain.rng"));
    path.is_file().then_some(path)
}

fn domains(folder: &Path, into: &mut Vec<Base>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.extension().is_some_and(|e| e == "xml")
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            // The larger a file, the longer xmllint searches.
            if text.len() > 8000 {
                continue;
            }
            into.push(Base { name: path.display().to_string(), text });
        }
    }
}

/// Whether virtc finds no fault in the format.
fn accepted(text: &str) -> bool {
    let mut diags = Diagnostics::new();
    let doc = xml::parse(text.as_bytes(), &mut diags);
    if diags.has_errors() {
        return false;
    }
    schema::validate(&doc, schema::Grade::Strict, &mut diags);
    diags.is_empty()
}

/// xmllint's verdicts on many texts: valid, not valid, or none where it did not come to an end: its search through
/// interleaved elements can take for ever.
fn verdicts(grammar: &Path, texts: &[&str]) -> Vec<Option<bool>> {
    let all: Vec<usize> = (0..texts.len()).collect();
    let chunks: Vec<&[usize]> = all.chunks(50).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let found = std::sync::Mutex::new(vec![None; texts.len()]);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |n| n.get()) {
            scope.spawn(|| {
                let folder = tempfile::tempdir().expect("a temporary folder");
                while let Some(chunk) = chunks.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let names: Vec<PathBuf> = chunk.iter().map(|i| folder.path().join(format!("{i}.xml"))).collect();
                    for (i, name) in chunk.iter().zip(&names) {
                        std::fs::write(name, texts[*i]).expect("a temporary file");
                    }
                    // A file that it cannot decide on is left out, and it begins anew behind it.
                    let mut from = 0;
                    while from < chunk.len() {
                        let said = ask(grammar, folder.path(), &names[from..]);
                        let mut found = found.lock().expect("no other thread panicked");
                        for (i, verdict) in chunk[from..].iter().zip(&said) {
                            found[*i] = Some(*verdict);
                        }
                        from += said.len() + 1;
                    }
                    names.iter().for_each(|name| std::fs::remove_file(name).expect("a temporary file"));
                }
            });
        }
    });
    found.into_inner().expect("no thread panicked")
}

/// The verdicts on the first of the files, as far as it came before one took more than four seconds of the processor.
fn ask(grammar: &Path, folder: &Path, names: &[PathBuf]) -> Vec<bool> {
    let said = folder.join("said");
    let mut child = Command::new("xmllint")
        .args(["--noout", "--nonet", "--relaxng"])
        .arg(grammar)
        .args(names)
        .stderr(std::fs::File::create(&said).expect("a temporary file"))
        .spawn()
        .expect("xmllint was there a moment ago");
    let (mut size, mut since) = (0, 0);
    while child.try_wait().expect("waiting for xmllint").is_none() {
        let now = std::fs::metadata(&said).map_or(0, |m| m.len());
        if now != size {
            (size, since) = (now, processor_time(child.id()));
        }
        if processor_time(child.id()) >= since + 400 {
            child.kill().expect("stopping xmllint");
            child.wait().expect("waiting for xmllint");
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let said = std::fs::read_to_string(&said).unwrap_or_default();
    let verdict = |name: &PathBuf| {
        let name = name.display();
        let (valid, invalid) = (format!("{name} validates"), format!("{name} fails to validate"));
        said.lines().find_map(|l| if l == valid { Some(true) } else { (l == invalid).then_some(false) })
    };
    names.iter().map_while(verdict).collect()
}

/// The processor time that a process has used, in hundredths of a second: that of the clock says nothing on a busy machine.
fn processor_time(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Fields are counted behind the name, which may hold anything.
    stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(11)?.parse().ok()).unwrap_or(0)
}

/// Values that people write by mistake, and edges of ranges.
const VALUES: &[&str] = &[
    "",
    "yes",
    "no",
    "on",
    "off",
    "true",
    "0",
    "1",
    "-1",
    "4",
    "255",
    "256",
    "65536",
    "0x0",
    "0x1f",
    "0x20",
    "0xff",
    "0x100",
    "0xfffff",
    "1.5",
    "abc",
    "default",
    "none",
    "auto",
    "/dev/null",
    "file",
    "block",
    "network",
    "pci",
    "usb",
    "virtio",
    "raw",
    "qcow2",
    "4294967296",
    "18446744073709551616",
    "52:54:00:12:34:56",
    "0-3",
    "10.0.0.1",
    "KiB",
];

/// Attributes that say which variant of an element it is.
const KINDS: [&str; 5] = ["type", "mode", "model", "protocol", "device"];

fn path_of(el: El<'_>, doc: &xml::Document<'_>) -> String {
    // Ancestors: the elements whose span holds this one.
    let mut path = String::new();
    for outer in doc.elements().filter(|o| o.whole().start <= el.whole().start && el.whole().end <= o.whole().end) {
        let _ = write!(path, "/{}", outer.name());
    }
    path
}

fn misspell(name: &str, dice: &mut Dice) -> String {
    let mut chars: Vec<char> = name.chars().collect();
    let at = dice.roll(chars.len());
    match dice.roll(4) {
        0 if chars.len() > 1 => {
            chars.remove(at);
        }
        1 => chars.insert(at, chars[at]),
        2 if chars.len() > 1 => chars.swap(at, (at + 1) % name.chars().count()),
        _ => {
            chars[at] =
                if chars[at].is_uppercase() { chars[at].to_ascii_lowercase() } else { chars[at].to_ascii_uppercase() }
        }
    }
    chars.into_iter().collect()
}

fn mutate(base: &Base, dice: &mut Dice, pool: &[(String, String)]) -> Option<Mutant> {
    let mut diags = Diagnostics::new();
    let text = &base.text;
    let doc = xml::parse(text.as_bytes(), &mut diags);
    let all: Vec<El<'_>> = doc.elements().collect();
    let el = **dice.pick(&all.iter().collect::<Vec<_>>())?;
    let path = path_of(el, &doc);
    if path.contains("/metadata/") {
        return None;
    }
    let attrs: Vec<_> = el.attrs().collect();
    let whole = el.whole().range();
    let edit =
        |range: std::ops::Range<usize>, with: &str| format!("{}{with}{}", &text[..range.start], &text[range.end..]);
    let (new, what) = match dice.roll(10) {
        0 => {
            let meant = misspell(el.name(), dice);
            let start = el.span().range().start + 1;
            let mut new = text.clone();
            if el.whole() != el.span() {
                let end = text[..whole.end].rfind("</")? + 2;
                new.replace_range(end..end + el.name().len(), &meant);
            }
            new.replace_range(start..start + el.name().len(), &meant);
            (new, format!("misspell-element {path}: {meant}"))
        }
        1 => {
            let attr = dice.pick(&attrs)?;
            let meant = misspell(attr.name(), dice);
            (edit(attr.name_span().range(), &meant), format!("misspell-attribute {path}/@{}: {meant}", attr.name()))
        }
        2 => {
            let copy = format!("{}{}", &text[whole.clone()], &text[whole.clone()]);
            (edit(whole, &copy), format!("duplicate {path}"))
        }
        3 => (edit(whole, ""), format!("drop-element {path}")),
        4 => {
            let attr = dice.pick(&attrs)?;
            (edit(attr.span().range(), ""), format!("drop-attribute {path}/@{}", attr.name()))
        }
        5 => {
            // To another parent.
            let other = *dice.pick(&all)?;
            let spot = other.span().range().end;
            if other.whole() == other.span() || whole.contains(&spot) || spot <= whole.start && whole.end <= spot {
                return None;
            }
            let piece = text[whole.clone()].to_string();
            let new = if spot <= whole.start {
                format!("{}{piece}{}{}", &text[..spot], &text[spot..whole.start], &text[whole.end..])
            } else {
                format!("{}{}{piece}{}", &text[..whole.start], &text[whole.end..spot], &text[spot..])
            };
            (new, format!("move {path}: under {}", path_of(other, &doc)))
        }
        6 => {
            let value = if dice.roll(2) == 0 { *dice.pick(VALUES)? } else { dice.pick(pool)?.1.as_str() };
            if el.text().trim().is_empty() || value.contains(['<', '&']) {
                return None;
            }
            (edit(el.text_span().range(), value), format!("change-text {path}: {} -> {value}", el.text().trim()))
        }
        _ => {
            let attr = dice.pick(&attrs)?;
            let same: Vec<&str> = pool.iter().filter(|(n, _)| n == attr.name()).map(|(_, v)| v.as_str()).collect();
            let value = if dice.roll(2) == 0 { *dice.pick(VALUES)? } else { *dice.pick(&same)? };
            if value.contains(['<', '&', '\'', '"']) {
                return None;
            }
            let what = format!("change-value {path}/@{}: {} -> {value}", attr.name(), attr.value());
            (edit(attr.value_span().range(), value), what)
        }
    };
    (new != *text).then_some(Mutant { text: new, what })
}

/// Every small change once: each attribute and element of each distinct context dropped, doubled, given every
/// value that the format or the corpus knows for its name, and each attribute and element that the format knows
/// for the context added.
fn sweep(bases: &[Base], pool: &[(String, String)]) -> Vec<Mutant> {
    let mut seen = BTreeSet::new();
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for base in bases {
        let mut diags = Diagnostics::new();
        for el in xml::parse(base.text.as_bytes(), &mut diags).elements().filter(|e| !e.text().trim().is_empty()) {
            texts.entry(el.name().to_string()).or_default().insert(el.text().trim().to_string());
        }
    }
    let mut mutants = Vec::new();
    for base in bases {
        let mut diags = Diagnostics::new();
        let text = &base.text;
        let doc = xml::parse(text.as_bytes(), &mut diags);
        for el in doc.elements() {
            let path = path_of(el, &doc);
            if path.contains("/metadata/") || path.contains("backingStore/backingStore") {
                continue;
            }
            let kinds: String = (doc.elements())
                .filter(|o| o.whole().start <= el.whole().start && el.whole().end <= o.whole().end && !o.is("domain"))
                .flat_map(|o| KINDS.map(|k| o.peek(k).map_or("", |a| a.value())))
                .filter(|v| !v.contains('/'))
                .collect::<Vec<_>>()
                .join(",");
            let own: Vec<&str> = KINDS.iter().map(|k| el.peek(k).map_or("", |a| a.value())).collect();
            let own = if path.ends_with("/driver") { String::new() } else { own.join(",") };
            let names: Vec<&str> = el.attrs().map(|a| a.name()).filter(|n| KINDS.contains(n)).collect();
            if !seen.insert(format!("{path} {own} {names:?}")) {
                continue;
            }
            let whole = el.whole().range();
            let edit = |range: std::ops::Range<usize>, with: &str| {
                format!("{}{with}{}", &text[..range.start], &text[range.end..])
            };
            let mut add = |new: String, what: String| {
                let what =
                    format!("{what} ({}) [{}]", kinds.replace(",,", ","), base.name.rsplit('/').next().unwrap_or(""));
                mutants.push(Mutant { text: new, what });
            };
            if path != "/domain" {
                let copy = format!("{}{}", &text[whole.clone()], &text[whole.clone()]);
                add(edit(whole.clone(), &copy), format!("duplicate {path}"));
                add(edit(whole.clone(), ""), format!("drop-element {path}"));
            }
            if !el.text().trim().is_empty() {
                for value in VALUES.iter().copied().chain(texts[el.name()].iter().take(12).map(String::as_str)) {
                    if !value.contains(['<', '&']) {
                        let what = format!("change-text {path}: {} -> {value}", el.text().trim());
                        add(edit(el.text_span().range(), value), what);
                    }
                }
            }
            let defs = definitions(&path);
            for attr in el.attrs() {
                add(edit(attr.span().range(), ""), format!("drop-attribute {path}/@{}", attr.name()));
                let mut values: BTreeSet<&str> = VALUES.iter().copied().collect();
                values.extend(pool.iter().filter(|(n, _)| n == attr.name()).take(12).map(|(_, v)| v.as_str()));
                for slot in defs.iter().flat_map(|d| d.attrs()).filter(|s| tables::name_text(s.name) == attr.name()) {
                    values.extend(slot.ty().words().iter().map(|w| w.word.get()));
                }
                for value in values.into_iter().filter(|v| !v.contains(['<', '&', '\'', '"'])) {
                    let what = format!("change-value {path}/@{}: {} -> {value}", attr.name(), attr.value());
                    add(edit(attr.value_span().range(), value), what);
                }
            }
            let behind_name = el.span().range().start + 1 + el.name().len();
            for slot in defs.iter().flat_map(|d| d.attrs()) {
                let name = tables::name_text(slot.name);
                let words = slot.ty().words().iter().map(|w| w.word.get());
                let known = pool.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).take(3);
                for value in words.chain(known).chain(["1", "/x", "yes"]).take(4) {
                    if el.peek(name).is_none() && !value.contains(['<', '&', '\'', '"']) {
                        let new = format!(" {name}='{value}'");
                        add(edit(behind_name..behind_name, &new), format!("add-attribute {path}/@{name}: {value}"));
                    }
                }
            }
            if path.ends_with("/metadata") {
                continue;
            }
            for slot in defs.iter().flat_map(|d| d.children()) {
                let name = tables::name_text(slot.name);
                if name.contains(':') || el.children().any(|c| c.name() == name) {
                    continue;
                }
                let def = slot.element();
                let mut tag = format!("<{name}");
                for attr in def.attrs().iter().filter(|a| a.required && a.guard == 0) {
                    let key = tables::name_text(attr.name);
                    let known = pool.iter().find(|(n, _)| n == key).map(|(_, v)| v.as_str());
                    let value = attr.ty().words().first().map(|w| w.word.get()).or(known).unwrap_or("1");
                    let _ = write!(tag, " {key}='{value}'");
                }
                let content = match (def.text(), texts.get(name).and_then(|t| t.first())) {
                    (None, _) => "",
                    (Some(ty), _) if !ty.words().is_empty() => ty.words()[0].word.get(),
                    (Some(_), Some(known)) => known.as_str(),
                    (Some(_), None) => "1",
                };
                let _ = write!(tag, ">{content}</{name}>");
                let what = format!("add-element {path}: {tag}");
                if el.whole() == el.span() {
                    let slash = el.span().range().end - 2;
                    add(edit(slash..slash + 2, &format!(">{tag}</{}>", el.name())), what);
                } else {
                    let end = el.span().range().end;
                    add(edit(end..end, &tag), what);
                }
            }
        }
    }
    mutants
}

/// The definitions that a path may lead to, under whatever condition.
fn definitions(path: &str) -> Vec<&'static tables::Element> {
    let mut all = vec![tables::Element::root()];
    for name in path.split('/').skip(2) {
        let mut next: Vec<(u16, &'static tables::Element)> = Vec::new();
        for slot in all.iter().flat_map(|d| d.children()) {
            let local = tables::name_text(slot.name);
            if local.rsplit(':').next() == Some(name) && !next.iter().any(|(id, _)| *id == slot.id()) {
                next.push((slot.id(), slot.element()));
            }
        }
        all = next.into_iter().map(|(_, d)| d).collect();
    }
    all
}

/// Whether the document uses something that the format got after libvirt 9.0, the version of Debian 12 whose
/// grammar the verdicts come from.
fn newer_than_their_grammar(text: &str) -> bool {
    let newer = |since: tables::Text| {
        let mut parts = since.get().split('.').map(|p| p.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) > (9, 0)
    };
    let mut diags = Diagnostics::new();
    let doc = xml::parse(text.as_bytes(), &mut diags);
    doc.elements().any(|el| {
        let defs = definitions(&path_of(el, &doc));
        let all_newer =
            |mut it: Box<dyn Iterator<Item = bool> + '_>| it.next().is_some_and(|first| first && it.all(|n| n));
        all_newer(Box::new(defs.iter().map(|d| newer(d.since))))
            || el.attrs().any(|attr| {
                let slots = || defs.iter().flat_map(|d| d.attrs()).filter(|s| tables::name_text(s.name) == attr.name());
                let words = || slots().flat_map(|s| s.ty().words()).filter(|w| w.word.get() == attr.value());
                all_newer(Box::new(slots().map(|s| newer(s.since))))
                    || all_newer(Box::new(words().map(|w| newer(w.since))))
            })
    })
}

/// A line of the table: a pattern with `*` for anything, and why the verdicts differ.
fn known_differences() -> Vec<(String, String)> {
    let path = root().join("tests/schema/known-differences.txt");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter(|l| !l.trim().is_empty() && !l.starts_with('#'))
        .filter_map(|l| l.split_once(" | "))
        .map(|(pattern, reason)| (pattern.trim().to_string(), reason.trim().to_string()))
        .collect()
}

fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last_was_open = pattern == first;
    let parts: Vec<&str> = parts.collect();
    for (i, part) in parts.iter().enumerate() {
        if i + 1 == parts.len() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last_was_open = true;
    }
    last_was_open && rest.is_empty()
}

#[test]
fn random_mutations_get_the_verdict_of_libvirts_grammar() {
    if common::tool("xmllint", "libxml2-utils").is_none() {
        return;
    }
    let Some(grammar) = grammar() else {
        return common::skip("libvirt's grammar (apt-get install libvirt0, or VIRTC_RNG=…/domain.rng)");
    };
    let mut bases = Vec::new();
    domains(&root().join("examples"), &mut bases);
    domains(&root().join("tests/schema/valid"), &mut bases);
    for folder in std::env::var("VIRTC_CORPUS").unwrap_or_default().split(':').filter(|f| !f.is_empty()) {
        domains(Path::new(folder), &mut bases);
    }
    // What this version of the grammar does not know yet says nothing about a mutation.
    let texts: Vec<&str> = bases.iter().map(|b| b.text.as_str()).collect();
    let valid = verdicts(&grammar, &texts);
    let bases: Vec<Base> =
        bases.into_iter().zip(valid).filter(|(b, v)| *v == Some(true) && accepted(&b.text)).map(|(b, _)| b).collect();
    assert!(!bases.is_empty(), "no valid domain to mutate");

    let mut pool = Vec::new();
    for base in &bases {
        let mut diags = Diagnostics::new();
        let doc = xml::parse(base.text.as_bytes(), &mut diags);
        for attr in doc.elements().flat_map(|e| e.attrs()) {
            pool.push((attr.name().to_string(), attr.value().to_string()));
        }
    }
    pool.sort();
    pool.dedup();

    let wanted = env_number("VIRTC_MUTATIONS", 300) as usize;
    let mut dice = Dice(env_number("VIRTC_SEED", 20_250_501) | 1);
    let exhaustive = std::env::var("VIRTC_MUTATIONS").is_ok_and(|v| v == "all");
    let mut mutants = if exhaustive { sweep(&bases, &pool) } else { Vec::new() };
    while mutants.len() < wanted && !exhaustive {
        let Some(base) = dice.pick(&bases) else { break };
        if let Some(mut mutant) = mutate(base, &mut dice, &pool) {
            mutant.what = format!("{} [{}]", mutant.what, base.name.rsplit('/').next().unwrap_or(""));
            mutants.push(mutant);
        }
    }
    let wanted = mutants.len();
    let texts: Vec<&str> = mutants.iter().map(|m| m.text.as_str()).collect();
    let theirs = verdicts(&grammar, &texts);
    let known = known_differences();
    let (mut explained, mut newer, mut undecided, mut open, mut meant) = (0, 0, 0, Vec::new(), Vec::new());
    for (mutant, theirs) in mutants.iter().zip(theirs) {
        let Some(theirs) = theirs else {
            undecided += 1;
            continue;
        };
        let ours = accepted(&mutant.text);
        if ours == theirs {
            continue;
        }
        let line = format!("{} {}", if ours { "virtc-accepts" } else { "virtc-refuses" }, mutant.what);
        let plain = line.rsplit_once(" [").map_or(line.as_str(), |(l, _)| l);
        let plain = if exhaustive { plain.rsplit_once(" (").map_or(plain, |(l, _)| l) } else { plain };
        if ours && newer_than_their_grammar(&mutant.text) {
            newer += 1;
        } else if known.iter().any(|(pattern, _)| matches(pattern, plain)) {
            explained += 1;
            meant.push(line);
        } else {
            open.push(line);
        }
    }
    // What came after their version says nothing about either side.
    let counted = wanted - newer - undecided;
    let equal = counted - explained - open.len();
    eprintln!(
        "{wanted} mutants of {} domains, {newer} newer than the grammar, {undecided} undecided: {equal} of {counted} equal, \
         {explained} known differences, {} unknown",
        bases.len(),
        open.len()
    );
    if let Some(path) = std::env::var_os("VIRTC_DIFFERENCES") {
        let text: String =
            meant.iter().map(|l| format!("known {l}\n")).chain(open.iter().map(|l| format!("{l}\n"))).collect();
        std::fs::write(path, text).expect("the file of VIRTC_DIFFERENCES");
    }
    let shown: Vec<&String> = open.iter().take(40).collect();
    assert!((open.len() + explained) * 200 <= counted || exhaustive, "more than 0.5 % differ: {shown:#?}");
    assert!(open.is_empty() || exhaustive, "differences that the table does not explain: {shown:#?}");
}

#[test]
fn stars_of_the_table_match_anything() {
    assert!(matches("a *: b", "a x/y: b"));
    assert!(matches("a*", "abc"));
    assert!(matches("abc", "abc"));
    assert!(!matches("a *: b", "a x/y: c"));
    assert!(!matches("abc", "abcd"));
}
