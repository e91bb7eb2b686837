//! XML that is being made.

use crate::xml::XmlWriter;
use std::borrow::Cow;
use std::fmt::Display;

/// A name, mostly one that is known when virtc is built.
type Name = Cow<'static, str>;

/// An element.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    name: Name,
    attrs: Vec<(Name, String)>,
    children: Vec<Element>,
    text: Option<String>,
}

impl Element {
    /// An empty element.
    pub fn new(name: impl Into<Name>) -> Element {
        Element { name: name.into(), attrs: Vec::new(), children: Vec::new(), text: None }
    }

    /// An element that holds text.
    pub fn leaf(name: impl Into<Name>, text: impl Display) -> Element {
        Element { text: Some(text.to_string()), ..Element::new(name) }
    }

    /// With an attribute more.
    pub fn attr(mut self, name: impl Into<Name>, value: impl Display) -> Element {
        self.set(name, value);
        self
    }

    /// With an attribute more, if there is a value.
    pub fn maybe(self, name: impl Into<Name>, value: Option<impl Display>) -> Element {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// With a child more.
    pub fn child(mut self, child: Element) -> Element {
        self.children.push(child);
        self
    }

    /// Adds or replaces an attribute.
    pub fn set(&mut self, name: impl Into<Name>, value: impl Display) {
        let name = name.into();
        match self.attrs.iter_mut().find(|(n, _)| *n == name) {
            Some(slot) => slot.1 = value.to_string(),
            None => self.attrs.push((name, value.to_string())),
        }
    }

    /// Adds a child.
    pub fn push(&mut self, child: Element) {
        self.children.push(child);
    }

    /// Adds a child before the others.
    pub fn insert(&mut self, child: Element) {
        self.children.insert(0, child);
    }

    /// Adds children.
    pub fn push_all(&mut self, children: impl IntoIterator<Item = Element>) {
        self.children.extend(children);
    }

    /// The child of this name, which is made if there is none.
    pub fn inside(&mut self, name: &'static str) -> &mut Element {
        let at = self.children.iter().position(|c| c.name == name).unwrap_or_else(|| {
            self.children.push(Element::new(name));
            self.children.len() - 1
        });
        &mut self.children[at]
    }

    /// Takes over the attributes and children of another element.
    pub fn absorb(&mut self, other: Element) {
        other.attrs.into_iter().for_each(|(name, value)| self.set(name, value));
        self.children.extend(other.children);
    }

    /// The child of this name.
    pub fn find(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    /// Its text.
    pub fn text_of(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Removes the children of this name.
    pub fn remove(&mut self, name: &str) {
        self.children.retain(|c| c.name != name);
    }

    /// Puts another child in the place of the one of this name, or takes that away.
    pub fn replace(&mut self, name: &str, other: Option<Element>) {
        let Some(at) = self.children.iter().position(|c| c.name == name) else { return };
        match other {
            Some(other) => self.children[at] = other,
            None => drop(self.children.remove(at)),
        }
    }

    /// Its children.
    pub fn children(&self) -> &[Element] {
        &self.children
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attrs.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }

    /// Whether it has a child of this name.
    pub fn has(&self, name: &str) -> bool {
        self.children.iter().any(|c| c.name == name)
    }

    /// Under another name.
    pub fn named(self, name: &'static str) -> Element {
        Element { name: name.into(), ..self }
    }

    /// With this text.
    pub fn text(self, text: impl Display) -> Element {
        Element { text: Some(text.to_string()), ..self }
    }

    /// Whether it holds text.
    pub fn has_text(&self) -> bool {
        self.text.is_some()
    }

    /// Whether there is nothing in it but its number.
    pub fn is_bare(&self) -> bool {
        self.attrs.iter().all(|(name, _)| name == "id") && self.children.is_empty()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.attrs.is_empty() && self.children.is_empty() && self.text.is_none()
    }

    /// The document.
    pub fn print(&self) -> String {
        let mut writer = XmlWriter::new();
        self.write(&mut writer);
        writer.finish()
    }

    fn write(&self, writer: &mut XmlWriter) {
        writer.start(self.name.clone());
        self.attrs.iter().for_each(|(name, value)| writer.attr(name, value));
        if let Some(text) = &self.text {
            writer.text(text);
        }
        self.children.iter().for_each(|child| child.write(writer));
        writer.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back() {
        let hostile = "a'b\"<&>\n\tc";
        let xml = Element::new("x").attr("v", hostile).child(Element::leaf("y", hostile)).print();
        let mut diags = crate::diag::Diagnostics::new();
        let doc = crate::xml::parse(xml.as_bytes(), &mut diags);
        assert!(!diags.has_errors(), "{xml}");
        let root = doc.root().expect("a root");
        assert_eq!(root.attr("v").map(|a| a.value()), Some(hostile), "{xml}");
        assert_eq!(root.child("y").map(|y| y.text()), Some(hostile), "{xml}");
    }
}
