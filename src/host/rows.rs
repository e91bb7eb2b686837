//! Facts that are declared once: [`facts!`] makes of one row the field, its default, its reader, its writer and its line in
//! the reference.

use super::kdl::{Entries, Fact, Reader, Times};
use super::lines::{Lines, Written};
use ::kdl::{KdlNode, KdlValue};
use std::marker::PhantomData;

/// Names of nodes, and how often each may stand in its block.
pub type Table = &'static [(&'static str, Times)];

/// How a value of type `T` is written in KDL.
pub trait How<T> {
    /// Reads it. The error says what is expected instead.
    fn read(value: &KdlValue) -> Result<T, String>;
    /// Writes it.
    fn written(value: &T) -> Written;
}

/// The way of the type itself.
pub struct Plain;

/// A type that is written in one way only.
pub trait Tell: Fact {
    /// As it stands in the document.
    fn written(&self) -> Written;
}

impl<T: Tell> How<T> for Plain {
    fn read(value: &KdlValue) -> Result<T, String> {
        T::read(value)
    }
    fn written(value: &T) -> Written {
        value.written()
    }
}

impl Tell for String {
    fn written(&self) -> Written {
        Written::Text(self.clone())
    }
}

impl Tell for bool {
    fn written(&self) -> Written {
        Written::Truth(*self)
    }
}

macro_rules! numbers {
    ($($ty:ty),+) => { $(
        impl Tell for $ty {
            fn written(&self) -> Written {
                Written::Number(i128::from(*self))
            }
        }
    )+ };
}
numbers!(u8, u16, u32, i32);

/// A value that is read in some way, for [`Reader`].
pub struct By<T, H>(pub T, PhantomData<H>);

impl<T, H: How<T>> Fact for By<T, H> {
    fn read(value: &KdlValue) -> Result<Self, String> {
        H::read(value).map(|value| By(value, PhantomData))
    }
}

/// What is no single value: a node with a reader and a writer of its own.
pub trait Own<T> {
    /// How often the node may stand.
    const TIMES: Times = Times::Once;
    /// Reads the node.
    fn read(r: &mut Reader<'_>, node: &KdlNode, into: &mut T);
    /// Writes it, as often as it takes.
    fn write(w: &mut Lines, name: &str, value: &T);
}

/// A struct of facts, made by [`facts!`].
pub trait Facts: Sized {
    /// The names of its nodes.
    const NAMES: Table;
    /// Each name with what it means, for the reference.
    const PARTS: &'static [(&'static str, &'static str)];

    /// Reads a child. `again`: another one of its name was read before.
    fn child(&mut self, r: &mut Reader<'_>, node: &KdlNode, again: bool);
    /// Takes what is there as properties.
    fn properties(&mut self, e: &mut Entries<'_, '_, '_>);
    /// Writes as children what has to be told: what differs from `usual`, and what is always told.
    fn write_children(&self, usual: &Self, w: &mut Lines);
    /// Writes all single values as properties.
    fn write_properties(&self, w: &mut Lines);

    /// Reads a node that holds the facts as children.
    fn read_block(&mut self, r: &mut Reader<'_>, node: &KdlNode) {
        r.entries(node).finish();
        self.read_children(r, node);
    }

    /// Reads a node that holds them as properties.
    fn read_properties(&mut self, r: &mut Reader<'_>, node: &KdlNode) {
        let mut e = r.entries(node);
        self.properties(&mut e);
        e.finish();
        r.no_children(node);
    }

    /// Reads a node that holds them as children or as properties.
    fn read_either(&mut self, r: &mut Reader<'_>, node: &KdlNode) {
        let mut e = r.entries(node);
        self.properties(&mut e);
        e.finish();
        self.read_children(r, node);
    }

    /// Reads the children of a node.
    fn read_children(&mut self, r: &mut Reader<'_>, node: &KdlNode) {
        let nodes = r.children(node, Self::NAMES);
        for (at, child) in nodes.iter().enumerate() {
            let again = nodes[..at].iter().any(|before| before.name().value() == child.name().value());
            self.child(r, child, again);
        }
    }
}

/// Reads a node that is one value.
pub fn one<T, H: How<T>>(r: &mut Reader<'_>, node: &KdlNode, into: &mut T) {
    let mut value: Option<By<T, H>> = None;
    r.option(node, &mut value);
    if let Some(By(value, _)) = value {
        *into = value;
    }
}

/// Reads a node that is a value which may be left out.
pub fn maybe<T, H: How<T>>(r: &mut Reader<'_>, node: &KdlNode, into: &mut Option<T>) {
    let mut value: Option<By<T, H>> = None;
    r.option(node, &mut value);
    if let Some(By(value, _)) = value {
        *into = Some(value);
    }
}

/// Reads a node that is a list; a second one of its name goes on with it.
pub fn list<T, H: How<T>>(r: &mut Reader<'_>, node: &KdlNode, into: &mut Vec<T>, again: bool) {
    let mut values: Vec<By<T, H>> = Vec::new();
    r.list(node, &mut values);
    if !again {
        into.clear();
    }
    into.extend(values.into_iter().map(|value| value.0));
}

/// Takes a property.
pub fn property<T, H: How<T>>(e: &mut Entries<'_, '_, '_>, name: &str, into: &mut T) {
    if let Some(By(value, _)) = e.prop::<By<T, H>>(name) {
        *into = value;
    }
}

/// Takes a property that may be left out.
pub fn maybe_property<T, H: How<T>>(e: &mut Entries<'_, '_, '_>, name: &str, into: &mut Option<T>) {
    if let Some(By(value, _)) = e.prop::<By<T, H>>(name) {
        *into = Some(value);
    }
}

/// Declares a struct of facts. Each row is `"node" field: Type = default => KIND HOW WHEN, "what it means";`, or
/// `"node"."property"` where the value is a property of the node.
///
/// | kind | the field | in the document |
/// |---|---|---|
/// | `one` | `T` | a value |
/// | `maybe` | `Option<T>` | a value, or nothing |
/// | `list` | `Vec<T>` | arguments; what is given takes the place of the default |
/// | `own` | any | a node, by the [`Own`] that stands as HOW |
///
/// HOW is [`Plain`], or a way of writing ([`How`]); WHEN is `told` (always written) or `other` (where it differs).
macro_rules! facts {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($node:literal $(. $prop:literal)? $field:ident: $ty:ty = $default:expr => $kind:ident $how:ident $when:ident, $about:literal;)*
    }) => {
        $(#[$meta])*
        pub struct $name {
            $(#[doc = concat!("`", $node, $(" ", $prop,)? "`: ", $about)] pub $field: $ty,)*
        }

        impl Default for $name {
            fn default() -> $name {
                $name { $($field: $default,)* }
            }
        }

        impl $crate::host::rows::Facts for $name {
            const NAMES: $crate::host::rows::Table = &[$(($node, facts!(@times $kind $how $ty)),)*];
            const PARTS: &'static [(&'static str, &'static str)] = &[$(($node, $about),)*];

            #[allow(unused_variables)]
            fn child(&mut self, r: &mut $crate::host::kdl::Reader<'_>, node: &::kdl::KdlNode, again: bool) {
                match node.name().value() {
                    $($node => facts!(@read $kind $how r node again (self.$field) $($prop)?),)*
                    _ => {}
                }
            }

            #[allow(unused_variables)]
            fn properties(&mut self, e: &mut $crate::host::kdl::Entries<'_, '_, '_>) {
                $(facts!(@property $kind $how e $node (self.$field));)*
            }

            #[allow(unused_variables)]
            fn write_children(&self, usual: &Self, w: &mut $crate::host::lines::Lines) {
                $(if facts!(@when $when self.$field != usual.$field) {
                    facts!(@write $kind $how w $node (self.$field) $($prop)?);
                })*
            }

            #[allow(unused_variables)]
            fn write_properties(&self, w: &mut $crate::host::lines::Lines) {
                $(facts!(@write_property $kind $how w $node (self.$field));)*
            }
        }
    };

    (@times one $how:ident $ty:ty) => { $crate::host::kdl::Times::Once };
    (@times maybe $how:ident $ty:ty) => { $crate::host::kdl::Times::Once };
    (@times list $how:ident $ty:ty) => { $crate::host::kdl::Times::Many };
    (@times own $how:ident $ty:ty) => { <$how as $crate::host::rows::Own<$ty>>::TIMES };

    (@when told $differs:expr) => { true };
    (@when other $differs:expr) => { $differs };

    (@read one $how:ident $r:ident $node:ident $again:ident ($field:expr)) => {
        $crate::host::rows::one::<_, $how>($r, $node, &mut $field)
    };
    (@read one $how:ident $r:ident $node:ident $again:ident ($field:expr) $prop:literal) => {{
        let mut e = $r.entries($node);
        $crate::host::rows::property::<_, $how>(&mut e, $prop, &mut $field);
        e.finish();
        $r.no_children($node);
    }};
    (@read maybe $how:ident $r:ident $node:ident $again:ident ($field:expr)) => {
        $crate::host::rows::maybe::<_, $how>($r, $node, &mut $field)
    };
    (@read list $how:ident $r:ident $node:ident $again:ident ($field:expr)) => {
        $crate::host::rows::list::<_, $how>($r, $node, &mut $field, $again)
    };
    (@read own $how:ident $r:ident $node:ident $again:ident ($field:expr)) => {
        <$how as $crate::host::rows::Own<_>>::read($r, $node, &mut $field)
    };

    (@property one $how:ident $e:ident $name:literal ($field:expr)) => {
        $crate::host::rows::property::<_, $how>($e, $name, &mut $field)
    };
    (@property maybe $how:ident $e:ident $name:literal ($field:expr)) => {
        $crate::host::rows::maybe_property::<_, $how>($e, $name, &mut $field)
    };
    (@property $kind:ident $how:ident $e:ident $name:literal ($field:expr)) => {};

    (@write one $how:ident $w:ident $name:literal ($field:expr)) => {
        $w.node($name).argument(<$how as $crate::host::rows::How<_>>::written(&$field));
    };
    (@write one $how:ident $w:ident $name:literal ($field:expr) $prop:literal) => {
        $w.node($name).property($prop, <$how as $crate::host::rows::How<_>>::written(&$field));
    };
    (@write maybe $how:ident $w:ident $name:literal ($field:expr)) => {
        if let Some(value) = &$field {
            $w.node($name).argument(<$how as $crate::host::rows::How<_>>::written(value));
        }
    };
    (@write list $how:ident $w:ident $name:literal ($field:expr)) => {
        $w.node($name);
        for value in &$field {
            $w.argument(<$how as $crate::host::rows::How<_>>::written(value));
        }
    };
    (@write own $how:ident $w:ident $name:literal ($field:expr)) => {
        <$how as $crate::host::rows::Own<_>>::write($w, $name, &$field);
    };

    (@write_property one $how:ident $w:ident $name:literal ($field:expr)) => {
        $w.property($name, <$how as $crate::host::rows::How<_>>::written(&$field))
    };
    (@write_property maybe $how:ident $w:ident $name:literal ($field:expr)) => {
        if let Some(value) = &$field {
            $w.property($name, <$how as $crate::host::rows::How<_>>::written(value));
        }
    };
    (@write_property $kind:ident $how:ident $w:ident $name:literal ($field:expr)) => {};
}
pub(crate) use facts;
