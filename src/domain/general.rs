//! Names, metadata and what happens at the end of a run.

use super::model::{Binder, Model, Part, Shape, model};
use crate::vocab::{Uuid, YesNo, keywords};
use crate::xml::{El, Site, XmlWriter};

/// `<metadata>`: applications' own XML, kept as it stands in the source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The child elements, as text.
    pub elements: Vec<String>,
}

impl Part for Metadata {
    fn bind(&mut self, el: El<'_>, _: &mut Binder<'_>) {
        el.mark_all();
        let source = el.document().source();
        self.elements = el.children().map(|e| source[e.whole().range()].to_string()).collect();
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

model! {
    /// `<uid>` or `<gid>` of `<idmap>`: a range of ids. QEMU guests have no user namespace.
    pub struct IdRange {
        need start: u32 = "start",
        need target: u32 = "target",
        need count: u32 = "count",
    }
}

model! {
    /// `<idmap>`
    pub struct IdMap = "idmap" {
        many uids: IdRange = "uid",
        many gids: IdRange = "gid",
    }
}
