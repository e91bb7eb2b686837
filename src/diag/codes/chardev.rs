//! VC06xx: serial and parallel ports, consoles, channels, redirection, smart cards, TPM.
super::codes! {
    /// Codes of character devices.
    chardev {
        MISSING_SOURCE = "VC0601" "missing-source" "The character device needs a `<source>` that says what it is connected to.";
    }
}
