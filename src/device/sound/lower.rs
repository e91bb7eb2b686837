//! Sound cards on the command line.

use super::{CodecType, Sound, SoundModel};
use crate::device::audio;
use crate::plan::Props;
use crate::stage::Lower;
use crate::vocab::YesNo;

/// Adds a sound card and its codecs.
pub fn sound(sound: &Sound, lx: &mut Lower<'_>) {
    let Some(model) = sound.model else { return };
    let wanted = sound.audio.as_ref().and_then(|a| a.id);
    let audiodev = audio::implied::find(lx.devices, wanted).map(|a| format!("audio{}", a.id.unwrap_or(1)));
    let id = sound.info.id.clone();
    let hda = matches!(model, SoundModel::Ich6 | SoundModel::Ich9);
    let mut props = match model {
        SoundModel::Sb16 => Props::driver("sb16"),
        SoundModel::Es1370 => Props::driver("ES1370"),
        SoundModel::Ac97 => Props::driver("AC97"),
        SoundModel::Ich6 => Props::driver("intel-hda"),
        SoundModel::Ich9 => Props::driver("ich9-intel-hda"),
        SoundModel::Usb => Props::driver("usb-audio"),
        SoundModel::Virtio => Props::driver(lx.virtio_driver("virtio-sound", &sound.info, "")),
        // The speaker is part of the board: a property of the machine connects it.
        SoundModel::Pcspk | SoundModel::Ich7 => return,
    };
    if let Some(driver) = &sound.driver {
        driver.virtio.lower(&mut props, lx);
    }
    props.set("id", id.clone());
    if !hda {
        props.maybe("audiodev", audiodev.clone());
    }
    props.maybe("multi", sound.multichannel.map(YesNo::is_yes));
    props.maybe("streams", sound.streams.filter(|_| model == SoundModel::Virtio));
    lx.address(&mut props, &sound.info);
    lx.device(props, sound);
    if !hda {
        return;
    }
    // A card without codecs is mute: one for both directions is what people expect.
    let one = [CodecType::Duplex];
    let named: Vec<CodecType> = sound.codecs.iter().filter_map(|c| c.kind).collect();
    let codecs = if named.is_empty() { &one[..] } else { &named[..] };
    for (i, codec) in codecs.iter().enumerate() {
        let mut props = Props::driver(match codec {
            CodecType::Duplex => "hda-duplex",
            CodecType::Micro => "hda-micro",
            CodecType::Output => "hda-output",
        });
        props.set("id", format!("{id}-codec{i}")).set("bus", format!("{id}.0")).set("cad", i);
        props.maybe("audiodev", audiodev.clone());
        lx.device(props, sound);
    }
}

/// Id of the audio backend of the PC speaker, which is a property of the machine; none without a speaker.
pub fn speaker(devices: &crate::device::Devices) -> Option<String> {
    let speaker = devices.sounds.iter().find(|s| s.model == Some(SoundModel::Pcspk))?;
    let backend = audio::implied::find(devices, speaker.audio.as_ref().and_then(|a| a.id))?;
    Some(format!("audio{}", backend.id.unwrap_or(1)))
}
