//! VC04xx: disks and storage.
super::codes! {
    /// Codes of storage.
    storage {
        MISSING_TARGET = "VC0401" "missing-target" "Every disk needs `<target dev='…'/>`: the name decides its place on the bus.";
    }
}
