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

    /// Whether a text is part of the value.
    pub fn mentions(&self, text: &str) -> bool {
        match &self.value {
            ArgValue::None => false,
            ArgValue::Text(own) => own.contains(text),
            ArgValue::Props(props, _) => props.mentions(text),
        }
    }

    /// The same with other texts in its value.
    pub fn with_texts(&self, change: &dyn Fn(&str) -> String) -> Arg {
        let value = match &self.value {
            ArgValue::None => ArgValue::None,
            ArgValue::Text(own) => ArgValue::Text(change(own)),
            ArgValue::Props(props, form) => ArgValue::Props(props.with_texts(change), *form),
        };
        Arg { switch: self.switch.clone(), value, cause: self.cause.clone() }
    }
}

impl Props {
    fn mentions(&self, text: &str) -> bool {
        self.0.iter().any(|(_, value)| value.mentions(text))
    }

    fn with_texts(&self, change: &dyn Fn(&str) -> String) -> Props {
        Props(self.0.iter().map(|(key, value)| (key.clone(), value.with_texts(change))).collect())
    }
}

impl Prop {
    fn mentions(&self, text: &str) -> bool {
        match self {
            Prop::Text(own) => own.contains(text),
            Prop::Object(props) => props.mentions(text),
            Prop::List(values) => values.iter().any(|v| v.mentions(text)),
            Prop::Null | Prop::Bool(_) | Prop::Number(_) | Prop::Unsigned(_) => false,
        }
    }

    fn with_texts(&self, change: &dyn Fn(&str) -> String) -> Prop {
        match self {
            Prop::Text(own) => Prop::Text(Text::Owned(change(own))),
            Prop::Object(props) => Prop::Object(props.with_texts(change)),
            Prop::List(values) => Prop::List(values.iter().map(|v| v.with_texts(change)).collect()),
            Prop::Null | Prop::Bool(_) | Prop::Number(_) | Prop::Unsigned(_) => self.clone(),
        }
    }
}
