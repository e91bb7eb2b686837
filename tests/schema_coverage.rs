//! Proves that no entry of the schema goes untested: every attribute, every value of every value set and every
//! element is used by a valid domain: one of `examples/`, of our own in `tests/schema/valid/`, or of the corpora
//! that VIRTC_CORPUS names. Without corpora, our own files have to do it all, and they do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use virtc::diag::Diagnostics;
use virtc::schema::{self, Watch, reference, tables};
use virtc::xml::{self, Attr, El};

/// The entries that were used, by their names.
#[derive(Default)]
struct Used {
    names: BTreeMap<usize, String>,
    seen: BTreeSet<String>,
}

impl Used {
    /// Names for all entries: `PATH`, `PATH/@ATTRIBUTE`, `PATH/@ATTRIBUTE=WORD`. Entries of several conditions share
    /// one.
    fn all() -> (BTreeSet<String>, BTreeMap<usize, String>) {
        let mut names = BTreeMap::new();
        let mut all = BTreeSet::new();
        for place in reference::places() {
            for (_, _, def) in &place.variants {
                let at = std::ptr::from_ref(*def) as usize;
                // The first place of a definition names it: the others hold the same.
                if names.contains_key(&at) {
                    continue;
                }
                let path = place.path.trim_start_matches("/domain/").to_string();
                for attr in def.attrs() {
                    let name = format!("{path}/@{}", tables::name_text(attr.name));
                    all.extend(
                        attr.ty()
                            .words()
                            .iter()
                            .filter(|_| is_own(attr.ty()))
                            .map(|w| format!("{name}={}", w.word.get())),
                    );
                    names.insert(std::ptr::from_ref(attr) as usize, name.clone());
                    all.insert(name);
                }
                if let Some(ty) = def.text() {
                    all.extend(ty.words().iter().filter(|_| is_own(ty)).map(|w| format!("{path}={}", w.word.get())));
                }
                for child in def.children() {
                    let name = format!("{path}/{}", tables::name_text(child.name));
                    names.insert(std::ptr::from_ref(child) as usize, name.clone());
                    all.insert(name);
                }
                names.insert(at, path);
            }
        }
        (all, names)
    }
}

/// Units and switches are the same everywhere: one use of the type is enough, not one of each word at each place.
fn is_own(ty: &tables::Type) -> bool {
    !matches!(ty.name.get(), "size-unit" | "on-off" | "yes-no" | "format-name" | "virtio-model" | "disk-type")
}

impl Watch for Used {
    fn attribute(&mut self, slot: &'static tables::AttrSlot, _of: El<'_>, attr: Attr<'_>) {
        if let Some(name) = self.names.get(&(std::ptr::from_ref(slot) as usize)) {
            self.seen.insert(name.clone());
            self.seen.insert(format!("{name}={}", attr.value()));
        }
    }

    fn child(&mut self, slot: &'static tables::ChildSlot, _el: El<'_>) {
        if let Some(name) = self.names.get(&(std::ptr::from_ref(slot) as usize)) {
            self.seen.insert(name.clone());
        }
    }

    fn text(&mut self, of: &'static tables::Element, el: El<'_>) {
        if let Some(name) = self.names.get(&(std::ptr::from_ref(of) as usize)) {
            self.seen.insert(format!("{name}={}", el.text().trim()));
        }
    }
}

fn exercise(folder: &Path, used: &mut Used, strict: bool) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let mut count = 0;
    for path in entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "xml")) {
        let Ok(text) = std::fs::read(&path) else { continue };
        let mut diags = Diagnostics::new();
        let doc = xml::parse(&text, &mut diags);
        // A file with faults proves nothing.
        let mut mine = Used { names: std::mem::take(&mut used.names), seen: BTreeSet::new() };
        schema::validate_watched(&doc, schema::Grade::Strict, &mut diags, &mut mine);
        used.names = mine.names;
        if diags.is_empty() {
            used.seen.extend(mine.seen);
            count += 1;
        } else if strict {
            let first = diags.sorted()[0].message.clone();
            panic!("{}: {first}", path.display());
        }
    }
    count
}

#[test]
fn every_entry_is_used_by_a_valid_domain() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let (all, names) = Used::all();
    let mut used = Used { names, seen: BTreeSet::new() };
    let mut files = exercise(&root.join("examples"), &mut used, true);
    files += exercise(&root.join("tests/schema/valid"), &mut used, true);
    let own: BTreeSet<String> = all.intersection(&used.seen).cloned().collect();
    let corpora = std::env::var("VIRTC_CORPUS").unwrap_or_default();
    let mut from_corpora = 0;
    for folder in corpora.split(':').filter(|f| !f.is_empty()) {
        from_corpora += exercise(Path::new(folder), &mut used, false);
    }
    let missing: Vec<&String> = all.difference(&used.seen).collect();
    eprintln!("{} entries; {} used by {files} files of our own, {} not used", all.len(), own.len(), missing.len());
    if from_corpora == 0 {
        eprintln!("no corpora (VIRTC_CORPUS): our own files count alone");
    }
    if let Some(path) = std::env::var_os("VIRTC_UNCOVERED") {
        let gaps: Vec<&str> = missing.iter().map(|m| m.as_str()).collect();
        std::fs::write(&path, format!("{}\n", gaps.join("\n"))).expect("the file of VIRTC_UNCOVERED");
    }
    assert!(missing.is_empty(), "entries that no domain uses: {:#?}", &missing[..missing.len().min(60)]);
}
