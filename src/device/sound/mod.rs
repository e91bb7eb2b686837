//! Sound cards.

pub(crate) mod family;
pub(crate) mod lower;

use super::info::{DeviceInfo, device};
use super::virtio::VirtioDriver;
use crate::bind::model;
use crate::vocab::{YesNo, keywords};

keywords! {
    /// `<sound model='…'>`
    pub enum SoundModel {
        Sb16 = "sb16",
        Es1370 = "es1370",
        Pcspk = "pcspk",
        Ac97 = "ac97",
        Ich6 = "ich6",
        Ich9 = "ich9",
        Usb = "usb",
        Ich7 = "ich7",
        Virtio = "virtio",
    }
}

keywords! {
    /// `<codec type='…'>` of an Intel HDA card.
    pub enum CodecType { Duplex = "duplex", Micro = "micro", Output = "output" }
}

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
