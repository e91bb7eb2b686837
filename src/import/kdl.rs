//! A domain written in KDL: a node is an element, its properties are attributes, its argument is the text.
//!
//! ```kdl
//! domain type="kvm" {
//!     name web
//!     memory 2 unit=GiB
//!     devices { disk type=file { source file="/srv/web.qcow2"; target dev=vda } }
//! }
//! ```

use super::element::Element;
use super::in_order;
use crate::diag::codes::inputs::KDL_DOMAIN;
use crate::diag::{Diagnostics, Span};
use crate::host::kdl::{name_span, parse};
use kdl::{KdlDocument, KdlNode, KdlValue};

/// The prefixes that need no declaration, and what they stand for (formatdomain, "QEMU namespace").
const PREFIXES: &[(&str, &str, &str)] = &[("qemu:", "xmlns:qemu", "http://libvirt.org/schemas/domain/qemu/1.0")];

/// The domain of a KDL document as XML; none, with diagnostics, if it holds none.
pub fn domain_of_kdl(text: &str, diags: &mut Diagnostics) -> Option<String> {
    let document = parse(text, &KDL_DOMAIN, diags)?;
    let [root] = document.nodes() else {
        let second = document.nodes().get(1).map_or(Span::new(0, 0), name_span);
        diags.error(&KDL_DOMAIN, second, "a file holds one domain: one node at the top");
        return None;
    };
    let mut element = element(root, diags)?;
    for (prefix, attribute, uri) in PREFIXES {
        if uses(&document, prefix) && element.get(attribute).is_none() {
            element.set(*attribute, uri);
        }
    }
    (!diags.has_errors()).then(|| in_order(element.print()))
}

fn uses(document: &KdlDocument, prefix: &str) -> bool {
    document
        .nodes()
        .iter()
        .any(|n| n.name().value().starts_with(prefix) || n.children().is_some_and(|c| uses(c, prefix)))
}

fn element(node: &KdlNode, diags: &mut Diagnostics) -> Option<Element> {
    let name = xml_name(node.name().value(), name_span(node), diags)?;
    let mut element = Element::new(name);
    for entry in node.entries() {
        let span = entry.span();
        let span = Span::new(span.offset(), span.offset() + span.len());
        let value = text(entry.value());
        match entry.name() {
            Some(key) => element.set(xml_name(key.value(), span, diags)?, value),
            None if element.has_text() => {
                diags.error(&KDL_DOMAIN, span, "an element has one text: this is a second argument");
            }
            None => element = element.text(value),
        }
    }
    if let Some(children) = node.children() {
        if element.has_text() && !children.nodes().is_empty() {
            diags.error(&KDL_DOMAIN, name_span(node), "an element of the format has text or children, not both");
        }
        for child in children.nodes() {
            element.push(self::element(child, diags)?);
        }
    }
    Some(element)
}

/// A name as XML can have it.
fn xml_name(name: &str, span: Span, diags: &mut Diagnostics) -> Option<String> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let fits = first && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'));
    if !fits {
        diags.error(&KDL_DOMAIN, span, format!("'{name}' cannot be the name of an element or attribute"));
    }
    fits.then(|| name.to_string())
}

/// A value in the words of the format: yes and no for truth.
fn text(value: &KdlValue) -> String {
    match value {
        KdlValue::String(text) => text.clone(),
        KdlValue::Integer(number) => number.to_string(),
        KdlValue::Float(number) => number.to_string(),
        KdlValue::Bool(true) => "yes".to_string(),
        KdlValue::Bool(false) => "no".to_string(),
        KdlValue::Null => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_become_elements() {
        let mut diags = Diagnostics::new();
        let text = "domain type=qemu {\n  name web\n  memory 2 unit=GiB\n  vcpu 1\n  os { type hvm arch=x86_64 machine=pc }\n  \
                    devices { disk type=file { source file=\"/srv/a&b\"; target dev=vda } }\n  \
                    qemu:commandline { qemu:arg value=\"-frob\" }\n}";
        let xml = domain_of_kdl(text, &mut diags).expect("a domain");
        assert!(
            xml.starts_with("<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' type='qemu'>"),
            "{xml}"
        );
        assert!(
            xml.contains("<memory unit='KiB'>2097152</memory>") || xml.contains("<memory unit='GiB'>2</memory>"),
            "{xml}"
        );
        assert!(xml.contains("<source file='/srv/a&amp;b'/>"), "{xml}");
        assert!(xml.contains("<qemu:arg value='-frob'/>"), "{xml}");
    }

    #[test]
    fn what_is_no_domain_has_a_place() {
        for (text, at) in [("a\nb", 2), ("domain { name web x }", 18), ("domain { \"<x>\" 1 }", 9), ("domain {", 7)] {
            let mut diags = Diagnostics::new();
            assert_eq!(domain_of_kdl(text, &mut diags), None, "{text}");
            let first = diags.iter().next().expect("a fault");
            assert!(first.span.start as usize >= at - 1, "{text}: {:?}", first.span);
        }
    }
}
