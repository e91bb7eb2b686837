//! Video adapters: what the passes ask of the family.

use super::{Video, VideoDevice, VideoType, defaults, lower, rules};
use crate::caps::Cap;
use crate::device::family::Family;
use crate::device::plug::{Plug, VirtioModel};
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Env, Machine};

impl Video {
    /// Whether it is a virtio adapter with the registers of a VGA.
    pub fn is_vga(&self, env: &Env<'_>) -> bool {
        self.virtio_device(env).is_vga()
    }

    /// Which virtio adapter it is: as the XML says, or the one that fits.
    pub fn virtio_device(&self, env: &Env<'_>) -> VideoDevice {
        if let Some(device) = self.model.as_ref().and_then(|m| m.device) {
            return device;
        }
        let primary = self.is_primary();
        if self.is_vhost_user() {
            let vga = primary && env.has(Cap::VhostUserVga);
            return if vga { VideoDevice::VhostUserVga } else { VideoDevice::VhostUserGpu };
        }
        let vga = primary && env.has(Cap::VirtioVga);
        match (vga, self.has_3d()) {
            (true, true) if env.has(Cap::VirtioVgaGl) => VideoDevice::VirtioVgaGl,
            (true, _) => VideoDevice::VirtioVga,
            (false, true) if env.has(Cap::VirtioGpuGlPci) => VideoDevice::VirtioGpuGl,
            (false, _) => VideoDevice::VirtioGpu,
        }
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
