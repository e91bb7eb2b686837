//! Sound cards.

pub(crate) mod family;
mod lower;

use super::info::DeviceInfo;
use super::virtio::VirtioDriver;
use super::{audio, device};
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

/// Id of the audio backend of the PC speaker, which is a property of the machine; none without a speaker.
pub fn speaker(devices: &super::Devices) -> Option<String> {
    let speaker = devices.sounds.iter().find(|s| s.model == Some(SoundModel::Pcspk))?;
    let backend = audio::find(devices, speaker.audio.as_ref().and_then(|a| a.id))?;
    Some(format!("audio{}", backend.id.unwrap_or(1)))
}
