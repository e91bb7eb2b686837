//! What is one attribute in the format and one property in QEMU: declared once, read by lowering and by the import of command
//! lines.

use crate::plan::{Prop, Props};

/// An attribute of a part of the model, and the property of QEMU that it is.
pub struct Mapping<M> {
    /// QEMU's name.
    pub property: &'static str,
    /// The format's name.
    pub attribute: &'static str,
    /// How both spell the value.
    pub kind: Kind,
    /// What the model holds, as QEMU's value.
    pub value: fn(&M) -> Option<Prop>,
}

/// How a value is spelled on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A boolean of QEMU, `on` and `off` in the format.
    OnOff,
    /// A boolean of QEMU, `yes` and `no` in the format.
    YesNo,
    /// A number on both sides.
    Number,
    /// The same word on both sides.
    Word,
}

impl Kind {
    /// The format's word for a value of QEMU; none for one that it cannot say.
    pub fn word(self, value: &str) -> Option<String> {
        let on = match value {
            "on" | "true" | "yes" | "y" => Some(true),
            "off" | "false" | "no" | "n" => Some(false),
            _ => None,
        };
        let hex = |text: &str| text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match self {
            Kind::OnOff => on.map(|on| if on { "on" } else { "off" }.to_string()),
            Kind::YesNo => on.map(|on| if on { "yes" } else { "no" }.to_string()),
            Kind::Number => value.parse::<u64>().ok().or_else(|| hex(value)).map(|n| n.to_string()),
            Kind::Word => Some(value.to_string()),
        }
    }
}

/// Writes the properties that a part of the model has, in the order of the table.
pub fn lower<M>(table: &[Mapping<M>], from: &M, props: &mut Props) {
    for row in table {
        props.maybe(row.property, (row.value)(from));
    }
}

/// A table of [`Mapping`]: `"property" = field: Kind, "attribute"`.
macro_rules! mapping {
    ($(#[$meta:meta])* pub $name:ident: $model:ty { $($property:literal = $field:ident: $kind:ident, $attribute:literal;)* }) => {
        $(#[$meta])*
        pub const $name: &[$crate::stage::mapping::Mapping<$model>] = &[$($crate::stage::mapping::Mapping {
            property: $property,
            attribute: $attribute,
            kind: $crate::stage::mapping::Kind::$kind,
            value: |from| $crate::stage::mapping::prop!($kind, from.$field),
        }),*];
    };
}
pub(crate) use mapping;

/// QEMU's value of a field.
macro_rules! prop {
    (OnOff, $field:expr) => {
        $field.map(|value| $crate::plan::Prop::from(value.is_on()))
    };
    (YesNo, $field:expr) => {
        $field.map(|value| $crate::plan::Prop::from(value.is_yes()))
    };
    (Number, $field:expr) => {
        $field.map($crate::plan::Prop::from)
    };
    (Word, $field:expr) => {
        $field.map($crate::plan::Prop::from)
    };
}
pub(crate) use prop;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bind::{Binder, Part};
    use crate::diag::Diagnostics;

    /// Each row goes both ways: what the format says becomes a property, and that says the same again.
    pub fn both_ways<M: Part + Default>(table: &[Mapping<M>]) {
        for row in table {
            let values: &[&str] = match row.kind {
                Kind::OnOff => &["on", "off"],
                Kind::YesNo => &["yes", "no"],
                Kind::Number => &["7"],
                Kind::Word => &["on"],
            };
            for value in values {
                let text = format!("<driver {}='{value}'/>", row.attribute);
                let mut diags = Diagnostics::new();
                let doc = crate::xml::parse(text.as_bytes(), &mut diags);
                let mut part = M::default();
                part.bind(doc.root().expect("a root"), &mut Binder { diags: &mut diags });
                assert!(!diags.has_errors(), "{text}");
                let property = match (row.value)(&part) {
                    Some(Prop::Bool(on)) => if on { "on" } else { "off" }.to_string(),
                    Some(Prop::Number(number)) => number.to_string(),
                    Some(Prop::Text(text)) => text.to_string(),
                    other => panic!("{text}: {other:?}"),
                };
                assert_eq!(row.kind.word(&property).as_deref(), Some(*value), "{text}");
            }
        }
    }

    #[test]
    fn every_row_goes_both_ways() {
        both_ways(crate::stage::virtio::OPTIONS);
        both_ways(crate::device::interface::mapping::DRIVER);
        both_ways(crate::device::interface::mapping::HOST);
        both_ways(crate::device::interface::mapping::GUEST);
        both_ways(crate::device::interface::mapping::QUEUES);
        both_ways(crate::device::interface::mapping::HASH);
        both_ways(crate::device::disk::mapping::EVENTS);
        both_ways(crate::device::controller::mapping::SCSI);
        both_ways(crate::device::iommu::mapping::INTEL);
        both_ways(crate::device::audio::mapping::DIRECTION);
    }
}
