//! What only SPICE has: channels, compression, the agent.

use crate::bind::model;
pub use crate::schema::words::{ChannelMode, ChannelName, ImageCompression, SpiceMouse, StreamingMode, WanCompression};
use crate::vocab::{OnOff, YesNo};

model! {
    /// `<channel>`
    pub struct SpiceChannel = "channel" {
        need name: ChannelName = "name",
        need mode: ChannelMode = "mode",
    }
}

model! {
    /// `<image>`
    pub struct Image = "image" { need compression: ImageCompression = "compression" }
}
model! {
    /// `<jpeg>`
    pub struct Jpeg = "jpeg" { need compression: WanCompression = "compression" }
}
model! {
    /// `<zlib>`
    pub struct Zlib = "zlib" { need compression: WanCompression = "compression" }
}
model! {
    /// `<playback>`
    pub struct Playback = "playback" { need compression: OnOff = "compression" }
}
model! {
    /// `<streaming>`
    pub struct Streaming = "streaming" { need mode: StreamingMode = "mode" }
}
model! {
    /// `<mouse>`
    pub struct Mouse = "mouse" { need mode: SpiceMouse = "mode" }
}
model! {
    /// `<clipboard>`
    pub struct Clipboard = "clipboard" { need copypaste: YesNo = "copypaste" }
}
model! {
    /// `<filetransfer>`
    pub struct Filetransfer = "filetransfer" { need enable: YesNo = "enable" }
}

model! {
    /// The children of `<graphics type='spice'>` and its default mode.
    pub struct SpiceOptions {
        attr default_mode: ChannelMode = "defaultMode",
        many channels: SpiceChannel,
        child image: Image,
        child jpeg: Jpeg,
        child zlib: Zlib,
        child playback: Playback,
        child streaming: Streaming,
        child mouse: Mouse,
        child clipboard: Clipboard,
        child filetransfer: Filetransfer,
    }
}

impl SpiceOptions {
    /// Forgets what says nothing, and keeps the last word on each channel, in the order of QEMU's options.
    pub fn tidy(&mut self) {
        self.default_mode = self.default_mode.filter(|m| *m != ChannelMode::Any);
        let given = std::mem::take(&mut self.channels);
        let last = |name: &ChannelName| given.iter().rev().find(|c| c.name == Some(*name));
        let said = ChannelName::ALL.iter().filter_map(last);
        self.channels = said.filter(|c| c.mode != Some(ChannelMode::Any)).cloned().collect();
    }
}
