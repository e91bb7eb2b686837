//! Video adapters.

mod defaults;
mod lower;
mod rules;
mod vhost_user;

pub use defaults::add_implicit;

use super::info::DeviceInfo;
use super::plug::{Plug, VirtioModel};
use super::virtio::VirtioOptions;
use super::{Family, device};
use crate::caps::Cap;
use crate::domain::Domain;
use crate::domain::model::model;
use crate::lower::Lower;
use crate::resolve::{Cx, Env, Machine};
use crate::vocab::{OnOff, YesNo, keywords};

keywords! {
    /// `<model type='…'>` of a video adapter.
    pub enum VideoType {
        Vga = "vga",
        Cirrus = "cirrus",
        Vmvga = "vmvga",
        Xen = "xen",
        Vbox = "vbox",
        Qxl = "qxl",
        Parallels = "parallels",
        Virtio = "virtio",
        Gop = "gop",
        None = "none",
        Bochs = "bochs",
        Ramfb = "ramfb",
    }
}

keywords! {
    /// `<driver name='…'>`: who does the work.
    pub enum VideoBackend { Qemu = "qemu", VhostUser = "vhostuser" }
}

keywords! {
    /// `<driver vgaconf='…'>`, of bhyve only.
    pub enum VgaConf { Io = "io", On = "on", Off = "off" }
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
        self.driver.as_ref().and_then(|d| d.name) == Some(VideoBackend::VhostUser)
    }

    /// Whether it is a virtio adapter with the registers of a VGA.
    pub fn is_vga(&self, env: &Env<'_>) -> bool {
        self.is_primary() && env.has(if self.is_vhost_user() { Cap::VhostUserVga } else { Cap::VirtioVga })
    }

    /// Whether the guest's 3D is accelerated.
    pub fn has_3d(&self) -> bool {
        let acceleration = self.model.as_ref().and_then(|m| m.acceleration.as_ref());
        acceleration.and_then(|a| a.accel3d) == Some(YesNo::Yes)
    }
}

impl Family for Video {
    fn defaults(&mut self, machine: &Machine, cx: &mut Cx<'_>) {
        defaults::video(self, machine, cx);
    }

    fn plug(&self, machine: &Machine, _: &Env<'_>) -> Plug {
        match self.kind() {
            None | Some(VideoType::None | VideoType::Ramfb) => Plug::Nowhere,
            Some(VideoType::Virtio) => Plug::Virtio(VirtioModel::Virtio),
            Some(VideoType::Bochs) if machine.has_pcie_root() => Plug::Pcie,
            Some(_) => Plug::Pci,
        }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        rules::video(self, domain, machine, cx);
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::video(self, lx);
    }
}
