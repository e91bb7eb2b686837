//! The page of a domain: its XML on one side, everything that came of it on the other, and what caused what.
//!
//! [`Explorer`] is the value: the source, the texts of all outputs and, for each marked part of a text, the [`Origin`]s that
//! brought it about. [`page`](Explorer::page) writes it as one HTML file that needs neither network nor script, and is better
//! with the script that it holds. [`fleet`] is the page of many domains, [`live`] the one that compiles while one types.
//!
//! Everything here is pure; a browser can run it.

pub mod difference;
mod fleet;
mod html;
pub mod live;
mod locked;
mod normalised;
mod origins;
mod outputs;
mod page;
mod source;
mod text;

pub use fleet::{Machine, fleet};
pub use origins::{Origin, Origins};

use crate::compile::Compiled;
use crate::diag::{Diagnostic, Diagnostics};
use crate::emit::Templates;
use crate::plan::Plan;
use crate::xml;
use std::ops::Range;

/// A compilation, and what caused what in it.
pub struct Explorer<'a> {
    /// The file, as the user named it.
    pub file: &'a str,
    /// The text of the domain.
    pub source: &'a str,
    /// The Plan; none if there were errors.
    pub plan: Option<&'a Plan>,
    /// Everything that brought something about.
    pub origins: Origins,
    /// The outputs, by kind.
    pub tabs: Vec<Tab>,
    /// What was said about the domain, in source order.
    pub diagnostics: Vec<Diagnostic>,
}

/// The outputs of one kind.
pub struct Tab {
    /// A word for links: `units`.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it shows, in a sentence.
    pub about: &'static str,
    /// The texts.
    pub texts: Vec<Text>,
}

/// One output.
pub struct Text {
    /// Where it goes on the host, or what it is.
    pub name: String,
    /// The text.
    pub text: String,
    /// Parts that something brought about, by place; they do not overlap.
    pub parts: Vec<Part>,
    /// Parts that are not in the source in any form, by place.
    pub added: Vec<Range<usize>>,
}

/// A part of an output.
pub struct Part {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// Numbers of the [`Origin`]s that brought it about, at least one.
    pub origins: Vec<usize>,
    /// The same in words.
    pub why: String,
}

impl<'a> Explorer<'a> {
    /// Everything about one compilation.
    pub fn of(file: &'a str, source: &'a str, compiled: &'a Compiled, templates: &Templates) -> Explorer<'a> {
        let mut diags = compiled.diags.clone();
        let mut unheard = Diagnostics::new();
        let doc = xml::parse(source.as_bytes(), &mut unheard);
        let mut origins = Origins::new(&doc);
        let tabs = match (&compiled.plan, &compiled.domain) {
            (Some(plan), Some(domain)) => {
                let lock = compiled.locking.fresh.as_ref();
                let from = outputs::Inputs { plan, domain, lock, doc: &doc };
                outputs::tabs(&from, templates, &mut origins, &mut diags)
            }
            _ => Vec::new(),
        };
        let diagnostics = diags.sorted().into_iter().cloned().collect();
        Explorer { file, source, plan: compiled.plan.as_ref(), origins, tabs, diagnostics }
    }

    /// The page.
    pub fn page(&self) -> String {
        page::page(self)
    }
}
