//! VC05xx: network interfaces.
super::codes! {
    /// Codes of network interfaces.
    network {
        NO_NETWORK = "VC0501" "unknown-network" "The host facts hold no network of this name. Add a `network` node to the host facts, or use another `<source>`.";
    }
}
