//! Names, metadata and what happens at the end of a run.

use crate::bind::{Binder, Model, Part, Shape, model};
use crate::vocab::{Uuid, YesNo, keywords};
use crate::xml::{El, Site, XmlWriter};

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

impl Part for Metadata {
    /// Keeps the first element of each namespace; one without a namespace belongs to nobody.
    fn bind(&mut self, el: El<'_>, _: &mut Binder<'_>) {
        el.mark_all();
        let source = el.document().source();
        let outer: Vec<&str> = el.document().root().iter().chain([&el]).map(|e| &source[e.span().range()]).collect();
        let mut seen: Vec<&str> = Vec::new();
        for child in el.children() {
            let (tag, text) = (&source[child.span().range()], &source[child.whole().range()]);
            let name = tag.trim_start_matches('<');
            let name = &name[..name.find(|c: char| c.is_whitespace() || c == '/' || c == '>').unwrap_or(name.len())];
            let prefix = name.split_once(':').map_or("", |(prefix, _)| prefix);
            let own = declarations(tag).find(|(p, _)| *p == prefix);
            let inherited = || outer.iter().rev().find_map(|tag| declarations(tag).find(|(p, _)| *p == prefix));
            let Some((_, declaration)) = own.or_else(inherited) else { continue };
            let uri = declaration.split_once(['"', '\'']).map_or("", |(_, uri)| &uri[..uri.len() - 1]);
            if uri.is_empty() || seen.contains(&uri) {
                continue;
            }
            seen.push(uri);
            // Prefixes that are declared further out are declared again: the element stands alone now.
            let mut copy = text.to_string();
            for (prefix, declaration) in outer.iter().rev().flat_map(|tag| declarations(tag)) {
                let used = !prefix.is_empty() && text.contains(&format!("{prefix}:"));
                if used && !declarations(tag).any(|(p, _)| p == prefix) {
                    copy.insert_str(1 + name.len(), &format!(" {declaration}"));
                }
            }
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

keywords! {
    /// What to do when the guest powers off or reboots.
    pub enum LifecycleAction {
        Destroy = "destroy",
        Restart = "restart",
        RenameRestart = "rename-restart",
        Preserve = "preserve",
    }
}

keywords! {
    /// What to do when the guest crashes.
    pub enum CrashAction {
        Destroy = "destroy",
        Restart = "restart",
        RenameRestart = "rename-restart",
        Preserve = "preserve",
        CoredumpDestroy = "coredump-destroy",
        CoredumpRestart = "coredump-restart",
        PreserveRunning = "preserve-running",
    }
}

model! {
    /// `<iommufd>`: whether host devices are passed through IOMMUFD, where they do not say.
    pub struct Iommufd = "iommufd" {
        need enabled: YesNo = "enabled",
        attr fdgroup: String = "fdgroup",
    }
}

keywords! {
    /// What to do when a lock on a disk is lost.
    pub enum LockFailureAction { Poweroff = "poweroff", Restart = "restart", Pause = "pause", Ignore = "ignore" }
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
