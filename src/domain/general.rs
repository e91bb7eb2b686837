//! Names, metadata and what happens at the end of a run.

use crate::bind::{Binder, Model, Part, Shape, model};
pub use crate::schema::words::{CrashAction, LifecycleAction, LockFailureAction};
use crate::vocab::{Uuid, YesNo};
use crate::xml::{El, Site, XmlWriter};
use std::collections::{BTreeSet, HashMap, HashSet};

/// `<metadata>`: applications' own XML, kept as it stands in the source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The child elements, as text.
    pub elements: Vec<String>,
}

/// The declarations of namespaces in a start tag: prefix and the text of the attribute.
fn declarations(tag: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = tag;
    std::iter::from_fn(move || {
        let at = rest.find("xmlns")?;
        let declaration = &rest[at..];
        let quote = declaration.find(['"', '\''])?;
        let closing = declaration[quote + 1..].find(&declaration[quote..=quote])? + quote + 1;
        rest = &declaration[closing + 1..];
        let name = declaration[..quote].trim_end_matches(|c: char| c == '=' || c.is_whitespace());
        Some((name.strip_prefix("xmlns:").unwrap_or(""), &declaration[..=closing]))
    })
}

/// What stands before a colon in a text, as a prefix of a name would.
fn prefixes(text: &str) -> impl Iterator<Item = &str> {
    let in_name = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.match_indices(':').map(move |(at, _)| {
        let before = &text[..at];
        let length: usize = before.chars().rev().take_while(in_name).map(char::len_utf8).sum();
        &before[before.len() - length..]
    })
}

impl Part for Metadata {
    /// Keeps the first element of each namespace; one without a namespace belongs to nobody.
    fn bind(&mut self, el: El<'_>, _: &mut Binder<'_>) {
        el.mark_all();
        let source = el.document().source();
        let outer: Vec<&str> = el.document().root().iter().chain([&el]).map(|e| &source[e.span().range()]).collect();
        // The innermost declaration of each prefix counts, and the first element of each namespace.
        let mut declared: Vec<(&str, &str)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (prefix, declaration) in outer.iter().rev().flat_map(|tag| declarations(tag)) {
            places.entry(prefix).or_insert_with(|| {
                declared.push((prefix, declaration));
                declared.len() - 1
            });
        }
        let mut seen: HashSet<&str> = HashSet::new();
        for child in el.children() {
            let (tag, text) = (&source[child.span().range()], &source[child.whole().range()]);
            let name = tag.trim_start_matches('<');
            let name = &name[..name.find(|c: char| c.is_whitespace() || c == '/' || c == '>').unwrap_or(name.len())];
            let prefix = name.split_once(':').map_or("", |(prefix, _)| prefix);
            let own = declarations(tag).find(|(p, _)| *p == prefix);
            let inherited = || places.get(prefix).and_then(|at| declared.get(*at)).copied();
            let Some((_, declaration)) = own.or_else(inherited) else { continue };
            let uri = declaration.split_once(['"', '\'']).map_or("", |(_, uri)| &uri[..uri.len() - 1]);
            if uri.is_empty() || !seen.insert(uri) {
                continue;
            }
            // Prefixes that are declared further out are declared again: the element stands alone now.
            let own: HashSet<&str> = declarations(tag).map(|(prefix, _)| prefix).collect();
            let used: BTreeSet<usize> = prefixes(text).filter_map(|p| places.get(p).copied()).collect();
            let (start, rest) = text.split_at(1 + name.len());
            let mut copy = start.to_string();
            for (prefix, declaration) in used.into_iter().rev().filter_map(|at| declared.get(at)) {
                if !own.contains(prefix) {
                    copy.push(' ');
                    copy.push_str(declaration);
                }
            }
            copy.push_str(rest);
            self.elements.push(copy);
        }
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        self.elements.iter().for_each(|e| out.raw(e));
    }
    fn shape(_: &mut Shape) {}
}

impl Model for Metadata {
    const ELEMENT: &'static str = "metadata";
}

model! {
    /// `<iommufd>`: whether host devices are passed through IOMMUFD, where they do not say.
    pub struct Iommufd = "iommufd" {
        need enabled: YesNo = "enabled",
        attr fdgroup: String = "fdgroup",
    }
}

/// `<genid>`: an identifier that changes when the guest is rolled back; empty to have one generated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenId {
    /// The identifier.
    pub uuid: Option<Uuid>,
    /// Where it stands.
    pub site: Site,
}

impl Part for GenId {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.uuid = if el.text().trim().is_empty() { None } else { cx.text(el) };
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(uuid) = &self.uuid {
            out.text(&uuid.to_string());
        }
    }
    fn shape(shape: &mut Shape) {
        shape.text = true;
    }
}

model! {
    /// `<suspend-to-mem>` or `<suspend-to-disk>`
    pub struct Suspend {
        attr enabled: YesNo = "enabled",
    }
}

model! {
    /// `<pm>`: whether the guest may suspend.
    pub struct Pm = "pm" {
        child suspend_to_mem: Suspend = "suspend-to-mem",
        child suspend_to_disk: Suspend = "suspend-to-disk",
    }
}

model! {
    /// `<event>` of `<perf>`: a counter that is watched from the host. It has no part in the command line.
    pub struct PerfEvent = "event" {
        need name: String = "name",
        need enabled: YesNo = "enabled",
    }
}

model! {
    /// `<perf>`
    pub struct Perf = "perf" {
        many events: PerfEvent,
    }
}
