//! AppArmor: what a profile of virtc grants, against cases with links, chains and names that are hostile.
//!
//! The verdict is made from the emitted profile: `apparmor_parser` compiles it, and its rules are read and
//! asked whether they grant a path.

use super::pack::{self, Outcome, Surroundings};
use super::ratchet;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn apparmor_cases() {
    let Some(pack) = pack::folder() else { return };
    let _lock = ratchet::lock();
    let surroundings = Surroundings::new(&pack);
    let cases = pack::json(&pack.join("aa-cases/cases.json"));
    let results = pack::each(cases["cases"].as_array().expect("a list"), "id", |case| {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a folder");
        for fixture in case["fixtures"].as_array().into_iter().flatten() {
            make(&root, fixture.as_str().unwrap_or_default());
        }
        let xml = std::fs::read(pack.join("aa-cases").join(case["xml"].as_str().unwrap_or_default())).expect("a case");
        // Some are no UTF-8.
        let mut text = Vec::new();
        let mut rest = xml.as_slice();
        while let Some(at) = rest.windows(5).position(|w| w == b"@TMP@") {
            text.extend_from_slice(&rest[..at]);
            text.extend_from_slice(root.as_os_str().as_encoded_bytes());
            rest = &rest[at + 5..];
        }
        text.extend_from_slice(rest);
        let base = root.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let text = match String::from_utf8(text) {
            Ok(text) => text.replace("@TMPBASE@", &base).into_bytes(),
            Err(e) => e.into_bytes(),
        };
        let input = root.join("the domain.xml");
        std::fs::write(&input, text).expect("a file");
        // A host as the peer's was: virtio NICs get vhost with KVM only.
        let host = root.join("the host.kdl");
        let facts = "host-facts version=1\nmachine { arch \"x86_64\"; vhost-net policy=\"auto\"; }\n";
        std::fs::write(&host, facts).expect("a file");
        let options = ["--probe-backing".to_string(), "--host".to_string(), host.display().to_string()];
        let outcome = surroundings.build(&input, Duration::from_secs(20), &options);
        verdict(case, &outcome, &root)
    });
    ratchet::judge("apparmor", &results);
}

/// Makes one of the files that a case needs.
fn make(root: &Path, fixture: &str) {
    let absolute = |name: &str| root.join(name).display().to_string();
    let image = |args: &[&str]| {
        let done = Command::new("qemu-img").arg("create").arg("-q").args(args).status();
        assert!(done.is_ok_and(|s| s.success()), "qemu-img {args:?}");
    };
    let (kind, rest) = fixture.split_once(':').unwrap_or(("a", fixture));
    match kind {
        "a" => std::fs::File::create(root.join(rest)).and_then(|f| f.set_len(1 << 20)).expect("a file"),
        "dir" => std::fs::create_dir(root.join(rest)).expect("a folder"),
        "fifo" => {
            let done = Command::new("mkfifo").arg(root.join(rest)).status();
            assert!(done.is_ok_and(|s| s.success()), "mkfifo");
        }
        "ln" => {
            let (link, target) = rest.split_once("->").expect("a link");
            std::os::unix::fs::symlink(target, root.join(link)).expect("a link");
        }
        "qcow2" | "qcow2rel" | "qcow2u" => {
            let (top, below) = rest.split_once("<-").unwrap_or((rest, ""));
            let top = absolute(top);
            let (format, below) = match below.strip_prefix("raw:") {
                Some(below) => ("raw", below),
                None if kind == "qcow2u" => ("raw", below),
                None => ("qcow2", below),
            };
            let named = match kind {
                "qcow2rel" => below.to_string(),
                "qcow2u" => below.replace("@TMP@", &root.display().to_string()),
                _ => absolute(below),
            };
            match (below, kind) {
                ("", _) => image(&["-f", "qcow2", &top, "1M"]),
                (_, "qcow2u") => image(&["-u", "-f", "qcow2", "-F", format, "-b", &named, &top, "1M"]),
                _ => image(&["-f", "qcow2", "-F", format, "-b", &named, &top, "1M"]),
            }
        }
        "qcow2df" => {
            let (top, data) = rest.split_once('+').expect("a data file");
            let option = format!("data_file={}", absolute(data));
            image(&["-f", "qcow2", "-o", &option, &absolute(top), "1M"]);
        }
        other => panic!("fixture {other}"),
    }
}

fn verdict(case: &Value, outcome: &Outcome, root: &Path) -> Result<(), String> {
    let id = case["id"].as_str().unwrap_or_default();
    // Options of the peer's program that have no counterpart.
    for argument in case["args"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if ratchet::is_meant("apparmor", "option", argument, "") {
            return Ok(());
        }
    }
    match (case["expect"].as_str().unwrap_or_default(), outcome.status) {
        (_, None) => return Err("crash or timeout".to_string()),
        (_, Some(status)) if status > 1 => return Err(format!("exit {status}")),
        ("reject", Some(1)) => return Ok(()),
        ("reject", _) => {
            let note = case["note"].as_str().unwrap_or_default();
            let path = case["peer"]["libvirt-11.3.0"]["errors"][0].as_str().unwrap_or_default();
            return match ratchet::is_meant("apparmor", "accepted", path, "")
                || ratchet::is_meant("apparmor", "accepted", note, "")
            {
                true => Ok(()),
                false => Err(format!("not refused: {path}")),
            };
        }
        ("observed", Some(1)) => {
            // The only reasons to refuse what the peer takes are the host's own places and names.
            return match outcome.said.contains("VC0901") {
                true => Err(format!("not supported yet: {}", outcome.refusal().message)),
                false => Ok(()),
            };
        }
        (_, Some(1)) => return ratchet::refused("apparmor", id, &outcome.refusal()),
        _ => {}
    }
    let plan = outcome.plan.as_ref().ok_or("no plan")?;
    if plan["confinement"]["apparmor"].is_null() && ratchet::is_meant("apparmor", "unconfined", "type='none'", "") {
        return Ok(());
    }
    let profile = Profile::of(&outcome.tree)?;
    profile.compiles(&outcome.tree)?;
    let mut faults = Vec::new();
    let at = |path: &str| path.replace("@TMP@", &root.display().to_string());
    for pair in case["must"].as_array().into_iter().flatten() {
        let (raw, mode) = (pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default());
        let path = at(raw);
        if path.contains("aa-case") || ratchet::is_meant("apparmor", "missing", raw, "") {
            continue;
        }
        // What stands for many names is asked for with one.
        let granted: String = alternatives(&path)
            .iter()
            .map(|p| profile.granted(&p.replace('*', "x")))
            .reduce(common)
            .unwrap_or_default();
        match mode.strip_prefix("deny ") {
            // What no rule grants is denied.
            Some(denied) => {
                faults.extend(denied.chars().filter(|c| granted.contains(*c)).map(|c| format!("{path} has {c}")))
            }
            None => {
                let lacks: String = mode.chars().filter(|c| !granted.contains(*c)).collect();
                // A lock may be left out where nothing is locked.
                let accesses = plan["access"].as_array().into_iter().flatten();
                let about = accesses.filter(|a| a["path"] == path.as_str()).find_map(|a| a["cause"]["what"].as_str());
                let meant = ratchet::is_meant("apparmor", "narrower", raw, about.unwrap_or_default());
                if lacks.chars().any(|c| c != 'k') && !meant {
                    faults.push(format!("missing {path} {lacks} (has {granted})"));
                }
            }
        }
    }
    for pair in case["mustnot"].as_array().into_iter().flatten() {
        let (path, mode) = (at(pair[0].as_str().unwrap_or_default()), pair[1].as_str().unwrap_or_default());
        if profile.rules.iter().any(|r| r.path == path) && !mode.starts_with("deny") {
            faults.push(format!("{path} is granted"));
        }
    }
    // Every rule is one that the Plan asks for, and matches that path only.
    for rule in &profile.files {
        let meant = plan["access"]
            .as_array()
            .into_iter()
            .flatten()
            .chain(plan["sockets"].as_array().into_iter().flatten())
            .chain(plan.get("screen"))
            .any(|a| {
                let path = a["resolved"].as_str().or(a["path"].as_str()).unwrap_or_default();
                let plain = rule.literal();
                match a["kind"].as_str() {
                    Some("tree") => plain == format!("{path}/") || plain == format!("{path}/**"),
                    Some("files") => plain == format!("{path}/") || plain == format!("{path}/*"),
                    Some("directory") => plain == format!("{path}/"),
                    Some("pipe") => ["", ".in", ".out"].iter().any(|end| plain == format!("{path}{end}")),
                    _ => plain == path,
                }
            });
        if !meant {
            faults.push(format!("a rule for {}", rule.path));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(format!("{id}: {}", faults.join("; "))) }
}

/// A rule: the path as it is written between the quotes, and its letters.
struct Rule {
    path: String,
    letters: String,
}

impl Rule {
    fn parse(line: &str) -> Option<Rule> {
        let line = line.trim().trim_start_matches("owner ");
        let (path, rest) = match line.strip_prefix('"') {
            Some(inner) => {
                let mut escaped = false;
                let end = inner.char_indices().find(|(_, c)| {
                    let ends = *c == '"' && !escaped;
                    escaped = *c == '\\' && !escaped;
                    ends
                });
                inner.split_at(end?.0)
            }
            None if line.starts_with('/') => line.split_at(line.find(' ')?),
            None => return None,
        };
        let letters = rest.trim_start_matches('"').trim_start().split(',').next()?.trim().to_string();
        letters.chars().all(|c| "rwakmlix".contains(c)).then(|| Rule { path: path.to_string(), letters })
    }

    /// The path without escapes.
    fn literal(&self) -> String {
        let mut out = String::new();
        let mut rest = self.path.chars();
        while let Some(c) = rest.next() {
            if c != '\\' {
                out.push(c);
                continue;
            }
            match rest.next() {
                Some('x') => {
                    let digits: String = rest.by_ref().take(2).collect();
                    out.extend(u8::from_str_radix(&digits, 16).map(char::from));
                }
                Some(other) => out.push(other),
                None => {}
            }
        }
        out
    }

    /// Whether it grants a path. Only the globs that virtc writes itself are known.
    fn matches(&self, path: &str) -> bool {
        match self.path.strip_suffix("/**") {
            Some(_) => {
                let literal = self.literal();
                let folder = literal.trim_end_matches("**");
                path == self.path.as_str() || (path.starts_with(folder) && path.len() > folder.len())
            }
            None if self.path.ends_with("/*") => {
                let literal = self.literal();
                let folder = literal.trim_end_matches('*');
                path.strip_prefix(folder).is_some_and(|name| !name.is_empty() && !name.contains('/'))
            }
            None => alternatives(&self.path)
                .iter()
                .any(|p| Rule { path: p.clone(), letters: String::new() }.literal() == path),
        }
    }
}

/// The letters that both have.
fn common(a: String, b: String) -> String {
    a.chars().filter(|c| b.contains(*c)).collect()
}

/// The paths that `{a,b}` without an escape stands for.
fn alternatives(path: &str) -> Vec<String> {
    let open = path.char_indices().find(|(i, c)| *c == '{' && !path[..*i].ends_with('\\'));
    let Some((open, _)) = open else { return vec![path.to_string()] };
    let mut depth = 0;
    let mut starts = vec![open + 1];
    for (i, c) in path.char_indices().skip_while(|(i, _)| *i < open) {
        match c {
            '{' => depth += 1,
            ',' if depth == 1 => starts.push(i + 1),
            '}' if depth == 1 => {
                starts.push(i + 1);
                let parts = starts.windows(2).map(|w| &path[w[0]..w[1] - 1]);
                return parts
                    .flat_map(|part| alternatives(&format!("{}{part}{}", &path[..open], &path[i + 1..])))
                    .collect();
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    vec![path.to_string()]
}

/// The rules of QEMU's profile.
struct Profile {
    file: String,
    /// Those of the profile itself, and of the domain.
    rules: Vec<Rule>,
    /// Those of the domain.
    files: Vec<Rule>,
}

impl Profile {
    fn of(tree: &[(String, String)]) -> Result<Profile, String> {
        let is_profile = |p: &str| p.starts_with("etc/apparmor.d/libvirt/libvirt-") && !p.ends_with(".files");
        let (file, text) = tree.iter().find(|(p, _)| is_profile(p)).ok_or("no profile")?;
        let own = format!("{file}.files");
        let (_, rules) = tree.iter().find(|(p, _)| *p == own).ok_or("no rules")?;
        let parse = |text: &str| text.lines().filter_map(Rule::parse).collect::<Vec<_>>();
        let files = parse(rules);
        let written = rules.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()).count();
        if written != files.len() {
            return Err(format!("{written} lines hold {} rules", files.len()));
        }
        let head = text.split("\n  profile ").next().unwrap_or_default();
        let rules = parse(head).into_iter().chain(parse(rules)).collect();
        Ok(Profile { file: file.clone(), rules, files })
    }

    fn granted(&self, path: &str) -> String {
        self.rules.iter().filter(|r| r.matches(path)).map(|r| r.letters.as_str()).collect()
    }

    /// Asks AppArmor's own parser.
    fn compiles(&self, tree: &[(String, String)]) -> Result<(), String> {
        if !Path::new("/usr/sbin/apparmor_parser").exists() {
            return Ok(());
        }
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in tree.iter().filter(|(p, _)| p.starts_with("etc/apparmor.d/")) {
            let at = root.path().join(path);
            std::fs::create_dir_all(at.parent().expect("a folder")).expect("a folder");
            std::fs::write(at, text).expect("a file");
        }
        let base = root.path().join("etc/apparmor.d");
        let output = Command::new("/usr/sbin/apparmor_parser")
            .args(["-Q", "-K", "-I"])
            .arg(&base)
            .arg(root.path().join(&self.file))
            .output()
            .expect("apparmor_parser");
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        let said: Vec<&str> =
            said.lines().filter(|l| !l.is_empty() && !l.starts_with("Cache read/write disabled")).collect();
        match output.status.success() && said.is_empty() {
            true => Ok(()),
            false => Err(format!("apparmor_parser: {}", said.join(" / "))),
        }
    }
}
