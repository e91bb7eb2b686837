//! VC10xx: host facts, capabilities and other inputs.
super::codes! {
    /// Codes of host facts and capabilities.
    inputs {
        HOST_SYNTAX = "VC1001" "host-facts-syntax" "The host-facts file is not KDL version 2.";
        HOST_NODE = "VC1002" "host-facts-node" "The host-facts file has a node, property or value that the format does not know.";
        CAPS = "VC1003" "capabilities" "The capabilities file cannot be read: it is neither libvirt's `<qemuCaps>` XML nor virtc's own format.";
    }
}
