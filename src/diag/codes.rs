//! The registry of diagnostic codes: one table a topic, one entry a code.
//!
//! To add a code, add an entry to the table of its topic. `virtc explain CODE` prints it; the numbers
//! are stable and never reused.

/// A diagnostic code.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// `VC0101`.
    pub id: &'static str,
    /// A few words, kebab-case: `wrong-value`.
    pub name: &'static str,
    /// What it means, why, and what to do: a short text with an example, for `virtc explain`.
    pub explain: &'static str,
}

impl Code {
    /// Whether both codes speak of the grammar of one place (VC01xx), so that one report is enough.
    pub fn same_topic(&self, other: &Code) -> bool {
        self == other || (self.is_of_format() && other.is_of_format())
    }

    /// Whether the code speaks of what is assumed about a host that nobody has told about.
    pub fn is_of_assumptions(&self) -> bool {
        assume::ALL.contains(&self)
    }

    /// Whether the code speaks of addresses on buses (VC03xx).
    pub fn is_of_addresses(&self) -> bool {
        self.id.starts_with("VC03")
    }

    /// Whether it takes a machine, or its QEMU, to say whether this is a fault.
    pub fn is_of_machine(&self) -> bool {
        self.is_of_addresses() || OF_MACHINE.contains(&self)
    }

    /// Whether this is a lint (VC1301 to VC1399).
    pub fn is_lint(&self) -> bool {
        lint::ALL.contains(&self)
    }

    /// Whether the fault is one whatever the device is in which it stands.
    pub fn stands_alone(&self) -> bool {
        ALONE.contains(&self)
    }

    /// Whether the fault is in the attributes of the element alone, whatever it holds.
    pub fn is_of_its_tag(&self) -> bool {
        OF_ITS_TAG.contains(&self)
    }

    /// The attributes of the elements around the fault on which it depends; none where it may depend on any.
    pub fn depends_on(&self) -> Option<&'static [&'static str]> {
        DEPENDS_ON.iter().find(|(code, _)| *code == self).map(|(_, on)| *on)
    }

    /// Whether the code speaks of the format itself (VC01xx).
    pub fn is_of_format(&self) -> bool {
        self.id.starts_with("VC01")
    }
}

/// Codes of faults that one machine or QEMU has and another has not.
static OF_MACHINE: &[&Code] = &[
    &general::NOT_BY_QEMU,
    &machine::UNKNOWN_MACHINE,
    &machine::CPU,
    &machine::CPU_HOST,
    &machine::FEATURE,
    &machine::FIRMWARE,
    &machine::NO_FIRMWARE,
    &machine::TIMER,
    &machine::SECURITY,
    &storage::NEEDS_QEMU,
    &chardev::TARGET,
    &chardev::UNSUPPORTED,
    &display::INPUT,
    &hostdev::UNSUPPORTED_MODEL,
    &hostdev::TPM,
    &lint::FOREIGN_KVM,
    &lint::FOREIGN_EMULATOR,
    &lint::HYPERV_ON_ARM,
    &lint::NO_ACPI,
    &lint::OLD_DEVICE,
];

/// Codes of faults that do not depend on what a device is: its name, its files, its place.
static ALONE: &[&Code] = &[
    &storage::DUPLICATE,
    &storage::BOOT_ORDER,
    &storage::NETWORK,
    &storage::IOTHREAD,
    &machine::UNKNOWN_MACHINE,
    &machine::IOTHREAD,
    &general::OS_TYPE,
    &address::CONFLICT,
    &address::ALIAS,
    &network::BAD_NAME,
    &security::FORBIDDEN_PATH,
];

/// Codes of faults of an element that do not depend on what it holds.
static OF_ITS_TAG: &[&Code] = &[&storage::NETWORK, &storage::IOTHREAD, &machine::CPU];

/// Codes of faults that depend on some attributes of the elements around them, and on no other.
static DEPENDS_ON: &[(&Code, &[&str])] = &[
    (&storage::BUS, &["device"]),
    (&storage::NAME, &["device"]),
    (&storage::LUN, &["device", "type"]),
    (&storage::FORMAT, &["type"]),
];

macro_rules! codes {
    ($(#[$meta:meta])* $topic:ident { $($konst:ident = $id:literal $name:literal $explain:literal;)* }) => {
        $(#[$meta])*
        pub mod $topic {
            use crate::diag::codes::Code;
            $(#[doc = $explain] pub static $konst: Code = Code { id: $id, name: $name, explain: $explain };)*
            /// All codes of this topic.
            pub static ALL: &[&Code] = &[$(&$konst),*];
        }
    };
}
pub(crate) use codes;

#[path = "codes/address.rs"]
mod address_table;
#[path = "codes/assume.rs"]
mod assume_table;
#[path = "codes/chardev.rs"]
mod chardev_table;
#[path = "codes/display.rs"]
mod display_table;
#[path = "codes/emit.rs"]
mod emit_table;
#[path = "codes/fleet.rs"]
mod fleet_table;
#[path = "codes/general.rs"]
mod general_table;
#[path = "codes/hostdev.rs"]
mod hostdev_table;
#[path = "codes/inputs.rs"]
mod inputs_table;
#[path = "codes/lint.rs"]
mod lint_table;
#[path = "codes/lock.rs"]
mod lock_table;
#[path = "codes/machine.rs"]
mod machine_table;
#[path = "codes/network.rs"]
mod network_table;
#[path = "codes/qemu.rs"]
mod qemu_table;
#[path = "codes/run.rs"]
mod run_table;
#[path = "codes/schema.rs"]
mod schema_table;
#[path = "codes/security.rs"]
mod security_table;
#[path = "codes/storage.rs"]
mod storage_table;
#[path = "codes/xml.rs"]
mod xml_table;

pub use address_table::address;
pub use assume_table::assume;
pub use chardev_table::chardev;
pub use display_table::display;
pub use emit_table::emit;
pub use fleet_table::fleet;
pub use general_table::general;
pub use hostdev_table::hostdev;
pub use inputs_table::inputs;
pub use lint_table::lint;
pub use lock_table::lock;
pub use machine_table::machine;
pub use network_table::network;
pub use qemu_table::qemu;
pub use run_table::run;
pub use schema_table::schema;
pub use security_table::security;
pub use storage_table::storage;
pub use xml_table::xml;

/// Every code, by topic.
pub static TOPICS: &[(&str, &[&Code])] = &[
    ("reading XML", xml::ALL),
    ("the format", schema::ALL),
    ("machine, CPU, memory, firmware", machine::ALL),
    ("addresses", address::ALL),
    ("storage", storage::ALL),
    ("network", network::ALL),
    ("character devices", chardev::ALL),
    ("display, sound, input", display::ALL),
    ("host devices and other devices", hostdev::ALL),
    ("support", general::ALL),
    ("host facts and capabilities", inputs::ALL),
    ("what is assumed", assume::ALL),
    ("the QEMU that a domain is for", qemu::ALL),
    ("locks and upgrades", lock::ALL),
    ("outputs", emit::ALL),
    ("trees and hosts", fleet::ALL),
    ("running", run::ALL),
    ("confinement", security::ALL),
    ("lints", lint::ALL),
];

/// Every code, topic by topic.
pub fn all() -> impl Iterator<Item = &'static Code> {
    TOPICS.iter().flat_map(|(_, all)| all.iter().copied())
}

/// The code with this identifier (`VC0101`, in any case) or this name (`wrong-value`).
pub fn find(id: &str) -> Option<&'static Code> {
    all().find(|c| c.id.eq_ignore_ascii_case(id) || c.name == id)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_code_is_explained_with_an_example() {
        for code in super::TOPICS.iter().flat_map(|(_, all)| all.iter()) {
            assert!(code.explain.len() > 60, "{} says too little", code.id);
            // Codes from VC10 on speak of other files, of outputs and of running: theirs may be commands.
            let example = code.explain.find("before:").zip(code.explain.find("after:"));
            assert!(example.is_some_and(|(b, a)| b < a), "{} has no example before and after", code.id);
        }
    }

    #[test]
    fn identifiers_are_unique() {
        let mut ids: Vec<_> = super::TOPICS.iter().flat_map(|(_, all)| all.iter().map(|c| c.id)).collect();
        ids.sort_unstable();
        let before = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), before);
    }
}
