//! Every code of a diagnostic is raised by a fixture: `tests/rules/VCnnnn-….xml` (a domain), `….host.kdl` (host facts), `….caps`,
//! `….qemu.conf`, `….argv` (a command line to import), `….domain.kdl`. Its first comment says why. What needs more than a file
//! (a running machine, several files, a terminal) is raised by a test that `tests/rules/elsewhere.txt` names, or that asks
//! for the code by its number; the list also says which codes no test raises yet, and why.

use crate::common;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use virtc::caps::profiles;
use virtc::compile::{Until, compile};
use virtc::diag::codes;
use virtc::emit::{self, Extras, Templates};
use virtc::host::Host;
use virtc::plan::Target;
use virtc::stage::Options;
use virtc::vocab::Arch;

#[test]
fn every_fixture_raises_the_code_in_its_name() {
    let mut wrong = Vec::new();
    for (path, code) in fixtures() {
        let raised = raised(&path);
        if !raised.contains(&code) {
            wrong.push(format!("{} raises {raised:?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fixture_says_why() {
    for (path, _) in fixtures() {
        let text = fs::read_to_string(&path).expect("a fixture");
        let first = text.lines().find(|l| !l.starts_with("<?xml")).unwrap_or_default();
        let why = first.trim_start_matches("<!--").trim_end_matches("-->").trim_start_matches(['/', '#']).trim();
        assert!(why != first && why.ends_with('.') && why.len() > 10, "{}: {first}", path.display());
    }
}

#[test]
fn every_code_is_raised_somewhere() {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for (path, code) in fixtures() {
        known.insert(code, path.display().to_string());
    }
    for (code, test) in elsewhere() {
        if test.starts_with("-\t") {
            assert!(known.insert(code.clone(), test).is_none(), "{code} has a fixture: it is not to be listed");
            continue;
        }
        let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{code}: FILE::TEST, not {test}"));
        let source = fs::read_to_string(common::root().join(file)).unwrap_or_else(|e| panic!("{code}: {file}: {e}"));
        assert!(source.contains(&format!("fn {name}(")), "{code}: {file} has no test {name}");
        let twice = known.insert(code.clone(), test);
        assert!(twice.is_none(), "{code} has a fixture: it is not to be listed");
    }
    let named = named_in_tests(&common::root().join("tests"));
    let all: BTreeSet<&str> = codes::all().map(|code| code.id).collect();
    let raised: BTreeSet<&str> = known.keys().map(String::as_str).collect();
    let missing: Vec<_> = all.difference(&raised).filter(|code| !named.contains(**code)).collect();
    assert!(missing.is_empty(), "add tests/rules/CODE-*.xml, or a line to tests/rules/elsewhere.txt: {missing:?}");
    let gone: Vec<_> = raised.difference(&all).collect();
    assert!(gone.is_empty(), "no such code: {gone:?}");
}

#[test]
fn a_template_with_a_slip() {
    let own = tempfile::tempdir().expect("a folder");
    fs::write(own.path().join("service.hbs"), "Description={{desription}}\n").expect("a template");
    let plain = folder().join("plain.xml");
    let out = own.path().join("out");
    let arguments = [Path::new("build"), &plain, Path::new("--templates"), own.path(), Path::new("-o"), &out];
    let output = common::virtc().args(arguments).output().expect("virtc");
    assert!(String::from_utf8_lossy(&output.stderr).contains("VC1104"), "{output:?}");
}

/// The codes that tests ask for by their numbers.
fn named_in_tests(folder: &Path) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for path in fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            out.extend(named_in_tests(&path));
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("rules.rs") {
            let source = fs::read_to_string(&path).expect("a test");
            out.extend(source.split("\"VC").skip(1).filter_map(|rest| Some(format!("VC{}", rest.get(..4)?))));
        }
    }
    out
}

fn folder() -> PathBuf {
    common::root().join("tests/rules")
}

/// The fixtures, each with the code that it is to raise.
fn fixtures() -> Vec<(PathBuf, String)> {
    let files = fs::read_dir(folder()).expect("tests/rules").flatten().map(|entry| entry.path());
    let mut out: Vec<_> = files
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            let code = name.starts_with("VC").then(|| name.split('-').next())??.to_string();
            Some((path.clone(), code))
        })
        .collect();
    out.sort();
    out
}

/// `CODE TAB FILE::TEST`, one a line.
fn elsewhere() -> Vec<(String, String)> {
    let text = fs::read_to_string(folder().join("elsewhere.txt")).expect("the list");
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    lines
        .map(|line| {
            let (code, test) = line.split_once('\t').unwrap_or_else(|| panic!("CODE TAB FILE::TEST, not {line}"));
            (code.to_string(), test.to_string())
        })
        .collect()
}

/// The codes that a fixture raises.
fn raised(path: &Path) -> BTreeSet<String> {
    let name = path.to_str().expect("a name");
    if name.ends_with(".xml") {
        return raised_by_domain(path);
    }
    let plain = folder().join("plain.xml");
    let plain = plain.to_str().expect("a name");
    let arguments: &[&str] = match name {
        _ if name.ends_with(".host.kdl") => &["argv", plain, "--host", name],
        _ if name.ends_with(".caps") => &["argv", plain, "--caps", name],
        _ if name.ends_with(".qemu.conf") => &["import", "qemu.conf", name],
        _ if name.ends_with(".argv") => &["import", "argv", name],
        _ if name.ends_with(".domain.kdl") => &["import", "kdl", name],
        _ => panic!("{name}: no kind of fixture"),
    };
    let output = common::virtc().args(arguments).output().expect("virtc");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    told.split_whitespace().filter_map(|word| word.split_once('[')).map(|(code, _)| code.to_string()).collect()
}

/// Compiles a domain with the profile of its own architecture, or the one that a comment names (`qemu: qemu-7.2`), for the target that a
/// comment names, and makes its outputs.
fn raised_by_domain(path: &Path) -> BTreeSet<String> {
    let text = fs::read(path).expect("a fixture");
    let comment = String::from_utf8_lossy(&text).into_owned();
    let target = comment.lines().find_map(|l| l.strip_prefix("<!-- target: ")?.strip_suffix(" -->"));
    let target: Target = target.map_or(Target::Standalone, |t| t.parse().expect("a target"));
    let arch = if comment.contains("arch='aarch64'") { Arch::Aarch64 } else { Arch::X86_64 };
    let qemu = comment.lines().find_map(|l| l.strip_prefix("<!-- qemu: ")?.strip_suffix(" -->"));
    let caps = qemu.map_or_else(|| profiles::default(arch), |name| profiles::named(name, arch)).expect("a profile");
    let options = Options { target, ..Options::default() };
    let mut compiled = compile(&text, &Host::default(), &caps, &options, Until::Planned);
    if let Some(plan) = &compiled.plan {
        emit::all(plan, &Extras::default(), &Templates::default(), &mut compiled.diags);
    }
    compiled.diags.iter().map(|d| d.code.id.to_string()).collect()
}
