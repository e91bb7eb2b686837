//! The parsed text: an arena of elements that borrow from the source.

use crate::diag::Span;
use std::borrow::Cow;
use std::cell::Cell;

/// The namespace of an element or attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Namespace {
    /// No namespace: the domain format itself.
    None,
    /// `http://libvirt.org/schemas/domain/qemu/1.0`
    Qemu,
    /// `http://libvirt.org/schemas/domain/lxc/1.0`
    Lxc,
    /// `http://libvirt.org/schemas/domain/xen/1.0`
    Xen,
    /// `http://libvirt.org/schemas/domain/bhyve/1.0`
    Bhyve,
    /// Any other, such as that of an application's `<metadata>`.
    Foreign,
}

impl Namespace {
    /// The namespace that a URI names.
    pub fn of(uri: &str) -> Namespace {
        match uri {
            "" => Namespace::None,
            "http://libvirt.org/schemas/domain/qemu/1.0" => Namespace::Qemu,
            "http://libvirt.org/schemas/domain/lxc/1.0" => Namespace::Lxc,
            "http://libvirt.org/schemas/domain/xen/1.0" => Namespace::Xen,
            "http://libvirt.org/schemas/domain/bhyve/1.0" => Namespace::Bhyve,
            _ => Namespace::Foreign,
        }
    }
}

/// A place in the document that the model remembers: an element, or nowhere (added by a default).
///
/// Four bytes, so that every part of the model can carry one; [`Document::span_of`] and
/// [`Document::span_of_attr`] turn it into a span when a diagnostic or the Plan asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Site(u32);

impl Site {
    /// Not in the source: added by a default rule.
    pub const NONE: Site = Site(0);

    /// Whether this is nowhere.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

pub(super) struct Node<'s> {
    pub name: &'s str,
    pub namespace: Namespace,
    pub tag: Span,
    pub whole: Span,
    pub attrs: (u32, u32),
    pub first_child: u32,
    pub next: u32,
    pub text: Cow<'s, str>,
    pub text_span: Span,
    pub used: Cell<bool>,
}

pub(super) struct AttrData<'s> {
    pub name: &'s str,
    pub namespace: Namespace,
    pub value: Cow<'s, str>,
    pub name_span: Span,
    pub value_span: Span,
    pub used: Cell<bool>,
}

/// A parsed file. Element 0 is the root.
pub struct Document<'s> {
    pub(super) source: &'s str,
    pub(super) nodes: Vec<Node<'s>>,
    pub(super) attrs: Vec<AttrData<'s>>,
    /// Whether the elements and their attributes are those that were meant, although the text may be no XML.
    pub(super) certain: bool,
}

/// No such node: end of a list of children.
pub(super) const NIL: u32 = u32::MAX;

impl<'s> Document<'s> {
    /// The text that was parsed.
    pub fn source(&self) -> &'s str {
        self.source
    }

    /// Whether it is certain what was meant: what is not well-formed, if anything is, are slips within a value or a comment.
    pub fn is_certain(&self) -> bool {
        self.certain
    }

    /// The root element; none if the text held no element.
    pub fn root(&self) -> Option<El<'_>> {
        (!self.nodes.is_empty()).then_some(El { doc: self, at: 0 })
    }

    /// Every element, in source order.
    pub fn elements(&self) -> impl Iterator<Item = El<'_>> {
        (0..self.nodes.len() as u32).map(|at| El { doc: self, at })
    }

    /// The element at a site; none for [`Site::NONE`].
    pub fn element(&self, site: Site) -> Option<El<'_>> {
        (site.0 != 0 && site.0 as usize <= self.nodes.len()).then(|| El { doc: self, at: site.0 - 1 })
    }

    /// The span of the start tag at a site.
    pub fn span_of(&self, site: Site) -> Span {
        self.element(site).map_or(Span::NONE, |e| e.span())
    }

    /// Takes an element, with all that is inside, out of its parent.
    ///
    /// It counts as read: nobody asks any more whether it is supported.
    pub fn take_out(&mut self, site: Site) {
        let Some(at) = site.0.checked_sub(1) else { return };
        if let Some(el) = self.element(site) {
            el.mark_all();
        }
        let Some(next) = self.nodes.get(at as usize).map(|n| n.next) else { return };
        for node in &mut self.nodes {
            if node.first_child == at {
                node.first_child = next;
            }
            if node.next == at {
                node.next = next;
            }
        }
    }

    /// Takes an attribute of the domain format out of its element.
    pub fn take_out_attr(&mut self, site: Site, name: &str) {
        let Some(node) = site.0.checked_sub(1).and_then(|at| self.nodes.get_mut(at as usize)) else { return };
        let (from, to) = node.attrs;
        let mine = self.attrs.get_mut(from as usize..to as usize).unwrap_or_default();
        if let Some(at) = mine.iter().position(|a| a.name == name && a.namespace == Namespace::None) {
            // The others keep their order; the one goes behind the end.
            if let Some(rest) = mine.get_mut(at..) {
                rest.rotate_left(1);
            }
            node.attrs.1 -= 1;
        }
    }

    /// Adds an attribute of the domain format to an element, or gives the one that is there this value. It stands, for
    /// diagnostics, where the element does, and counts as read.
    pub fn graft_attr(&mut self, site: Site, name: &'s str, value: &'s str) {
        let Some(node) = site.0.checked_sub(1).and_then(|at| self.nodes.get_mut(at as usize)) else { return };
        let (from, to) = node.attrs;
        let mine = self.attrs.get_mut(from as usize..to as usize).unwrap_or_default();
        if let Some(there) = mine.iter_mut().find(|a| a.name == name && a.namespace == Namespace::None) {
            there.value = Cow::Borrowed(value);
            return;
        }
        // The list of an element is one piece: it moves to the end, where it can grow.
        let place = Span { start: node.tag.start, end: node.tag.end.saturating_sub(1).max(node.tag.start) };
        let start = self.attrs.len() as u32;
        for at in from..to {
            let (name, namespace, used) = match self.attrs.get(at as usize) {
                Some(a) => (a.name, a.namespace, a.used.clone()),
                None => continue,
            };
            let Some(old) = self.attrs.get_mut(at as usize) else { continue };
            let (value, name_span, value_span) = (std::mem::take(&mut old.value), old.name_span, old.value_span);
            self.attrs.push(AttrData { name, namespace, value, name_span, value_span, used });
        }
        let (name_span, used) = (place, Cell::new(true));
        let value = Cow::Borrowed(value);
        self.attrs.push(AttrData { name, namespace: Namespace::None, value, name_span, value_span: place, used });
        if let Some(node) = site.0.checked_sub(1).and_then(|at| self.nodes.get_mut(at as usize)) {
            node.attrs = (start, self.attrs.len() as u32);
        }
    }

    /// Adds an element of the domain format behind the other children of an element. It stands, for diagnostics, where its
    /// parent does, and counts as read.
    pub fn graft_child(&mut self, parent: Site, name: &'s str) -> Site {
        let at = self.nodes.len() as u32;
        let Some(above) = parent.0.checked_sub(1).and_then(|at| self.nodes.get_mut(at as usize)) else {
            return Site::NONE;
        };
        let tag = above.tag;
        let mut last = above.first_child;
        if last == NIL {
            above.first_child = at;
        }
        while let Some(node) = self.nodes.get_mut(last as usize).filter(|_| last != NIL) {
            if node.next == NIL {
                node.next = at;
                break;
            }
            last = node.next;
        }
        self.nodes.push(Node {
            name,
            namespace: Namespace::None,
            tag,
            whole: tag,
            attrs: (0, 0),
            first_child: NIL,
            next: NIL,
            text: Cow::Borrowed(""),
            text_span: Span::NONE,
            used: Cell::new(true),
        });
        Site(at + 1)
    }

    /// Gives an element a text.
    pub fn graft_text(&mut self, site: Site, text: &'s str) {
        if let Some(node) = site.0.checked_sub(1).and_then(|at| self.nodes.get_mut(at as usize)) {
            node.text = Cow::Borrowed(text);
        }
    }

    /// The span of the start tag of a child of the element at a site; that of the element if it has no such child.
    pub fn span_of_child(&self, site: Site, name: &str) -> Span {
        self.element(site).map_or(Span::NONE, |e| e.children().find(|c| c.is(name)).map_or(e.span(), |c| c.span()))
    }

    /// The span of an attribute or else of a child of this name; that of the element if it has neither.
    pub fn span_in(&self, site: Site, name: &str) -> Span {
        match self.element(site).and_then(|e| e.peek(name)) {
            Some(attr) => attr.span(),
            None => self.span_of_child(site, name),
        }
    }

    /// The span of an attribute at a site; that of the start tag if it has no such attribute.
    pub fn span_of_attr(&self, site: Site, name: &str) -> Span {
        self.element(site).map_or(Span::NONE, |e| e.peek(name).map_or(e.span(), |a| a.span()))
    }
}

/// An element of a [`Document`].
#[derive(Clone, Copy)]
pub struct El<'d> {
    doc: &'d Document<'d>,
    at: u32,
}

impl<'d> El<'d> {
    fn node(&self) -> &'d Node<'d> {
        &self.doc.nodes[self.at as usize]
    }

    /// The document that the element belongs to.
    pub fn document(&self) -> &'d Document<'d> {
        self.doc
    }

    /// The local name, without prefix.
    pub fn name(&self) -> &'d str {
        self.node().name
    }

    /// The namespace.
    pub fn namespace(&self) -> Namespace {
        self.node().namespace
    }

    /// Whether this is the element `name` of the domain format itself.
    pub fn is(&self, name: &str) -> bool {
        self.node().namespace == Namespace::None && self.node().name == name
    }

    /// The place to remember.
    pub fn site(&self) -> Site {
        Site(self.at + 1)
    }

    /// The span of the start tag, `<` to `>`.
    pub fn span(&self) -> Span {
        self.node().tag
    }

    /// The span of the whole element, up to the end of its end tag.
    pub fn whole(&self) -> Span {
        self.node().whole
    }

    /// The character data directly inside, references resolved, all pieces joined.
    pub fn text(&self) -> &'d str {
        &self.node().text
    }

    /// The span of the character data; that of the start tag if there is none.
    pub fn text_span(&self) -> Span {
        self.node().text_span.or(self.node().tag)
    }

    /// All attributes, in source order, without the `xmlns` declarations.
    pub fn attrs(&self) -> impl Iterator<Item = Attr<'d>> + use<'d> {
        let (from, to) = self.node().attrs;
        self.doc.attrs[from as usize..to as usize].iter().map(|data| Attr { data })
    }

    /// An attribute of the domain format, marked as used.
    pub fn attr(&self, name: &str) -> Option<Attr<'d>> {
        let attr = self.peek(name)?;
        attr.data.used.set(true);
        Some(attr)
    }

    /// An attribute, not marked as used.
    pub fn peek(&self, name: &str) -> Option<Attr<'d>> {
        self.attrs().find(|a| a.data.name == name && a.data.namespace == Namespace::None)
    }

    /// All child elements, in source order.
    pub fn children(&self) -> impl Iterator<Item = El<'d>> + use<'d> {
        let doc = self.doc;
        let mut next = self.node().first_child;
        std::iter::from_fn(move || {
            (next != NIL).then(|| {
                let el = El { doc, at: next };
                next = doc.nodes[next as usize].next;
                el
            })
        })
    }

    /// The first child `name` of the domain format; it and its namesakes are marked as used.
    pub fn child(&self, name: &str) -> Option<El<'d>> {
        let mut first = None;
        for el in self.children().filter(|e| e.is(name)) {
            el.mark();
            if first.is_none() {
                first = Some(el);
            } else {
                el.mark_all();
            }
        }
        first
    }

    /// All children `name` of the domain format, marked as used.
    pub fn children_named<'n>(&self, name: &'n str) -> impl Iterator<Item = El<'d>> + use<'d, 'n> {
        self.children().filter(move |e| e.is(name)).inspect(|e| e.mark())
    }

    /// Marks the element, not what is inside, as used.
    pub fn mark(&self) {
        self.node().used.set(true);
    }

    /// Marks the element and everything inside as used: read, or deliberately passed over.
    pub fn mark_all(&self) {
        self.mark();
        self.attrs().for_each(|a| a.mark());
        self.children().for_each(|e| e.mark_all());
    }

    /// Whether something has read the element.
    pub fn is_used(&self) -> bool {
        self.node().used.get()
    }
}

/// An attribute of an [`El`].
#[derive(Clone, Copy)]
pub struct Attr<'d> {
    data: &'d AttrData<'d>,
}

impl<'d> Attr<'d> {
    /// The local name, without prefix.
    pub fn name(&self) -> &'d str {
        self.data.name
    }

    /// The namespace.
    pub fn namespace(&self) -> Namespace {
        self.data.namespace
    }

    /// The value, references resolved.
    pub fn value(&self) -> &'d str {
        &self.data.value
    }

    /// The span of `name='value'`.
    pub fn span(&self) -> Span {
        Span { start: self.data.name_span.start, end: self.data.value_span.end + 1 }
    }

    /// The span of the name.
    pub fn name_span(&self) -> Span {
        self.data.name_span
    }

    /// The span of the value, without quotes.
    pub fn value_span(&self) -> Span {
        self.data.value_span
    }

    /// Marks the attribute as used.
    pub fn mark(&self) {
        self.data.used.set(true);
    }

    /// Whether something has read the attribute.
    pub fn is_used(&self) -> bool {
        self.data.used.get()
    }
}
