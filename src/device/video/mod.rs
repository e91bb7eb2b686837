//! Video adapters.

pub(crate) mod defaults;
pub(crate) mod family;
mod lower;
mod rules;
mod vhost_user;

use super::info::{DeviceInfo, device};
use super::virtio::VirtioOptions;
use crate::bind::model;
pub use crate::schema::words::{VgaConf, VideoBackend, VideoDevice, VideoType};
use crate::vocab::{OnOff, YesNo};

impl VideoDevice {
    /// Whether it has the registers of a VGA: then it is a device of PCI, on no other bus.
    pub fn is_vga(self) -> bool {
        matches!(self, VideoDevice::VirtioVga | VideoDevice::VirtioVgaGl | VideoDevice::VhostUserVga)
    }

    /// Whether it draws in 3D by itself.
    pub fn is_gl(self) -> bool {
        matches!(self, VideoDevice::VirtioVgaGl | VideoDevice::VirtioGpuGl)
    }

    /// Whether another process draws.
    pub fn is_vhost_user(self) -> bool {
        matches!(self, VideoDevice::VhostUserVga | VideoDevice::VhostUserGpu)
    }
}

model! {
    /// `<acceleration>`
    pub struct Acceleration = "acceleration" {
        attr accel2d: YesNo = "accel2d",
        attr accel3d: YesNo = "accel3d",
        attr rendernode: String = "rendernode",
    }
}

model! {
    /// `<resolution>`: what the adapter starts with.
    pub struct Resolution = "resolution" {
        need x: u32 = "x",
        need y: u32 = "y",
    }
}

model! {
    /// `<model>` of a video adapter. Sizes are in KiB.
    pub struct VideoModel = "model" {
        attr kind: VideoType = "type",
        attr device: VideoDevice = "device",
        attr ram: u32 = "ram",
        attr vram: u32 = "vram",
        attr vram64: u32 = "vram64",
        attr vgamem: u32 = "vgamem",
        attr heads: u32 = "heads",
        attr primary: YesNo = "primary",
        attr blob: OnOff = "blob",
        attr edid: OnOff = "edid",
        child acceleration: Acceleration,
        child resolution: Resolution,
    }
}

model! {
    /// `<driver>` of a video adapter.
    pub struct VideoDriver = "driver" {
        part virtio: VirtioOptions,
        attr name: VideoBackend = "name",
        attr vgaconf: VgaConf = "vgaconf",
    }
}

model! {
    /// `<video>`
    pub struct Video = "video" {
        child driver: VideoDriver,
        child model: VideoModel,
        part info: DeviceInfo,
    }
}

device!(Video, "video adapter");

impl Video {
    /// The model; none while defaults have not run.
    pub fn kind(&self) -> Option<VideoType> {
        self.model.as_ref().and_then(|m| m.kind)
    }

    /// Whether it is the adapter that the firmware uses.
    pub fn is_primary(&self) -> bool {
        self.model.as_ref().and_then(|m| m.primary) == Some(YesNo::Yes)
    }

    /// Whether another process does the work.
    pub fn is_vhost_user(&self) -> bool {
        self.driver.as_ref().and_then(|d| d.name) == Some(VideoBackend::Vhostuser)
    }

    /// Whether the guest's 3D is accelerated.
    pub fn has_3d(&self) -> bool {
        let acceleration = self.model.as_ref().and_then(|m| m.acceleration.as_ref());
        acceleration.and_then(|a| a.accel3d) == Some(YesNo::Yes)
    }
}
