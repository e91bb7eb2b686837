//! VC11xx: a value cannot be written to an output.
super::codes! {
    /// Codes of the emitters.
    emit {
        NOT_EXPRESSIBLE = "VC1101" "not-expressible" "A value holds a character that the output's language cannot express. It is refused rather than changed.";
    }
}
