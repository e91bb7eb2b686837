//! How elements, attributes and types are put into words, and which of them somebody meant.

use crate::diag::Span;
use crate::schema::phrases::list;
use crate::schema::suggest::meant;
use crate::schema::tables::{self, AttrSlot, ChildSlot, Element, Name, Part, Type, name_text};
use crate::schema::validate::{Parent, State};
use crate::schema::variants::closed;
use crate::xml::{El, Namespace};

/// Attributes that the grammar asks for and libvirt does without: element, attribute, and the value that it takes for a missing
/// one (empty where the element then says nothing).
const LEFT_OUT: &[(&str, &str, &str)] = &[
    ("interface", "type", "user"),
    ("serial", "type", "pty"),
    ("parallel", "type", "pty"),
    ("channel", "type", "pty"),
    ("clock", "offset", "utc"),
    ("feature", "policy", "require"),
    ("link", "state", ""),
    ("access", "mode", ""),
];

/// What libvirt takes for an attribute that is missing.
pub fn taken_for(el: El<'_>, slot: &AttrSlot) -> Option<&'static str> {
    let name = name_text(slot.name);
    LEFT_OUT.iter().find(|(of, attr, _)| *of == el.name() && *attr == name).map(|(.., taken)| *taken)
}

/// The span of an element's text without the blanks around it.
pub fn trimmed(el: El<'_>) -> Span {
    let span = el.text_span();
    let raw = el.document().source().get(span.range()).unwrap_or("");
    let start = span.range().start + (raw.len() - raw.trim_ascii_start().len());
    let text = raw.trim_ascii();
    if text.is_empty() { span } else { Span::new(start, start + text.len()) }
}

/// `<name>`, with the usual prefix for libvirt's own namespaces.
pub fn tag(el: El<'_>) -> String {
    let prefix = match el.namespace() {
        Namespace::None | Namespace::Foreign => "",
        Namespace::Qemu => "qemu:",
        Namespace::Lxc => "lxc:",
        Namespace::Xen => "xen:",
        Namespace::Bhyve => "bhyve:",
    };
    format!("<{prefix}{}>", el.name())
}

/// The types of paths of images.
pub const PATHS: &[&str] = &["path", "path-or-empty", "source-path"];

/// Elements whose paths libvirt hands to QEMU as they are.
pub const FILES: &[&str] = &["source", "loader", "nvram", "kernel", "initrd", "dtb"];

/// What a type takes, as in "expected …".
pub fn expected(ty: &Type) -> String {
    let words: Vec<&str> = ty.words().iter().map(|w| w.word.get()).collect();
    let mut text = match words.as_slice() {
        [] => String::new(),
        [one] => format!("'{one}'"),
        [a, b] => format!("'{a}' or '{b}'"),
        many => format!("one of {}", list(many)),
    };
    // Units are listed; the pattern behind them only says that their case does not count.
    if ty.has_other_than_words() && (text.is_empty() || !ty.name.get().ends_with("unit")) {
        if !text.is_empty() {
            text.push_str(", or ");
        }
        text.push_str(ty.doc.get());
    }
    text
}

/// A value to show in a hint: the first word, or an ellipsis.
pub fn example(ty: &Type) -> &'static str {
    ty.words().first().map_or("…", |w| w.word.get())
}

/// `<name type='…'/>`: the element with what it requires.
pub fn skeleton(slot: &ChildSlot) -> String {
    let def = slot.element();
    let mut text = format!("<{}", name_text(slot.name));
    for attr in def.attrs().iter().filter(|a| a.required && a.guard == 0) {
        text.push_str(&format!(" {}='{}'", name_text(attr.name), example(attr.ty())));
    }
    if def.text().is_some() {
        text.push_str(&format!(">…</{}>", name_text(slot.name)));
    } else {
        text.push_str("/>");
    }
    text
}

/// The attributes that the element may have here.
pub fn open_attrs(me: &Parent<'_, '_>) -> Vec<&'static str> {
    distinct(me.def.attrs().iter().filter(|s| me.states.of(s.guard) != State::No).map(|s| name_text(s.name)))
}

/// The elements that the element may hold here, all options of a choice among them.
pub fn open_children(me: &Parent<'_, '_>) -> Vec<&'static str> {
    distinct(me.def.children().iter().filter(|s| !closed(me, s.guard)).map(|s| name_text(s.name)))
}

/// Names in their order, each once.
fn distinct(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    names.collect::<indexmap::IndexSet<_>>().into_iter().collect()
}

/// The bound that a number crosses, where the words of the type do not tell it.
pub fn crossed(ty: &Type, number: i128) -> Option<String> {
    let bounds = ty.parts().iter().find_map(|p| match p {
        Part::Int(min, max) | Part::Hex(min, max) => Some((*min, *max)),
        _ => None,
    });
    let (min, max) = bounds?;
    let (bound, words) = if number > max { (max, "at most") } else { (min, "at least") };
    let doc = ty.doc.get();
    let told = [bound.to_string(), format!("{bound:#x}")].iter().any(|b| doc.contains(b)) || bound == 0;
    (!told && !(min..=max).contains(&number)).then(|| format!(", {words} {bound}"))
}

/// Whether an element of this slot holds such a text.
pub fn holds(slot: &ChildSlot, text: &str) -> bool {
    slot.element().text().is_some_and(|ty| ty.accepts(text))
}

/// The children that an element was probably meant for: of those that are alike in name, one that holds text if it holds text.
pub fn meant_for(me: &Parent<'_, '_>, el: El<'_>, known: &[&'static str]) -> Vec<&'static str> {
    let text = el.text().trim_ascii();
    if !text.is_empty() && el.children().next().is_none() {
        let takes = |n: &&'static str| me.def.children().iter().any(|s| name_text(s.name) == *n && holds(s, text));
        let like = meant(el.name(), known.iter().copied().filter(takes));
        if !like.is_empty() {
            return like;
        }
    }
    meant_child(me, el.name(), known)
}

/// The children that a name was probably meant for: those that belong here, or else any that it has in another variant.
fn meant_child(me: &Parent<'_, '_>, name: &str, known: &[&'static str]) -> Vec<&'static str> {
    let plain = |n: &&'static str| !n.contains(':');
    let like = meant(name, known.iter().copied().filter(plain));
    if !like.is_empty() {
        return like;
    }
    meant(name, distinct(me.def.children().iter().map(|s| name_text(s.name))).into_iter().filter(plain))
}

/// Whether a `<source>` is that of a disk that the guest cannot write.
pub fn is_only_read(source: &Parent<'_, '_>) -> bool {
    source.above.is_some_and(|disk| {
        disk.el.name() == "disk"
            && (disk.el.peek("device").is_some_and(|a| a.value() == "cdrom") || disk.el.child("readonly").is_some())
    })
}

/// A child of this element, or its parent, that takes the attribute.
pub fn relative_with_attribute(me: &Parent<'_, '_>, name: &str) -> Option<&'static str> {
    let takes = |def: &Element| def.attrs().iter().any(|a| name_text(a.name) == name);
    let child = me.def.children().iter().find(|s| me.states.of(s.guard) == State::Yes && takes(s.element()));
    child.map(|s| name_text(s.name)).or_else(|| {
        let above = me.above?;
        takes(above.def).then(|| name_text(above.def.name))
    })
}

/// `<domain><devices><disk>`: the path of an element under validation.
pub fn path(me: &Parent<'_, '_>) -> String {
    let mut names = vec![me.def.name];
    let mut above = me.above;
    while let Some(p) = above {
        names.push(p.def.name);
        above = p.above;
    }
    names.reverse();
    names.iter().map(|n| format!("<{}>", name_text(*n))).collect()
}

/// The shortest paths of elements that hold a child of this name, at most three.
pub fn paths_of_child(name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut seen = vec![false; tables::elements().len()];
    let mut todo: std::collections::VecDeque<(&Element, Vec<Name>)> =
        std::collections::VecDeque::from([(Element::root(), vec![Element::root().name])]);
    while let Some((def, path)) = todo.pop_front() {
        if def.children().iter().any(|s| name_text(s.name) == name) {
            let text: String = path.iter().map(|n| format!("<{}>", name_text(*n))).collect();
            if !found.contains(&text) {
                found.push(text);
            }
            if found.len() == 3 {
                break;
            }
        }
        for slot in def.children() {
            if !std::mem::replace(&mut seen[slot.id() as usize], true) {
                let mut below = path.clone();
                below.push(slot.name);
                todo.push_back((slot.element(), below));
            }
        }
    }
    found
}

/// Elements of which libvirt counts too; of others it takes the first.
pub fn stands_once(parent: &str, child: &str) -> bool {
    match child {
        "model" | "target" => parent == "controller",
        "cache" => parent == "cpu",
        "emulatorpin" => parent == "cputune",
        "numatune" | "cputune" => parent == "domain",
        // Of a character device.
        "log" | "protocol" => true,
        _ => false,
    }
}
