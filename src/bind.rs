//! The binding between the model and XML: declared once, used in both directions.
//!
//! [`model!`] declares a struct whose fields say where they stand in the XML. It gives the reader
//! (`bind`), the writer (`print_attrs`, `print_body`) and the list of names (`shape`). A name that the schema
//! lacks does not compile; a test holds the whole tree of names against it. The order of the fields is the order in which libvirt prints the elements.
//!
//! What the reader does not read stays unmarked in the document, and the driver reports it as not
//! supported yet: a feature is either bound (and then lowered) or refused, never dropped.

use crate::diag::codes::schema as codes;
use crate::diag::{Diagnostics, Edit, Span};
use crate::vocab::Value;
use crate::xml::{Attr, El, XmlWriter};

/// What a reader needs.
pub struct Binder<'a> {
    /// Where faults go.
    pub diags: &'a mut Diagnostics,
}

/// A part of an element: some of its attributes and children. A struct made by [`model!`], or one that
/// is written by hand where the format is irregular.
pub trait Part: Default {
    /// Reads the part from an element.
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>);
    /// Writes the attributes of the part into the open start tag.
    fn print_attrs(&self, out: &mut XmlWriter);
    /// Writes the children and the text of the part.
    fn print_body(&self, out: &mut XmlWriter);
    /// Names what the part reads.
    fn shape(shape: &mut Shape);
    /// Whether what makes the part is missing: then it is as if its element were not there.
    fn is_hollow(&self) -> bool {
        false
    }
}

/// A part that is a whole element.
pub trait Model: Part {
    /// The name of the element.
    const ELEMENT: &'static str;

    /// Reads the element.
    fn read(el: El<'_>, cx: &mut Binder<'_>) -> Self {
        let mut new = Self::default();
        new.bind(el, cx);
        new
    }

    /// Writes the element.
    fn print(&self, out: &mut XmlWriter) {
        print_as(Self::ELEMENT, self, out);
    }
}

/// Writes a part as an element of this name.
pub fn print_as(name: &'static str, part: &impl Part, out: &mut XmlWriter) {
    out.start(name);
    part.print_attrs(out);
    part.print_body(out);
    out.end();
}

/// Writes a part as an element of this name, unless nothing stands in it.
pub fn print_sparse(name: &'static str, part: &impl Part, out: &mut XmlWriter) {
    out.start(name);
    part.print_attrs(out);
    part.print_body(out);
    out.end_unless_empty();
}

/// The name of the element of a model.
pub fn element_of<T: Model>(_: &T) -> &'static str {
    T::ELEMENT
}

/// The names that a part reads, for holding the model against the schema.
#[derive(Debug, Default)]
pub struct Shape {
    /// Attributes.
    pub attrs: Vec<&'static str>,
    /// Children, each with its own shape.
    pub children: Vec<(&'static str, Shape)>,
    /// Whether text is read.
    pub text: bool,
}

impl Shape {
    /// The shape of a model.
    pub fn of<T: Part>() -> Shape {
        let mut shape = Shape::default();
        T::shape(&mut shape);
        shape
    }

    /// Adds an attribute.
    pub fn attr(&mut self, name: &'static str) {
        self.attrs.push(name);
    }

    /// Adds a child with the shape of `T`.
    pub fn child<T: Part>(&mut self, name: &'static str) {
        self.children.push((name, Shape::of::<T>()));
    }

    /// Adds a child that holds only text, or nothing.
    pub fn leaf(&mut self, name: &'static str) {
        self.children.push((name, Shape { text: true, ..Shape::default() }));
    }
}

impl<T: Part> Part for Box<T> {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        (**self).bind(el, cx);
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        (**self).print_attrs(out);
    }
    fn print_body(&self, out: &mut XmlWriter) {
        (**self).print_body(out);
    }
    fn shape(shape: &mut Shape) {
        T::shape(shape);
    }
    fn is_hollow(&self) -> bool {
        (**self).is_hollow()
    }
}

impl<T: Model> Model for Box<T> {
    const ELEMENT: &'static str = T::ELEMENT;
}

impl Binder<'_> {
    /// Reads the value of an attribute of `el`.
    pub fn value<T: Value>(&mut self, el: El<'_>, attr: Attr<'_>) -> Option<T> {
        match T::parse(attr.value()) {
            Ok(value) => Some(value),
            Err(expected) => {
                let message =
                    format!("'{}' is no value of the attribute '{}' of <{}>", attr.value(), attr.name(), el.name());
                // `046d`, as lsusb prints it.
                let hex = format!("0x{}", attr.value());
                let bare = attr.value().bytes().all(|b| b.is_ascii_hexdigit()) && T::parse(&hex).is_ok();
                if bare {
                    let edit = Edit::new(attr.value_span(), hex.as_str());
                    self.diags
                        .error(&codes::WRONG_VALUE, attr.span(), message)
                        .help(format!("a hexadecimal number begins with 0x: write {}='{hex}'", attr.name()))
                        .fix(vec![edit]);
                    return None;
                }
                self.wrong_value(attr.span(), message, &expected);
                None
            }
        }
    }

    /// Reads the attribute `name`, if it is there.
    pub fn attr<T: Value>(&mut self, el: El<'_>, name: &str) -> Option<T> {
        let attr = el.attr(name)?;
        self.value(el, attr)
    }

    /// Reads the attribute `name`, which must be there.
    pub fn need<T: Value>(&mut self, el: El<'_>, name: &str) -> Option<T> {
        if el.peek(name).is_none() {
            self.diags.error(
                &codes::MISSING_ATTRIBUTE,
                el.span(),
                format!("the attribute '{name}' of <{}> is missing", el.name()),
            );
        }
        self.attr(el, name)
    }

    /// Reads the text of an element. Blanks around it do not count.
    pub fn text<T: Value>(&mut self, el: El<'_>) -> Option<T> {
        let text = el.text();
        match T::parse(text) {
            Ok(value) => Some(value),
            Err(expected) => {
                let message = format!("'{}' is no value of <{}>", text.trim(), el.name());
                self.wrong_value(el.text_span(), message, &expected);
                None
            }
        }
    }

    fn wrong_value(&mut self, span: Span, message: String, expected: &str) {
        self.diags.error(&codes::WRONG_VALUE, span, message).help(format!("expected {expected}"));
    }
}

/// Declares a model. Each field is `KIND name: Type = "xml-name"`:
///
/// | kind | in the XML | field |
/// |---|---|---|
/// | `attr` | an attribute | `Option<Type>` |
/// | `need` | an attribute that must be there | `Option<Type>` |
/// | `key` | an attribute without which a `child` is as if it were not there; that it is missing is told by the schema | `Option<Type>` |
/// | `leaf` | a child with text only | `Option<Type>` |
/// | `leaves` | such children, any number | `Vec<Type>` |
/// | `flag` | an empty child that is there or not | `bool` |
/// | `text` | the text of the element | `Option<Type>` |
/// | `child` | a child element, not printed when nothing stands in it | `Option<Type>` |
/// | `mark` | a child element that means something even when it is empty | `Option<Type>` |
/// | `many` | children, any number | `Vec<Type>` |
/// | `list` | children inside a wrapper that is printed only when there are some | `Vec<Type>` |
/// | `part` | further attributes and children, declared elsewhere | `Type` |
/// | `extra` | nothing: what later stages find out | `Type` |
macro_rules! model {
    ($(#[$meta:meta])* pub struct $name:ident $(= $element:literal)? {
        $($(#[$fmeta:meta])* $kind:ident $field:ident : $ty:ty $(= $xml:literal)?),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $($(#[$fmeta])* $(#[doc = concat!("`", $xml, "`")])? #[doc = concat!("(", stringify!($kind), ")")] pub $field: $crate::bind::field_type!($kind $ty),)*
            /// Where it stands in the source.
            pub site: $crate::xml::Site,
        }

        impl $crate::bind::Part for $name {
            #[allow(unused_variables)]
            fn bind(&mut self, el: $crate::xml::El<'_>, cx: &mut $crate::bind::Binder<'_>) {
                self.site = el.site();
                $($crate::bind::bind_field!($kind, self.$field, el, cx, $ty $(, $xml)?);)*
            }
            #[allow(unused_variables)]
            fn print_attrs(&self, out: &mut $crate::xml::XmlWriter) {
                out.from(self.site);
                $($crate::bind::print_attr_field!($kind, &self.$field, out $(, $xml)?);)*
            }
            #[allow(unused_variables)]
            fn print_body(&self, out: &mut $crate::xml::XmlWriter) {
                $($crate::bind::print_body_field!($kind, &self.$field, out $(, $xml)?);)*
            }
            #[allow(unused_variables)]
            fn shape(shape: &mut $crate::bind::Shape) {
                $($crate::bind::shape_field!($kind, shape, $ty $(, $xml)?);)*
            }
            fn is_hollow(&self) -> bool {
                false $(|| $crate::bind::hollow_field!($kind, &self.$field))*
            }
        }

        $(impl $crate::bind::Model for $name {
            const ELEMENT: &'static str = $element;
        })?

        // Its names are the schema's.
        const _: () = {
            // Empty for a part that stands in several elements.
            #[allow(dead_code)]
            const HOLDER: &str = concat!("" $(, $element)?);
            $($crate::bind::check_field!($kind, HOLDER, $ty $(, $xml)?);)*
        };
    };
}
pub(crate) use model;

/// Refuses, while virtc is compiled, a name that the schema does not have in the element.
macro_rules! check_field {
    (attr, $holder:ident, $ty:ty, $xml:literal) => {
        assert!(
            $crate::schema::known::has_attribute($holder, $xml),
            concat!("schema/*.kdl has no attribute '", $xml, "' of this element")
        )
    };
    (need, $holder:ident, $ty:ty, $xml:literal) => {
        $crate::bind::check_field!(attr, $holder, $ty, $xml)
    };
    (key, $holder:ident, $ty:ty, $xml:literal) => {
        $crate::bind::check_field!(attr, $holder, $ty, $xml)
    };
    (text, $holder:ident, $ty:ty) => {};
    (part, $holder:ident, $ty:ty) => {};
    (extra, $holder:ident, $ty:ty) => {};
    (list, $holder:ident, $ty:ty, $xml:literal) => {{
        const INSIDE: &str = $xml;
        $crate::bind::check_field!(flag, $holder, $ty, $xml);
        $crate::bind::check_field!(many, INSIDE, $ty);
    }};
    ($kind:ident, $holder:ident, $ty:ty, $xml:literal) => {
        assert!(
            $crate::schema::known::has_child($holder, $xml),
            concat!("schema/*.kdl has no child <", $xml, "> of this element")
        )
    };
    ($kind:ident, $holder:ident, $ty:ty) => {
        assert!(
            $crate::schema::known::has_child($holder, <$ty as $crate::bind::Model>::ELEMENT),
            concat!("schema/*.kdl has no child for a ", stringify!($ty), " of this element")
        )
    };
}
pub(crate) use check_field;

macro_rules! hollow_field {
    (key, $from:expr) => {
        $from.is_none()
    };
    ($kind:ident, $from:expr) => {
        false
    };
}
pub(crate) use hollow_field;

macro_rules! field_type {
    (attr $ty:ty) => { Option<$ty> };
    (need $ty:ty) => { Option<$ty> };
    (key $ty:ty) => { Option<$ty> };
    (leaf $ty:ty) => { Option<$ty> };
    (leaves $ty:ty) => { Vec<$ty> };
    (flag $ty:ty) => { bool };
    (text $ty:ty) => { Option<$ty> };
    (child $ty:ty) => { Option<$ty> };
    (mark $ty:ty) => { Option<$ty> };
    (many $ty:ty) => { Vec<$ty> };
    (list $ty:ty) => { Vec<$ty> };
    (part $ty:ty) => { $ty };
    (extra $ty:ty) => { $ty };
}
pub(crate) use field_type;

macro_rules! bind_field {
    (attr, $to:expr, $el:ident, $cx:ident, $ty:ty, $xml:literal) => {
        $to = $cx.attr($el, $xml)
    };
    (need, $to:expr, $el:ident, $cx:ident, $ty:ty, $xml:literal) => {
        $to = $cx.need($el, $xml)
    };
    (key, $to:expr, $el:ident, $cx:ident, $ty:ty, $xml:literal) => {
        $to = $cx.attr($el, $xml)
    };
    (leaf, $to:expr, $el:ident, $cx:ident, $ty:ty, $xml:literal) => {
        // An empty element says nothing.
        $to = $el.child($xml).filter(|e| !e.text().is_empty()).and_then(|e| $cx.text(e))
    };
    (leaves, $to:expr, $el:ident, $cx:ident, $ty:ty, $xml:literal) => {
        $to = $el.children_named($xml).filter_map(|e| $cx.text(e)).collect()
    };
    (flag, $to:expr, $el:ident, $cx:ident, $ty:ty, $xml:literal) => {
        $to = $el.child($xml).is_some()
    };
    (text, $to:expr, $el:ident, $cx:ident, $ty:ty) => {
        $to = $cx.text($el)
    };
    (child, $to:expr, $el:ident, $cx:ident, $ty:ty) => {
        $to = $el
            .child(<$ty as $crate::bind::Model>::ELEMENT)
            .map(|e| <$ty as $crate::bind::Model>::read(e, $cx))
            .filter(|part| !$crate::bind::Part::is_hollow(part))
    };
    (child, $to:expr, $el:ident, $cx:ident, $ty:ty, $xml:literal) => {
        $to = $el
            .child($xml)
            .map(|e| {
                let mut part = <$ty>::default();
                $crate::bind::Part::bind(&mut part, e, $cx);
                part
            })
            .filter(|part| !$crate::bind::Part::is_hollow(part))
    };
    (mark, $to:expr, $el:ident, $cx:ident, $ty:ty $(, $xml:literal)?) => {
        $crate::bind::bind_field!(child, $to, $el, $cx, $ty $(, $xml)?)
    };
    (many, $to:expr, $el:ident, $cx:ident, $ty:ty) => {
        $to = $el
            .children_named(<$ty as $crate::bind::Model>::ELEMENT)
            .map(|e| <$ty as $crate::bind::Model>::read(e, $cx))
            .collect()
    };
    (many, $to:expr, $el:ident, $cx:ident, $ty:ty, $xml:literal) => {
        $to = $el
            .children_named($xml)
            .map(|e| {
                let mut part = <$ty>::default();
                $crate::bind::Part::bind(&mut part, e, $cx);
                part
            })
            .collect()
    };
    (list, $to:expr, $el:ident, $cx:ident, $ty:ty, $xml:literal) => {
        if let Some(list) = $el.child($xml) {
            $to = list
                .children_named(<$ty as $crate::bind::Model>::ELEMENT)
                .map(|e| <$ty as $crate::bind::Model>::read(e, $cx))
                .collect()
        }
    };
    (part, $to:expr, $el:ident, $cx:ident, $ty:ty) => {
        $crate::bind::Part::bind(&mut $to, $el, $cx)
    };
    (extra, $to:expr, $el:ident, $cx:ident, $ty:ty) => {};
}
pub(crate) use bind_field;

macro_rules! print_attr_field {
    (attr, $from:expr, $out:ident, $xml:literal) => {
        $crate::bind::print_attr($out, $xml, $from)
    };
    (need, $from:expr, $out:ident, $xml:literal) => {
        $crate::bind::print_attr($out, $xml, $from)
    };
    (key, $from:expr, $out:ident, $xml:literal) => {
        $crate::bind::print_attr($out, $xml, $from)
    };
    (part, $from:expr, $out:ident) => {
        $crate::bind::Part::print_attrs($from, $out)
    };
    ($kind:ident, $from:expr, $out:ident $(, $xml:literal)?) => {};
}
pub(crate) use print_attr_field;

macro_rules! print_body_field {
    (leaf, $from:expr, $out:ident, $xml:literal) => {
        if let Some(value) = $from {
            $out.leaf($xml, &$crate::vocab::Value::to_text(value));
        }
    };
    (leaves, $from:expr, $out:ident, $xml:literal) => {
        for value in $from {
            $out.leaf($xml, &$crate::vocab::Value::to_text(value));
        }
    };
    (flag, $from:expr, $out:ident, $xml:literal) => {
        if *$from {
            $out.empty($xml);
        }
    };
    (text, $from:expr, $out:ident) => {
        if let Some(value) = $from {
            $out.text(&$crate::vocab::Value::to_text(value));
        }
    };
    (child, $from:expr, $out:ident) => {
        if let Some(part) = $from {
            $crate::bind::print_sparse($crate::bind::element_of(part), part, $out);
        }
    };
    (child, $from:expr, $out:ident, $xml:literal) => {
        if let Some(part) = $from {
            $crate::bind::print_sparse($xml, part, $out);
        }
    };
    (mark, $from:expr, $out:ident) => {
        if let Some(part) = $from {
            $crate::bind::Model::print(part, $out);
        }
    };
    (mark, $from:expr, $out:ident, $xml:literal) => {
        if let Some(part) = $from {
            $crate::bind::print_as($xml, part, $out);
        }
    };
    (many, $from:expr, $out:ident) => {
        for part in $from {
            $crate::bind::Model::print(part, $out);
        }
    };
    (many, $from:expr, $out:ident, $xml:literal) => {
        for part in $from {
            $crate::bind::print_as($xml, part, $out);
        }
    };
    (list, $from:expr, $out:ident, $xml:literal) => {
        if !$from.is_empty() {
            $out.start($xml);
            for part in $from {
                $crate::bind::Model::print(part, $out);
            }
            $out.end();
        }
    };
    (part, $from:expr, $out:ident) => {
        $crate::bind::Part::print_body($from, $out)
    };
    ($kind:ident, $from:expr, $out:ident $(, $xml:literal)?) => {};
}
pub(crate) use print_body_field;

macro_rules! shape_field {
    (attr, $shape:ident, $ty:ty, $xml:literal) => {
        $shape.attr($xml)
    };
    (need, $shape:ident, $ty:ty, $xml:literal) => {
        $shape.attr($xml)
    };
    (key, $shape:ident, $ty:ty, $xml:literal) => {
        $shape.attr($xml)
    };
    (leaf, $shape:ident, $ty:ty, $xml:literal) => {
        $shape.leaf($xml)
    };
    (leaves, $shape:ident, $ty:ty, $xml:literal) => {
        $shape.leaf($xml)
    };
    (flag, $shape:ident, $ty:ty, $xml:literal) => {
        $shape.leaf($xml)
    };
    (text, $shape:ident, $ty:ty) => {
        $shape.text = true
    };
    (child, $shape:ident, $ty:ty) => {
        $shape.child::<$ty>(<$ty as $crate::bind::Model>::ELEMENT)
    };
    (child, $shape:ident, $ty:ty, $xml:literal) => {
        $shape.child::<$ty>($xml)
    };
    (mark, $shape:ident, $ty:ty $(, $xml:literal)?) => {
        $crate::bind::shape_field!(child, $shape, $ty $(, $xml)?)
    };
    (many, $shape:ident, $ty:ty) => {
        $shape.child::<$ty>(<$ty as $crate::bind::Model>::ELEMENT)
    };
    (many, $shape:ident, $ty:ty, $xml:literal) => {
        $shape.child::<$ty>($xml)
    };
    (list, $shape:ident, $ty:ty, $xml:literal) => {{
        let mut list = $crate::bind::Shape::default();
        list.child::<$ty>(<$ty as $crate::bind::Model>::ELEMENT);
        $shape.children.push(($xml, list));
    }};
    (part, $shape:ident, $ty:ty) => {
        <$ty as $crate::bind::Part>::shape($shape)
    };
    (extra, $shape:ident, $ty:ty) => {};
}
pub(crate) use shape_field;

/// Writes an attribute that is there.
pub fn print_attr<T: Value>(out: &mut XmlWriter, name: &str, value: &Option<T>) {
    if let Some(value) = value {
        out.attr(name, &value.to_text());
    }
}
