//! One direction: a file knows what lies on its floor or below, and files that know each other in a circle lie in one
//! folder. The floors are the table in `docs/ARCHITECTURE.md`; what a file knows is read from the paths in its source,
//! `use` or not, also in macros. Unit tests may know everything.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// A module as the names that lead to it from the root of the crate.
type Module = Vec<String>;

/// The files of the library, by module.
type Files = BTreeMap<Module, String>;

/// Per file, the files that it knows, each with a path that says so.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn no_file_knows_a_floor_above_its_own() {
    let floors = floors();
    let mut wrong = Vec::new();
    for (file, known) in arrows(&library()) {
        let own = floor(&floors, &file);
        for (other, path) in known {
            let its = floor(&floors, &other);
            if its > own {
                wrong.push(format!("{file} ({}) knows {other} ({}): {path}", floors[own].0, floors[its].0));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that run up, against the floors of docs/ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

#[test]
fn no_circle_spans_two_folders() {
    let files = library();
    let arrows = arrows(&files);
    let wrong: Vec<String> = circles(&arrows)
        .into_iter()
        .filter(|circle| !have_a_folder(&files, circle))
        .map(|circle| describe(&circle, &arrows))
        .collect();
    assert!(wrong.is_empty(), "files of several folders know each other in a circle:\n{}", wrong.join("\n"));
}

#[test]
fn every_row_of_the_floors_has_a_file() {
    let files: Vec<String> = library().into_values().collect();
    for (name, globs) in floors() {
        for glob in globs {
            assert!(files.iter().any(|file| fits(&glob, file)), "floor '{name}': nothing is called {glob}");
        }
    }
}

#[test]
fn paths_are_read_where_they_stand() {
    let known = |source: &str| {
        let files: Files = [("a", "a.rs"), ("a::b", "a/b.rs"), ("c", "c.rs"), ("c::d", "c/d.rs")]
            .map(|(module, file)| (module.split("::").map(str::to_string).collect(), file.to_string()))
            .into();
        let arrows = arrows_of(&["a".to_string()].to_vec(), source, &files);
        arrows.into_keys().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(known("use crate::c::{self, d::Thing as Other};"), "c.rs c/d.rs");
    assert_eq!(known("fn f() { crate::c::d::g() }"), "c/d.rs");
    assert_eq!(known("use crate::c; fn f() { c::d::g() }"), "c.rs c/d.rs");
    assert_eq!(known("mod b; pub use b::*;"), "a/b.rs");
    assert_eq!(known("use super::c::d;"), "c/d.rs");
    assert_eq!(known("macro_rules! m { () => { $crate::c::X } }"), "c.rs");
    assert_eq!(known("/// [`crate::c::d`]\nfn f() { g(\"crate::c\") } // crate::c"), "");
    assert_eq!(known("#[cfg(test)]\nmod tests { use crate::c::d; }\nuse crate::c::X;"), "c.rs");
}

// ---- the table of floors

/// The floors from the ground up: name, patterns of files.
fn floors() -> Vec<(String, Vec<String>)> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ARCHITECTURE.md")).expect("the page");
    let section = page.split("\n## ").find(|s| s.starts_with("Floors\n")).expect("a section 'Floors'");
    let rows = section.lines().filter(|l| l.starts_with("| ")).skip(1);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let globs = cells[1].split('`').skip(1).step_by(2);
        (cells[0].trim().to_string(), globs.map(str::to_string).collect())
    })
    .collect()
}

/// The floor of a file: that of the most telling pattern which it fits.
fn floor(floors: &[(String, Vec<String>)], file: &str) -> usize {
    let fitting = floors.iter().enumerate().flat_map(|(at, (_, globs))| {
        let best = globs.iter().filter(|g| fits(g, file)).map(|g| g.replace('*', "").len()).max();
        best.map(|letters| (letters, at))
    });
    fitting.max().unwrap_or_else(|| panic!("src/{file} is on no floor of docs/ARCHITECTURE.md")).1
}

/// Whether a file fits a pattern: `*` is a name or a part of one, `**` any number of names.
fn fits(glob: &str, file: &str) -> bool {
    match glob.split_once('*') {
        None => glob == file,
        Some((start, rest)) => file.strip_prefix(start).is_some_and(|tail| match rest.strip_prefix('*') {
            Some(rest) => (0..=tail.len()).any(|n| tail.is_char_boundary(n) && fits(rest, &tail[n..])),
            None => {
                let name = tail.find('/').unwrap_or(tail.len());
                (0..=name).any(|n| tail.is_char_boundary(n) && fits(rest, &tail[n..]))
            }
        }),
    }
}

// ---- files and what they know

/// The files of the library, relative to `src/`, without unit tests. Programs beside it are crates of their own.
fn library() -> Files {
    fn walk(folder: &Path, below: &str, out: &mut Files) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let name = entry.file_name().into_string().expect("a name");
            let relative = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
            if entry.path().is_dir() && relative != "bin" {
                walk(&entry.path(), &relative, out);
            } else if name.ends_with(".rs") && relative != "main.rs" && !name.ends_with("tests.rs") {
                let path = relative.trim_end_matches(".rs");
                let path = path.strip_suffix("/mod").unwrap_or(path);
                let module = if path == "lib" { Vec::new() } else { path.split('/').map(str::to_string).collect() };
                out.insert(module, relative);
            }
        }
    }
    let mut out = Files::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut out);
    out
}

/// Whether files lie in one folder.
fn have_a_folder<'f>(files: &Files, circle: impl IntoIterator<Item = &'f String>) -> bool {
    let mut all = circle.into_iter().map(|file| folders(files, file));
    let first = all.next().unwrap_or_default();
    !all.fold(first, |common, those| &common & &those).is_empty()
}

/// The folders that a file belongs to: the one in which it lies, and `a/b/` for `a/b.rs` if there is one.
fn folders(files: &Files, file: &str) -> BTreeSet<String> {
    let own = file.trim_end_matches(".rs");
    let below = format!("{own}/");
    let around = own.rsplit_once('/').map_or("", |(folder, _)| folder).to_string();
    let inside = files.values().any(|f| f.starts_with(&below)).then(|| own.to_string());
    inside.into_iter().chain([around]).collect()
}

fn arrows(files: &Files) -> Arrows {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    files
        .iter()
        .map(|(module, file)| {
            let source = fs::read_to_string(root.join(file)).expect("a file");
            let mut known = arrows_of(module, &source, files);
            known.remove(file);
            (file.clone(), known)
        })
        .collect()
}

/// The files that a source knows.
fn arrows_of(module: &Module, source: &str, files: &Files) -> BTreeMap<String, String> {
    let stream = TokenStream::from_str(source).unwrap_or_else(|e| panic!("{module:?}: {e}"));
    let mut words = Vec::new();
    flatten(stream, &mut words);
    let paths = paths(&without_tests(&words));
    // Modules that the source gives a name of its own.
    let mut names: BTreeMap<String, Module> = BTreeMap::new();
    for path in paths.iter().filter(|p| p.imported) {
        if let Some((found, rest)) = resolve(module, &path.names, &BTreeMap::new(), files)
            && rest.iter().all(|name| name == "self")
            && !found.is_empty()
        {
            names.insert(path.known_as.clone(), found);
        }
    }
    let mut known = BTreeMap::new();
    for path in &paths {
        if let Some((found, _)) = resolve(module, &path.names, &names, files) {
            known.entry(files[&found].clone()).or_insert_with(|| path.names.join("::"));
        }
    }
    known
}

/// The module that a path leads to, and the rest of it; none for paths into other crates or within the file.
fn resolve(
    here: &Module,
    path: &[String],
    names: &BTreeMap<String, Module>,
    files: &Files,
) -> Option<(Module, Vec<String>)> {
    let child = |base: &Module, name: &String| {
        let module: Module = base.iter().chain([name]).cloned().collect();
        files.contains_key(&module).then_some(module)
    };
    let mut rest = path;
    let mut base = match path.first()?.as_str() {
        "crate" => Module::new(),
        "self" | "super" => here.clone(),
        name if names.contains_key(name) => names[name].clone(),
        _ => child(here, &path[0])?,
    };
    if matches!(path[0].as_str(), "self" | "super") {
        while let Some(name) = rest.first().filter(|n| matches!(n.as_str(), "self" | "super")) {
            if name == "super" {
                base.pop();
            }
            rest = &rest[1..];
        }
    } else {
        rest = &rest[1..];
    }
    while let Some(module) = rest.first().and_then(|name| child(&base, name)) {
        base = module;
        rest = &rest[1..];
    }
    Some((base, rest.to_vec()))
}

// ---- reading the source

/// A piece of source.
#[derive(Clone, Debug, PartialEq)]
enum Word {
    Name(String),
    /// `::`
    Step,
    Sign(char),
    Open(char),
    Close(char),
}

fn flatten(stream: TokenStream, out: &mut Vec<Word>) {
    let mut colon = false;
    for tree in stream {
        let was_colon = std::mem::take(&mut colon);
        match tree {
            TokenTree::Ident(name) => out.push(Word::Name(name.to_string())),
            TokenTree::Literal(_) => out.push(Word::Sign('"')),
            TokenTree::Punct(sign) if sign.as_char() == ':' && was_colon => out.push(Word::Step),
            TokenTree::Punct(sign) if sign.as_char() == ':' && sign.spacing() == Spacing::Joint => colon = true,
            TokenTree::Punct(sign) => out.push(Word::Sign(sign.as_char())),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::Parenthesis => ('(', ')'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::None => (' ', ' '),
                };
                out.push(Word::Open(open));
                flatten(group.stream(), out);
                out.push(Word::Close(close));
            }
        }
    }
}

/// The source without what stands behind `#[cfg(test)]`.
fn without_tests(words: &[Word]) -> Vec<Word> {
    let mut marker = Vec::new();
    flatten(TokenStream::from_str("#[cfg(test)]").expect("an attribute"), &mut marker);
    let mut out = Vec::new();
    let mut at = 0;
    while at < words.len() {
        if !words[at..].starts_with(&marker) {
            out.push(words[at].clone());
            at += 1;
            continue;
        }
        at += marker.len();
        let mut depth = 0usize;
        while at < words.len() {
            match words[at] {
                Word::Open(_) => depth += 1,
                Word::Close(_) => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 && matches!(words[at - 1], Word::Close('}') | Word::Sign(';')) {
                break;
            }
        }
    }
    out
}

/// A path of the source.
struct PathFound {
    names: Vec<String>,
    /// Whether it stands in a `use`, and as what it is known then.
    imported: bool,
    known_as: String,
}

fn paths(words: &[Word]) -> Vec<PathFound> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < words.len() {
        match &words[at] {
            Word::Name(name) if name == "use" => at = tree(words, at + 1, &[], &mut out),
            Word::Name(first) if words.get(at + 1) == Some(&Word::Step) && !follows_step(words, at) => {
                let mut names = vec![first.clone()];
                at += 1;
                while let (Some(Word::Step), Some(Word::Name(name))) = (words.get(at), words.get(at + 1)) {
                    names.push(name.clone());
                    at += 2;
                }
                out.push(PathFound { names, imported: false, known_as: String::new() });
            }
            _ => at += 1,
        }
    }
    out
}

fn follows_step(words: &[Word], at: usize) -> bool {
    at > 0 && words[at - 1] == Word::Step
}

/// Reads a tree of imports; gives where it ends.
fn tree(words: &[Word], mut at: usize, before: &[String], out: &mut Vec<PathFound>) -> usize {
    let mut names = before.to_vec();
    loop {
        match words.get(at) {
            Some(Word::Name(name)) => names.push(name.clone()),
            Some(Word::Open('{')) => {
                at += 1;
                while at < words.len() && words[at] != Word::Close('}') {
                    at = tree(words, at, &names, out);
                    if words.get(at) == Some(&Word::Sign(',')) {
                        at += 1;
                    }
                }
                return at + 1;
            }
            Some(Word::Sign('$')) => {
                at += 1;
                continue;
            }
            // `*`, or something that is no import at all (`use<'a>`).
            _ => {
                if names.len() > before.len() || words.get(at) == Some(&Word::Sign('*')) {
                    out.push(PathFound { names, imported: true, known_as: "*".to_string() });
                }
                return at + 1;
            }
        }
        at += 1;
        if words.get(at) == Some(&Word::Step) {
            at += 1;
            continue;
        }
        let mut known_as = names.iter().rev().find(|n| *n != "self").cloned().unwrap_or_default();
        if let (Some(Word::Name(word)), Some(Word::Name(name))) = (words.get(at), words.get(at + 1))
            && word == "as"
        {
            known_as = name.clone();
            at += 2;
        }
        out.push(PathFound { names, imported: true, known_as });
        return at;
    }
}

// ---- circles

/// The groups of files that know each other, directly or not (Kosaraju's two walks).
fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    fn finish<'a>(file: &'a str, arrows: &'a Arrows, seen: &mut BTreeSet<&'a str>, order: &mut Vec<&'a str>) {
        if seen.insert(file) {
            arrows[file].keys().for_each(|other| finish(other, arrows, seen, order));
            order.push(file);
        }
    }
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    arrows.keys().for_each(|file| finish(file, arrows, &mut seen, &mut order));
    let mut knowers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (file, known) in arrows {
        known.keys().for_each(|other| knowers.entry(other).or_default().push(file));
    }
    let mut placed = BTreeSet::new();
    let mut out = Vec::new();
    for file in order.into_iter().rev() {
        let (mut group, mut open) = (Vec::new(), vec![file]);
        while let Some(next) = open.pop() {
            if placed.insert(next) {
                group.push(next.to_string());
                open.extend(knowers.get(next).into_iter().flatten());
            }
        }
        if group.len() > 1 {
            out.push(group);
        }
    }
    out
}

fn describe(circle: &[String], arrows: &Arrows) -> String {
    let lines = circle.iter().map(|file| {
        let known = arrows[file].iter().filter(|(other, _)| circle.contains(other));
        let known: Vec<String> = known.map(|(other, path)| format!("{other} ({path})")).collect();
        format!("  {file} knows {}", known.join(", "))
    });
    lines.collect::<Vec<_>>().join("\n")
}
