//! Typed command-line arguments.

use super::{Cause, Text};
use serde::{Deserialize, Serialize};

/// One argument of a process: a switch and its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Arg {
    /// `-device`; for a positional argument or one handed through, the whole token.
    pub switch: Text,
    /// What follows.
    pub value: ArgValue,
    /// Why it is there.
    pub cause: Cause,
}

/// The value of a switch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ArgValue {
    /// Nothing follows.
    None,
    /// A token that is no option list (`-uuid`, `-append`, `-kernel`).
    Text(String),
    /// Properties, in one of QEMU's two notations.
    Props(Props, Form),
}

/// QEMU's notations for properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// `{"driver":"ide-hd"}`
    Json,
    /// `ide-hd,bus=ide.0`: a property with an empty key is written without one (the implied key);
    /// nested objects become `a.b=c`, lists `a.0=b`.
    Options,
}

/// A property value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Prop {
    /// `null`; nothing in the option form.
    Null,
    /// `true`, or `on` in the option form.
    Bool(bool),
    /// A number.
    Number(i64),
    /// A number beyond 2^63.
    Unsigned(u64),
    /// Text.
    Text(Text),
    /// Nested properties.
    Object(Props),
    /// A list.
    List(Vec<Prop>),
}

/// Ordered properties. An option list may hold a key twice, and its order counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Props(pub Vec<(Text, Prop)>);

impl Props {
    /// No properties.
    pub fn new() -> Props {
        Props(Vec::with_capacity(8))
    }

    /// Properties that begin with `key`.
    pub fn with(key: impl Into<Text>, value: impl Into<Prop>) -> Props {
        let mut props = Props::new();
        props.set(key, value);
        props
    }

    /// Properties of a `-device`: `driver` first.
    pub fn driver(name: impl Into<Text>) -> Props {
        Props::with("driver", Prop::Text(name.into()))
    }

    /// Appends a property.
    pub fn set(&mut self, key: impl Into<Text>, value: impl Into<Prop>) -> &mut Props {
        self.0.push((key.into(), value.into()));
        self
    }

    /// Appends a property if there is a value.
    pub fn maybe(&mut self, key: impl Into<Text>, value: Option<impl Into<Prop>>) -> &mut Props {
        if let Some(value) = value {
            self.set(key, value);
        }
        self
    }

    /// Appends the value of an option list that stands without a key.
    pub fn bare(&mut self, value: impl Into<Prop>) -> &mut Props {
        self.set("", value)
    }

    /// The value of a property.
    pub fn get(&self, key: &str) -> Option<&Prop> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// The text of a property.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Prop::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Replaces the value of a property, or appends it.
    pub fn replace(&mut self, key: impl Into<Text>, value: impl Into<Prop>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(k, _)| *k == key) {
            Some(slot) => slot.1 = value,
            None => self.0.push((key, value)),
        }
    }

    /// Whether there is no property.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

macro_rules! prop_from {
    ($($from:ty => |$v:ident| $to:expr),+ $(,)?) => {
        $(impl From<$from> for Prop { fn from($v: $from) -> Prop { $to } })+
    };
}
prop_from! {
    bool => |v| Prop::Bool(v),
    i32 => |v| Prop::Number(v.into()),
    u8 => |v| Prop::Number(v.into()),
    u16 => |v| Prop::Number(v.into()),
    u32 => |v| Prop::Number(v.into()),
    i64 => |v| Prop::Number(v),
    u64 => |v| i64::try_from(v).map_or(Prop::Unsigned(v), Prop::Number),
    usize => |v| Prop::from(v as u64),
    &'static str => |v| Prop::Text(Text::Borrowed(v)),
    String => |v| Prop::Text(Text::Owned(v)),
    &String => |v| Prop::Text(Text::Owned(v.clone())),
    Text => |v| Prop::Text(v),
    Props => |v| Prop::Object(v),
    Vec<Prop> => |v| Prop::List(v),
    crate::vocab::OnOff => |v| Prop::Text(Text::Borrowed(v.as_str())),
}

impl Arg {
    /// A switch without a value.
    pub fn switch(switch: impl Into<Text>, cause: Cause) -> Arg {
        Arg { switch: switch.into(), value: ArgValue::None, cause }
    }

    /// A switch with a plain token.
    pub fn text(switch: impl Into<Text>, text: impl Into<String>, cause: Cause) -> Arg {
        Arg { switch: switch.into(), value: ArgValue::Text(text.into()), cause }
    }

    /// A switch with properties.
    pub fn props(switch: impl Into<Text>, props: Props, form: Form, cause: Cause) -> Arg {
        Arg { switch: switch.into(), value: ArgValue::Props(props, form), cause }
    }
}
