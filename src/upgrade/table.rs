//! When QEMU drops what a machine may use: deprecated since, removed in.
//!
//! From QEMU's manual, the pages "Deprecated features" and "Removed features" (docs/about/deprecated.rst and
//! removed-features.rst) of QEMU 11.1; the section is named in each row. Machine types follow the rule of
//! [`crate::caps::retirement`].

use crate::plan::{Arg, ArgValue, Prop};

/// A row.
#[derive(Debug)]
pub struct Retiring {
    /// Switch of the command line; `*` is any.
    pub switch: &'static str,
    /// Property; `*` is any, empty where the switch itself goes.
    pub property: &'static str,
    /// Start of its value, or of the switch's text.
    pub value: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// Release that marks it, as major and minor version.
    pub deprecated: (u32, u32),
    /// Release that has it no more; none while it is there.
    pub removed: Option<(u32, u32)>,
    /// The section of the manual, and what to write instead.
    pub source: &'static str,
}

macro_rules! retiring {
    ($($switch:literal $property:literal $value:literal $what:literal ($da:literal, $db:literal) $removed:expr, $source:literal;)*) => {
        /// The rows.
        pub static RETIRING: &[Retiring] = &[$(Retiring {
            switch: $switch, property: $property, value: $value, what: $what,
            deprecated: ($da, $db), removed: $removed, source: $source,
        },)*];
    };
}

retiring! {
    "-no-acpi" "" "" "the switch -no-acpi" (8, 0) Some((9, 0)), "Removed features, System emulator command line arguments: -machine acpi=off";
    "-no-hpet" "" "" "the switch -no-hpet" (8, 0) Some((9, 0)), "Removed features, System emulator command line arguments: -machine hpet=off";
    "-async-teardown" "" "" "the switch -async-teardown" (8, 1) Some((9, 0)), "Removed features, System emulator command line arguments: -run-with async-teardown=on";
    "-chroot" "" "" "the switch -chroot" (8, 1) Some((9, 0)), "Removed features, System emulator command line arguments: -run-with chroot=DIR";
    "-runas" "" "" "the switch -runas" (9, 1) Some((10, 0)), "Removed features, System emulator command line arguments: -run-with user=";
    "-fsdev" "" "proxy" "a 9p share through a proxy" (8, 1) Some((9, 2)), "Removed features, System emulator command line arguments: virtiofs, or fsdriver local";
    "*" "reconnect" "*" "reconnect= in seconds" (9, 2) Some((10, 2)), "Removed features, chardev and netdev: reconnect-ms";
    "-blockdev" "driver" "gluster" "disks on GlusterFS" (9, 2) Some((11, 1)), "Removed features, Block devices: mount the volume, or another protocol";
    "-device" "driver" "vfio-platform" "vfio-platform" (10, 0) Some((10, 2)), "Removed features, Devices: no replacement";
    "-device" "driver" "vfio-calxeda-xgmac" "vfio-calxeda-xgmac" (10, 0) Some((10, 2)), "Removed features, Devices: no replacement";
    "-device" "driver" "vfio-amd-xgbe" "vfio-amd-xgbe" (10, 0) Some((10, 2)), "Removed features, Devices: no replacement";
    "-mon" "" "" "the switch -mon" (11, 1) None, "Deprecated features, System emulator command line arguments: -object monitor-qmp";
    "-name" "debug-threads" "*" "-name debug-threads=" (11, 0) None, "Deprecated features: it is ignored";
    "-machine" "memory-encryption" "*" "-machine memory-encryption=" (11, 1) None, "Deprecated features: confidential-guest-support=";
}

impl Retiring {
    /// Whether an argument uses it.
    pub fn is_used_by(&self, arg: &Arg) -> bool {
        if self.switch != "*" && self.switch != &*arg.switch {
            return false;
        }
        let begins = |text: &str| self.value == "*" || text.starts_with(self.value);
        match &arg.value {
            _ if self.property.is_empty() && self.value.is_empty() => true,
            ArgValue::None => false,
            ArgValue::Text(text) => self.property.is_empty() && begins(text),
            ArgValue::Props(props, _) => props.0.iter().any(|(name, value)| {
                let named = self.property.is_empty() && name.is_empty() || &**name == self.property;
                named && (self.value == "*" || matches!(value, Prop::Text(text) if begins(text)))
            }),
        }
    }
}
