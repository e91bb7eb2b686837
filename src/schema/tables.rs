//! The compiled grammar: statics that `build.rs` makes of `schema/*.kdl`, and how to read them.

use crate::xml::Namespace;

/// A piece of the one text of the tables.
#[derive(Clone, Copy)]
pub struct Text(u32, u16);

const fn t(at: u32, len: u16) -> Text {
    Text(at, len)
}

impl Text {
    /// The text itself.
    pub fn get(self) -> &'static str {
        TEXT.get(self.0 as usize..self.0 as usize + self.1 as usize).unwrap_or("")
    }

    fn is(self, other: &str) -> bool {
        TEXT.as_bytes().get(self.0 as usize..self.0 as usize + self.1 as usize) == Some(other.as_bytes())
    }
}

/// From where, how many.
type Range = (u16, u16);

fn slice<T>(all: &'static [T], (from, count): Range) -> &'static [T] {
    all.get(from as usize..from as usize + count as usize).unwrap_or(&[])
}

/// The identity of a name (element or attribute) of the format.
pub type Name = u16;

/// No such name in the format.
pub const NO_NAME: Name = 0xffff;
const NO_TYPE: u16 = 0xffff;

/// A type of values.
pub struct Type {
    /// Its name in the schema; empty for one that stands where it is used.
    pub name: Text,
    /// What is expected, as in "expected …"; of the parts that are not words.
    pub doc: Text,
    parts: Range,
}

impl Type {
    /// The alternatives.
    pub fn parts(&self) -> &'static [Part] {
        slice(&PARTS, self.parts)
    }

    /// The words among the alternatives.
    pub fn words(&self) -> &'static [Word] {
        self.parts().iter().map(Part::words).find(|w| !w.is_empty()).unwrap_or(&[])
    }

    /// Whether nearly any text will do, so that taking a value says nothing about it.
    pub fn is_free(&self) -> bool {
        let name = self.name.get();
        self.parts().iter().any(|p| matches!(p, Part::Text)) || ["text", "some-text", "line", "name"].contains(&name)
    }

    /// Whether there is something else than words.
    pub fn has_other_than_words(&self) -> bool {
        self.parts().iter().any(|p| !matches!(p, Part::Words(..)))
    }

    /// Whether the type takes the text of an element. Blanks around a number or a word do not count; a path or a name keeps them.
    pub fn accepts_text(&self, text: &str) -> bool {
        let bare = text.trim_ascii();
        let loose = |p: &&Part| !matches!(p, Part::Pattern(_) | Part::Text);
        self.accepts(text) || bare.len() < text.len() && self.parts().iter().filter(loose).any(|p| p.accepts(bare))
    }

    /// Whether the type takes the value.
    pub fn accepts(&self, value: &str) -> bool {
        self.parts().iter().any(|p| p.accepts(value))
    }
}

/// One alternative of a [`Type`].
pub enum Part {
    /// Words, by range.
    Words(u16, u16),
    /// A decimal number within bounds.
    Int(i128, i128),
    /// A hexadecimal number behind `0x` within bounds.
    Hex(i128, i128),
    /// A pattern.
    Pattern(u16),
    /// A check written in Rust.
    Builtin(Builtin),
    /// Any text.
    Text,
}

/// Types that no pattern tells well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Builtin {
    /// An IPv4 address in dotted form.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
}

impl Part {
    /// The words, if it is a list of words.
    pub fn words(&self) -> &'static [Word] {
        match self {
            Part::Words(from, count) => slice(&WORDS, (*from, *count)),
            _ => &[],
        }
    }

    fn accepts(&self, value: &str) -> bool {
        match self {
            Part::Words(..) => self.words().iter().any(|w| w.word.is(value)),
            Part::Int(min, max) => decimal(value).is_some_and(|n| (*min..=*max).contains(&n)),
            Part::Hex(min, max) => hexadecimal(value).is_some_and(|n| (*min..=*max).contains(&n)),
            Part::Pattern(at) => DFAS[*at as usize].accepts(value),
            Part::Builtin(Builtin::Ipv4) => value.parse::<std::net::Ipv4Addr>().is_ok(),
            Part::Builtin(Builtin::Ipv6) => value.parse::<std::net::Ipv6Addr>().is_ok(),
            Part::Text => true,
        }
    }
}

/// Decimal digits, with a sign if negative; saturates far beyond any bound of the format.
pub fn decimal(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits.bytes().fold(0i128, |n, b| (n * 10 + i128::from(b - b'0')).min(1 << 100));
    Some(if negative { -magnitude } else { magnitude })
}

/// Hexadecimal digits behind `0x`; saturates.
pub fn hexadecimal(text: &str) -> Option<i128> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    if digits.is_empty() {
        return None;
    }
    digits.chars().try_fold(0i128, |n, c| Some((n * 16 + i128::from(c.to_digit(16)?)).min(1 << 100)))
}

/// A word of a value set.
pub struct Word {
    /// As written in the document.
    pub word: Text,
    /// What it means.
    pub doc: Text,
    /// The libvirt version that introduced it; may be empty.
    pub since: Text,
}

/// A pattern as a deterministic automaton.
pub struct Dfa {
    classes: u16,
    width: u16,
    next: u32,
    accept: u32,
}

impl Dfa {
    fn accepts(&self, value: &str) -> bool {
        let mut state = 1usize;
        for byte in value.bytes() {
            let class = DFA_CLASSES[self.classes as usize + byte as usize] as usize;
            state = DFA_NEXT[self.next as usize + state * self.width as usize + class] as usize;
            if state == 0 {
                return false;
            }
        }
        DFA_ACCEPT[self.accept as usize + state]
    }
}

/// An element at one or more places of the format.
pub struct Element {
    /// Its name.
    pub name: Name,
    text: u16,
    attrs: Range,
    children: Range,
    guards: Range,
    /// Whether it keeps elements of other namespaces.
    pub foreign: bool,
    /// What it is.
    pub doc: Text,
    /// The libvirt version that introduced it; may be empty.
    pub since: Text,
    /// The unit of its text; may be empty.
    pub unit: Text,
}

impl Element {
    /// The root, `<domain>`.
    pub fn root() -> &'static Element {
        &ELEMENTS[0]
    }

    /// The type of its text; none if it holds no text.
    pub fn text(&self) -> Option<&'static Type> {
        (self.text != NO_TYPE).then(|| &TYPES[self.text as usize])
    }

    /// Its attributes under all conditions.
    pub fn attrs(&self) -> &'static [AttrSlot] {
        slice(&ATTRS, self.attrs)
    }

    /// Its children under all conditions.
    pub fn children(&self) -> &'static [ChildSlot] {
        slice(&CHILDREN, self.children)
    }

    /// The conditions, outer before inner. Guard number N of a slot is `guards()[N - 1]`; 0 is none.
    pub fn guards(&self) -> &'static [Guard] {
        slice(&GUARDS, self.guards)
    }
}

/// An attribute of an element, under a condition.
pub struct AttrSlot {
    /// Its name.
    pub name: Name,
    /// The condition; 0 for none.
    pub guard: u8,
    /// Whether it must be there.
    pub required: bool,
    ty: u16,
    /// What holds where it is absent; may be empty.
    pub default: Text,
    /// What it is.
    pub doc: Text,
    /// The libvirt version that introduced it; may be empty.
    pub since: Text,
    /// The unit of its value; may be empty.
    pub unit: Text,
}

impl AttrSlot {
    /// The type of its value.
    pub fn ty(&self) -> &'static Type {
        &TYPES[self.ty as usize]
    }
}

/// A child of an element, under a condition.
pub struct ChildSlot {
    /// Its name.
    pub name: Name,
    /// The condition; 0 for none.
    pub guard: u8,
    element: u16,
    /// How often it must be there.
    pub min: u8,
    /// How often it may be there; 0 for any number.
    pub max: u8,
    /// What it is, here.
    pub doc: Text,
}

impl ChildSlot {
    /// What it holds.
    pub fn element(&self) -> &'static Element {
        &ELEMENTS[self.element as usize]
    }

    /// The number of the element definition, for telling definitions apart.
    pub fn id(&self) -> u16 {
        self.element
    }
}

/// A condition under which slots of an element apply.
pub enum Guard {
    /// An attribute has one of the values; no values: it is absent.
    When {
        /// The enclosing condition.
        parent: u8,
        /// The attribute.
        attr: Name,
        #[doc(hidden)]
        values: Range,
        /// The opposite.
        negate: bool,
        /// What holds where the attribute is absent.
        default: Text,
    },
    /// One of several options; those of one choice follow one another.
    Option {
        /// The enclosing condition.
        parent: u8,
        /// Which one, from 0.
        index: u8,
        /// Of how many.
        count: u8,
        #[doc(hidden)]
        attrs: Range,
        #[doc(hidden)]
        children: Range,
    },
}

impl Guard {
    /// The values of a [`Guard::When`].
    pub fn values(&self) -> &'static [Text] {
        match self {
            Guard::When { values, .. } => slice(&GUARD_VALUES, *values),
            Guard::Option { .. } => &[],
        }
    }

    /// Attributes that belong to a [`Guard::Option`]: name, type, required.
    pub fn option_attrs(&self) -> impl Iterator<Item = (Name, &'static Type, bool)> {
        let range = if let Guard::Option { attrs, .. } = self { *attrs } else { (0, 0) };
        slice(&OPTION_ATTRS, range).iter().map(|(name, ty, required)| (*name, &TYPES[*ty as usize], *required))
    }

    /// Children that belong to a [`Guard::Option`]: name, required.
    pub fn option_children(&self) -> &'static [(Name, bool)] {
        slice(&OPTION_CHILDREN, if let Guard::Option { children, .. } = self { *children } else { (0, 0) })
    }
}

/// A value of a [`Guard::When`] equals a value of the document.
pub fn has(values: &[Text], value: &str) -> bool {
    values.iter().any(|v| v.is(value))
}

/// The text of a name; elements of libvirt's own further namespaces carry their usual prefix.
pub fn name_text(name: Name) -> &'static str {
    NAMES.get(name as usize).map_or("", |t| t.get())
}

/// The name of an element or attribute; [`NO_NAME`] if the format has none such.
pub fn find_name(namespace: Namespace, local: &str) -> Name {
    let prefix: &str = match namespace {
        Namespace::None => "",
        Namespace::Qemu => "qemu:",
        Namespace::Lxc => "lxc:",
        Namespace::Xen => "xen:",
        Namespace::Bhyve => "bhyve:",
        Namespace::Foreign => return NO_NAME,
    };
    let mut at = hash(prefix, local) as usize & (NAME_SLOTS.len() - 1);
    loop {
        let id = NAME_SLOTS[at];
        if id == 0xffff {
            return NO_NAME;
        }
        let bytes = NAMES[id as usize].get().as_bytes();
        if bytes.len() == prefix.len() + local.len()
            && bytes.starts_with(prefix.as_bytes())
            && bytes.ends_with(local.as_bytes())
        {
            return id;
        }
        at = (at + 1) & (NAME_SLOTS.len() - 1);
    }
}

/// FNV-1a; `build/write.rs` has the same.
fn hash(prefix: &str, local: &str) -> u32 {
    prefix.bytes().chain(local.bytes()).fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

/// All element definitions; the root is the first.
pub fn elements() -> &'static [Element] {
    &ELEMENTS
}

pub use generated::*;

/// What `build.rs` makes of `schema/*.kdl`.
mod generated {
    #![allow(missing_docs)]

    use super::*;
    include!(concat!(env!("OUT_DIR"), "/schema_tables.rs"));
}
