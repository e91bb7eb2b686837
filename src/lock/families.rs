//! The column `lock` of the table of families: by what a device is found again, and what of it is locked.
//!
//! Names are paths as in [`super::flat`]. The address of a device is always locked.

use crate::bind::Model;

/// A row of the table.
pub struct Family {
    /// The element.
    pub element: &'static str,
    /// What identifies it, the surest first. A group identifies if its first path is there; all of it has to be equal.
    pub strong: &'static [&'static [&'static str]],
    /// What kind of device it is. Where both sides say it and differ, they are two devices.
    pub kind: &'static [&'static str],
    /// What makes it likely to be the same.
    pub weak: &'static [&'static str],
    /// What is locked besides its address.
    pub keeps: &'static [&'static str],
}

macro_rules! locked {
    ($($field:ident: $module:ident::$model:ident {
        lower: $lower:tt, id: $id:tt, plug: $plug:tt, lock: [$(strong $strong:tt kind $kind:tt weak $weak:tt keeps $keeps:tt)?], import: $import:tt
    })*) => {
        /// One row an element.
        pub static FAMILIES: &[Family] = &[$($(Family {
            element: <crate::device::$module::$model as Model>::ELEMENT,
            strong: &$strong,
            kind: &$kind,
            weak: &$weak,
            keeps: &$keeps,
        },)?)*];
    };
}
crate::device::families!(locked);

/// The row of an element.
pub fn family(element: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|f| f.element == element)
}

/// What is locked of the domain itself: whole parts, that it takes from the machine type, from QEMU and from the host.
pub static DOMAIN: &[&str] = &["uuid", "genid", "os.loader", "os.nvram", "os.varstore", "os.firmware", "cpu"];
