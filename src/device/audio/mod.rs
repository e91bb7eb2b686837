//! Audio backends: where the sound of the guest's sound cards goes on the host.

pub(crate) mod family;
pub(crate) mod implied;
mod lower;
pub mod mapping;

use super::info::{DeviceInfo, device};
use crate::bind::model;
pub use crate::schema::words::{AudioType, SampleFormat, SdlDriver};
use crate::vocab::YesNo;

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
        mark settings: AudioSettings,
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
