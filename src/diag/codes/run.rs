//! VC12xx: running and probing.
super::codes! {
    /// Codes of the runner.
    run {
        FAILED = "VC1201" "qemu-failed" "QEMU did not start, or died. Its own message stands above.";
    }
}
