//! The lock beside the source: which element a value was chosen for.

use super::Text;
use super::origins::Origins;
use super::text::parts;
use crate::domain::Domain;
use crate::emit::Mark;
use crate::lock::{self, About, Lock};
use crate::plan::Cause;
use crate::xml::{Document, El, Site};
use std::collections::BTreeMap;

/// The text of the lock. `place` is its own among the outputs: number of the tab and of the text.
pub fn text(lock: &Lock, domain: &Domain, doc: &Document<'_>, place: (usize, usize), origins: &mut Origins) -> Text {
    let mut sites: BTreeMap<String, Site> = BTreeMap::new();
    if let Some(devices) = &domain.devices {
        devices.each(&mut |device| {
            sites.insert(device.info().id.clone(), device.site());
        });
    }
    let lines = crate::diag::render::Lines::of(doc.source());
    let (text, placed) = lock::write_placed(lock);
    let mark = |(range, about)| {
        let found = match about {
            About::Machine => element(doc, "os.type"),
            About::Value(path) => element(doc, path.strip_prefix("argv.").unwrap_or(path)),
            About::Device(entry) => sites.get(&entry.id).filter(|_| !entry.made).and_then(|site| doc.element(*site)),
        };
        let cause = match found {
            Some(el) => {
                let line = lines.place(el.span().start).0 as u32;
                Cause { line, span: el.span(), what: format!("<{}>", el.name()).into(), is_default: false }
            }
            None => Cause { what: "default: what virtc adds".into(), is_default: true, ..Cause::default() },
        };
        Mark { range, cause }
    };
    let marks = Vec::from_iter(placed.into_iter().map(mark));
    let parts = parts(&text, marks, place, origins);
    Text { name: "domain.lock".to_string(), text, parts, added: Vec::new() }
}

/// The element of a path, or the innermost around it that the source has; none if it has not even the first.
fn element<'d>(doc: &'d Document<'d>, path: &str) -> Option<El<'d>> {
    let mut found = None;
    let mut at = doc.root()?;
    for name in path.split('.') {
        let Some(child) = at.child(name) else { break };
        at = child;
        found = Some(child);
    }
    found
}
