//! The audio backend of a domain that has none, and which backend a device means.

use super::{Audio, AudioType, SdlDriver};
use crate::device::Devices;
use crate::device::graphics::GraphicsKind;
use crate::diag::codes::display as codes;
use crate::domain::Domain;
use crate::stage::Cx;
use crate::xml::Site;

/// Adds the backend that follows from the display, as it was before the format had `<audio>`: silence,
/// SPICE, or what the environment of the launcher asks for.
pub fn add_default(domain: &mut Domain, cx: &mut Cx<'_>) {
    let Some(devices) = &mut domain.devices else { return };
    if !devices.audios.is_empty() {
        return;
    }
    let host = cx.env.host;
    let mut kind = None;
    // The last display that says something about sound counts.
    let mut from_host = false;
    for graphics in &devices.graphics {
        match graphics.kind {
            Some(GraphicsKind::Vnc) => (kind, from_host) = (Some(AudioType::None), host.vnc.allow_host_audio),
            Some(GraphicsKind::Spice) => (kind, from_host) = (Some(AudioType::Spice), false),
            Some(GraphicsKind::Sdl) => from_host = true,
            _ => {}
        }
    }
    if devices.graphics.is_empty() {
        if host.instance.nographics_allow_host_audio {
            from_host = true;
        } else {
            kind = Some(AudioType::None);
        }
    }
    let mut driver = None;
    if from_host {
        // QEMU_AUDIO_DRV was QEMU's own variable for the same choice.
        let Some(wanted) = host.env("QEMU_AUDIO_DRV") else { return };
        kind = match wanted {
            "pa" => Some(AudioType::Pulseaudio),
            "wav" => Some(AudioType::File),
            other => AudioType::parse(other),
        };
        if kind.is_none() {
            cx.error(
                &codes::AUDIO,
                Site::NONE,
                format!("QEMU_AUDIO_DRV={wanted}: this setting names no audio backend, it is unknown"),
            )
            .help("add an <audio> element that names the backend");
        }
        if kind == Some(AudioType::Sdl)
            && let Some(wanted) = host.env("SDL_AUDIODRIVER")
        {
            driver = SdlDriver::parse(wanted);
            if driver.is_none() {
                cx.error(
                    &codes::AUDIO,
                    Site::NONE,
                    format!("SDL_AUDIODRIVER={wanted}: this setting names no driver of SDL, it is unknown"),
                );
            }
        }
    }
    if kind.is_some() {
        devices.audios.push(Audio { id: Some(1), kind, driver, ..Audio::default() });
    }
}

/// The backend with this id; without one, the first.
pub fn find(devices: &Devices, id: Option<u32>) -> Option<&Audio> {
    match id {
        Some(id) if id != 0 => devices.audios.iter().find(|a| a.id == Some(id)),
        _ => devices.audios.first(),
    }
}
