//! The table of lints (VC1301 to VC1399): a code, its group, and how serious it is taken unless somebody says otherwise with
//! `--allow`, `--warn`, `--deny` or in the project file.

use super::codes::{self, Code, lint};
use super::{Diagnostics, Severity};

/// What a lint is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// QEMU will refuse it at the start.
    WillNotStart,
    /// Data may be lost.
    Data,
    /// Others may get in.
    Security,
    /// It works, and most likely not as it was meant.
    Surprise,
    /// Devices of the host.
    HostDevices,
}

impl Group {
    /// Every group.
    pub const ALL: &'static [Group] =
        &[Group::WillNotStart, Group::Data, Group::Security, Group::Surprise, Group::HostDevices];

    /// The word of the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Group::WillNotStart => "will-not-start",
            Group::Data => "data",
            Group::Security => "security",
            Group::Surprise => "surprise",
            Group::HostDevices => "host-devices",
        }
    }
}

/// A lint.
pub struct Lint {
    /// Its code.
    pub code: &'static Code,
    /// What it is about.
    pub group: Group,
    /// What happens where it fires, unless somebody says otherwise.
    pub level: Level,
}

macro_rules! lints {
    ($($code:ident $group:ident $level:ident;)*) => {
        /// Every lint, by code.
        pub static LINTS: &[Lint] =
            &[$(Lint { code: &lint::$code, group: Group::$group, level: Level::$level }),*];
    };
}
lints! {
    FOREIGN_KVM WillNotStart Warn;
    FOREIGN_EMULATOR WillNotStart Warn;
    HYPERV_ON_ARM WillNotStart Warn;
    NO_GL_DISPLAY WillNotStart Warn;
    TWO_GL_DISPLAYS WillNotStart Warn;
    SET_ON_JSON WillNotStart Warn;
    ARG_ADDRESS_MISSING WillNotStart Warn;
    ARG_ADDRESS_TAKEN WillNotStart Warn;
    NVRAM_FORMAT WillNotStart Warn;
    NIC_MODEL WillNotStart Warn;
    FILE_IS_DEVICE WillNotStart Warn;
    DEVICE_IS_FILE WillNotStart Warn;
    KEYMAP WillNotStart Warn;
    PART_OF_PAGE WillNotStart Warn;
    LONG_TAG WillNotStart Warn;
    FOREIGN_FIRMWARE WillNotStart Warn;
    FIRMWARE_PAIR WillNotStart Warn;
    WRONG_FORMAT Data Warn;
    DISK_TWICE Data Warn;
    CACHE_UNSAFE Data Warn;
    SNAPSHOT Data Warn;
    PATH_TWICE Data Warn;
    IN_TMP Data Warn;
    SHARED_CACHE Data Warn;
    RESERVED_MAC Surprise Warn;
    NO_BALLOON Surprise Warn;
    NEVER_OFF Surprise Warn;
    OPEN_DISPLAY Security Warn;
    PASSWORD Security Warn;
    MIGRATION Security Warn;
    CHANNEL_NAME Surprise Warn;
    WINDOWS_CLOCK Surprise Warn;
    NO_DRIVERS Surprise Warn;
    NO_9P Surprise Warn;
    WINDOWS_11 Surprise Warn;
    TINY_MEMORY Surprise Warn;
    NO_ACPI Surprise Warn;
    CURRENT_MEMORY Surprise Warn;
    SAME_MAC Surprise Warn;
    PIN_OF_NOTHING Surprise Warn;
    NO_CONSOLE Surprise Warn;
    OLD_DEVICE Surprise Warn;
    PORT_AND_AUTOPORT Surprise Warn;
    HALF_GROUP HostDevices Warn;
    SHARED_FILES_VFIO HostDevices Warn;
    NOT_CARRIED_OUT Surprise Warn;
    NETWORK_FILTER Security Warn;
    BOOT_OF_NOTHING Surprise Warn;
    HARD_LIMIT Surprise Warn;
    BRIDGE_IS_CARD WillNotStart Warn;
    WIRELESS Surprise Warn;
    INTERFACE_TWICE WillNotStart Warn;
    CHANNEL_TWICE WillNotStart Warn;
    PORT_TWICE WillNotStart Warn;
    OPEN_CONSOLE Security Warn;
    UNCONFINED Security Warn;
    NO_KERNEL WillNotStart Warn;
    FIRMWARE_ROM WillNotStart Warn;
    NO_SCREEN Surprise Warn;
    ISO_AS_DISK Data Warn;
    LONG_SERIAL Surprise Warn;
    BLOCK_SIZE WillNotStart Warn;
    BAD_ARGUMENT WillNotStart Warn;
    ARGUMENT_TWICE WillNotStart Warn;
    SERIAL_TWICE Surprise Warn;
    SPICE_GL WillNotStart Warn;
    NO_FLOPPY WillNotStart Warn;
}

/// What happens where a lint fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Nothing.
    Allow,
    /// A warning.
    Warn,
    /// An error.
    Deny,
}

/// Levels that somebody has chosen; the last choice for a code holds.
#[derive(Clone, Debug, Default)]
pub struct Levels(Vec<(&'static str, Level)>);

impl Levels {
    /// Chooses the level of a code (`VC1341`, `no-acpi`) or of all codes of a group (`surprise`).
    pub fn set(&mut self, name: &str, level: Level) -> Result<(), String> {
        if let Some(group) = Group::ALL.iter().find(|g| g.as_str() == name) {
            self.0.extend(LINTS.iter().filter(|l| l.group == *group).map(|l| (l.code.id, level)));
            return Ok(());
        }
        match codes::find(name) {
            Some(code) => {
                self.0.push((code.id, level));
                Ok(())
            }
            None => {
                let groups: Vec<&str> = Group::ALL.iter().map(|g| g.as_str()).collect();
                Err(format!("'{name}' is neither a code nor one of the groups {}", groups.join(", ")))
            }
        }
    }

    /// The level of a code; none where nobody has chosen one and the table has none.
    fn of(&self, code: &Code) -> Option<Level> {
        let chosen = self.0.iter().rev().find(|(id, _)| *id == code.id).map(|(_, level)| *level);
        chosen.or_else(|| LINTS.iter().find(|l| l.code == code).map(|l| l.level))
    }

    /// Gives warnings and remarks their levels. What is an error without any lint stays one.
    pub fn apply(&self, diags: &mut Diagnostics) {
        diags.grade(|d| match (d.severity, self.of(d.code)) {
            (Severity::Error, _) | (_, None) => Some(d.severity),
            (_, Some(Level::Allow)) => None,
            (Severity::Note, Some(Level::Warn)) | (Severity::Warning, Some(Level::Warn)) => Some(Severity::Warning),
            (_, Some(Level::Deny)) => Some(Severity::Error),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Span;

    fn graded(levels: &Levels) -> Vec<Severity> {
        let mut diags = Diagnostics::new();
        diags.warning(&lint::NO_ACPI, Span::new(0, 1), "no acpi");
        diags.warning(&lint::CACHE_UNSAFE, Span::new(1, 2), "unsafe");
        levels.apply(&mut diags);
        diags.iter().map(|d| d.severity).collect()
    }

    #[test]
    fn the_last_choice_holds() {
        let mut levels = Levels::default();
        assert_eq!(graded(&levels), [Severity::Warning; 2]);
        levels.set("surprise", Level::Allow).unwrap();
        assert_eq!(graded(&levels), [Severity::Warning]);
        levels.set("no-acpi", Level::Deny).unwrap();
        assert_eq!(graded(&levels), [Severity::Error, Severity::Warning]);
        levels.set("vc1322", Level::Deny).unwrap();
        assert_eq!(graded(&levels), [Severity::Error; 2]);
        assert!(levels.set("surprises", Level::Warn).is_err());
    }

    #[test]
    fn the_table_holds_each_code_once() {
        let ids: Vec<&str> = LINTS.iter().map(|l| l.code.id).collect();
        assert!(ids.windows(2).all(|p| p[0] < p[1]), "{ids:?}");
        assert_eq!(ids.len(), lint::ALL.len());
    }
}
