//! Attributes of `<input>` and `<output>` that are one setting of QEMU each, for every kind of backend.

use super::AudioDirection;
use crate::stage::mapping::mapping;

mapping! {
    /// One direction.
    pub DIRECTION: AudioDirection {
        "mixing-engine" = mixing_engine: YesNo, "mixingEngine";
        "fixed-settings" = fixed_settings: YesNo, "fixedSettings";
        "voices" = voices: Number, "voices";
        "buffer-length" = buffer_length: Number, "bufferLength";
    }
}
