//! Sound cards.

pub(crate) mod family;
pub(crate) mod lower;

use super::info::{DeviceInfo, device};
use super::virtio::VirtioDriver;
use crate::bind::model;
pub use crate::schema::words::{CodecType, SoundModel};
use crate::vocab::YesNo;

model! {
    /// `<codec>`
    pub struct Codec = "codec" {
        need kind: CodecType = "type",
    }
}

model! {
    /// `<audio id='1'/>` of a sound card or a display: which backend it uses.
    pub struct AudioRef = "audio" {
        need id: u32 = "id",
    }
}

model! {
    /// `<sound>`
    pub struct Sound = "sound" {
        need model: SoundModel = "model",
        attr multichannel: YesNo = "multichannel",
        attr streams: u32 = "streams",
        many codecs: Codec,
        child audio: AudioRef,
        part info: DeviceInfo,
        child driver: VirtioDriver,
    }
}

device!(Sound, "sound card");
