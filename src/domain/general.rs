//! Names, metadata and what happens at the end of a run.

use super::model::{Binder, Model, Part, Shape};
use crate::vocab::keywords;
use crate::xml::{El, XmlWriter};

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
