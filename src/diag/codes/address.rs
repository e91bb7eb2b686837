//! VC03xx: addresses on the buses.
super::codes! {
    /// Codes of address assignment.
    address {
        CONFLICT = "VC0301" "address-in-use" "Two devices have the same address on a bus. Give one of them another address, or remove its `<address>` so that virtc chooses one.";
    }
}
