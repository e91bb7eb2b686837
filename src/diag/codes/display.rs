//! VC07xx: graphics, video, audio, sound, input.
super::codes! {
    /// Codes of display, sound and input.
    display {
        GRAPHICS = "VC0701" "graphics" "The graphics configuration cannot be expressed for this QEMU.";
    }
}
