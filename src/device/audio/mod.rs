//! Audio backends: where the sound of the guest's sound cards goes on the host.

mod implied;
mod lower;

pub use implied::{add_default, find};

use super::info::DeviceInfo;
use super::{Family, device};
use crate::diag::codes::{display as codes, general as support};
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::resolve::{Cx, Machine};
use crate::vocab::{YesNo, keywords};

keywords! {
    /// `<audio type='…'>`
    pub enum AudioType {
        None = "none",
        Alsa = "alsa",
        Coreaudio = "coreaudio",
        Jack = "jack",
        Oss = "oss",
        Pulseaudio = "pulseaudio",
        Sdl = "sdl",
        Spice = "spice",
        File = "file",
        Dbus = "dbus",
        Pipewire = "pipewire",
    }
}

impl AudioType {
    /// QEMU's name of the backend.
    pub fn driver(self) -> &'static str {
        match self {
            AudioType::Pulseaudio => "pa",
            AudioType::File => "wav",
            other => other.as_str(),
        }
    }
}

keywords! {
    /// `<audio driver='…'>`: what SDL itself uses.
    pub enum SdlDriver {
        Esd = "esd",
        Alsa = "alsa",
        Arts = "arts",
        Pulseaudio = "pulseaudio",
    }
}

keywords! {
    /// `<settings format='…'>`
    pub enum SampleFormat {
        U8 = "u8",
        S8 = "s8",
        U16 = "u16",
        S16 = "s16",
        U32 = "u32",
        S32 = "s32",
        F32 = "f32",
    }
}

model! {
    /// `<settings>`: the fixed format of a direction.
    pub struct AudioSettings = "settings" {
        attr frequency: u32 = "frequency",
        attr channels: u32 = "channels",
        attr format: SampleFormat = "format",
    }
}

model! {
    /// `<input>` or `<output>` of an audio backend. Which of the attributes mean something depends on its type.
    pub struct AudioDirection {
        attr mixing_engine: YesNo = "mixingEngine",
        attr fixed_settings: YesNo = "fixedSettings",
        attr voices: u32 = "voices",
        attr buffer_length: u32 = "bufferLength",
        attr dev: String = "dev",
        attr buffer_count: u32 = "bufferCount",
        attr try_poll: YesNo = "tryPoll",
        attr server_name: String = "serverName",
        attr client_name: String = "clientName",
        attr connect_ports: String = "connectPorts",
        attr exact_name: YesNo = "exactName",
        attr name: String = "name",
        attr stream_name: String = "streamName",
        attr latency: u32 = "latency",
        child settings: AudioSettings,
    }
}

model! {
    /// `<audio>`
    pub struct Audio = "audio" {
        need id: u32 = "id",
        need kind: AudioType = "type",
        attr timer_period: u32 = "timerPeriod",
        attr server_name: String = "serverName",
        attr driver: SdlDriver = "driver",
        attr path: String = "path",
        attr try_mmap: YesNo = "tryMMap",
        attr exclusive: YesNo = "exclusive",
        attr dsp_policy: u32 = "dspPolicy",
        attr runtime_dir: String = "runtimeDir",
        child input: AudioDirection = "input",
        child output: AudioDirection = "output",
        extra info: DeviceInfo,
    }
}

device!(Audio, "audio");

impl Audio {
    /// The backend.
    pub fn kind(&self) -> AudioType {
        self.kind.unwrap_or(AudioType::None)
    }
}

impl Family for Audio {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn rules(&self, domain: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        let id = self.id.unwrap_or(0);
        if self.id == Some(0) {
            cx.error_at(&codes::AUDIO, self.site, "id", "the id of an <audio> backend must be greater than 0");
        }
        let twins = domain.devices.iter().flat_map(|d| &d.audios).filter(|a| a.id == self.id);
        if twins.take_while(|a| a.site != self.site).count() > 0 {
            cx.error_at(&codes::AUDIO, self.site, "id", format!("duplicate audio id '{id}'"));
        }
        if self.kind() == AudioType::Dbus && !cx.has(crate::caps::Cap::DisplayDbus) {
            cx.error(&support::NOT_BY_QEMU, self.site, "<audio type='dbus'>: this QEMU binary was built without it");
        }
        if self.timer_period == Some(0) {
            cx.error_at(
                &codes::AUDIO,
                self.site,
                "timerPeriod",
                "timerPeriod='0' of <audio>: a period of zero is not permitted",
            );
        }
        if self.kind() == AudioType::Spice
            && !domain.devices.iter().flat_map(|d| &d.graphics).any(|g| g.is(super::graphics::GraphicsKind::Spice))
        {
            cx.error(
                &codes::AUDIO,
                self.site,
                "<audio type='spice'> goes through a spice display: without graphics of that type nobody would hear it",
            )
            .help("add <graphics type='spice'/>");
        }
        for direction in [&self.input, &self.output].into_iter().flatten() {
            let settings = direction.settings.as_ref();
            for (name, value) in [
                ("voices", direction.voices),
                ("bufferLength", direction.buffer_length),
                ("frequency", settings.and_then(|s| s.frequency)),
                ("channels", settings.and_then(|s| s.channels)),
            ] {
                if value == Some(0) {
                    let message = format!("{name}='0' of an <audio> direction: zero is not permitted");
                    cx.error_at(&codes::AUDIO, direction.site, name, message);
                }
            }
            let fixed = direction.fixed_settings == Some(YesNo::Yes);
            if fixed && direction.mixing_engine == Some(YesNo::No) {
                cx.error(
                    &codes::AUDIO,
                    direction.site,
                    "fixedSettings='yes' is done by the mixing engine, which is off",
                )
                .help("set mixingEngine='yes'");
            }
            if !fixed && direction.settings.is_some() {
                cx.error(&codes::AUDIO, direction.site, "audio settings are only used with fixedSettings='yes'")
                    .help("set fixedSettings='yes'");
            }
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::audio(self, lx);
    }
}
