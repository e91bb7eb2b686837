//! Checks of a complete video adapter.

use super::{Video, VideoType};
use crate::caps::Cap;
use crate::device::address::Address;
use crate::diag::codes::{display as codes, general as support};
use crate::domain::Domain;
use crate::resolve::{Cx, Machine};
use crate::vocab::{OnOff, YesNo};

/// Checks one adapter.
pub fn video(video: &Video, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(model) = &video.model else { return };
    let site = if model.site.is_none() { video.site } else { model.site };
    let Some(kind) = model.kind else {
        cx.error(&codes::VIDEO, site, "this QEMU has no video model that could be the default");
        return;
    };
    let count = domain.devices.as_ref().map_or(0, |d| d.videos.len());
    if kind == VideoType::None {
        if count > 1 {
            cx.error(&codes::VIDEO, site, "a 'none' video type must be the only video device defined for the domain")
                .help("remove the other <video> devices, or this one");
        }
        return;
    }
    if !is_supported(video, kind, machine, cx) {
        cx.error(&support::NOT_BY_QEMU, site, format!("domain configuration does not support video model '{kind}'"));
        return;
    }
    if !video.is_primary() && !matches!(kind, VideoType::Qxl | VideoType::Virtio) {
        cx.error(&codes::VIDEO, site, format!("video type '{kind}' is only valid as primary video device"))
            .help("use model 'qxl' or 'virtio' for further adapters");
    }
    if model.ram.is_some() && kind != VideoType::Qxl {
        cx.error_at(&codes::VIDEO, site, "ram", "the ram attribute is only supported for the video type qxl");
    }
    if model.heads.is_some_and(|h| h > 1) && !matches!(kind, VideoType::Qxl | VideoType::Virtio) {
        let message = format!("the video type '{kind}' doesn't support multiple 'heads'");
        cx.error_at(&codes::VIDEO, site, "heads", message);
    }
    if model.resolution.as_ref().is_some_and(|r| r.x == Some(0) || r.y == Some(0)) {
        cx.error(&codes::VIDEO, site, "the values of the video resolution must be greater than 0");
    }
    if let Some(driver) = &video.driver {
        driver.virtio.rules(kind == VideoType::Virtio, cx);
    }
    let memfd =
        domain.memory_backing.as_ref().and_then(|b| b.source()) == Some(crate::domain::memory::MemorySource::Memfd);
    if model.blob == Some(OnOff::On) && kind == VideoType::Virtio && !memfd && !domain.has_shared_memory() {
        let message = "the 'blob' support of virtio-gpu devices requires a memfd memory backend";
        cx.error_at(&codes::VIDEO, site, "blob", message)
            .help("add <memoryBacking><source type='memfd'/></memoryBacking>");
    }
    if model.acceleration.as_ref().and_then(|a| a.accel2d) == Some(YesNo::Yes) {
        cx.error(&codes::VIDEO, site, "qemu does not support the accel2d setting");
    }
    if kind == VideoType::Qxl {
        for (name, value) in [("vram", model.vram), ("ram", model.ram)] {
            if value.unwrap_or(0) > u32::MAX / 1024 {
                cx.error_at(
                    &codes::VIDEO,
                    site,
                    name,
                    format!("value for '{name}' must be less than '{}'", u32::MAX / 1024),
                );
            }
        }
        if let Some(vgamem) = model.vgamem {
            if vgamem < 1024 {
                cx.error_at(&codes::VIDEO, site, "vgamem", "value for 'vgamem' must be at least 1 MiB (1024 KiB)");
            } else if !vgamem.is_power_of_two() {
                cx.error_at(&codes::VIDEO, site, "vgamem", "value for 'vgamem' must be power of two");
            }
        }
    }
    if matches!(kind, VideoType::Vga | VideoType::Vmvga) && model.vram.is_some_and(|v| v < 1024) {
        cx.error_at(&codes::VIDEO, site, "vram", "value for 'vram' must be at least 1 MiB (1024 KiB)");
    }
    if kind != VideoType::Virtio && (model.blob.is_some() || video.is_vhost_user()) {
        let what = if model.blob.is_some() { "'blob'" } else { "driver 'vhostuser'" };
        cx.error(&codes::VIDEO, site, format!("{what} is only supported by video model 'virtio', not by '{kind}'"));
    }
    if model.blob == Some(OnOff::On) && !cx.has(Cap::VirtioGpuBlob) {
        cx.error_at(&support::NOT_BY_QEMU, site, "blob", "this QEMU does not support 'blob' for virtio-gpu devices");
    }
    if video.has_3d() && kind != VideoType::Virtio {
        cx.error(&codes::VIDEO, site, format!("{kind} 3d acceleration is not supported"))
            .help("use model 'virtio' for accelerated 3D");
    }
    if kind == VideoType::Ramfb
        && video.info.has_address()
        && !matches!(video.info.address.address, Some(Address::Unassigned))
    {
        cx.error(&codes::VIDEO, video.info.address_site(), "address not supported for video type ramfb")
            .help("remove the <address>: ramfb is no device on a bus");
    }
}

/// Whether this QEMU has the model.
fn is_supported(video: &Video, kind: VideoType, machine: &Machine, cx: &Cx<'_>) -> bool {
    let cap = match kind {
        VideoType::Vga => Cap::VGA,
        VideoType::Cirrus => Cap::CirrusVga,
        VideoType::Vmvga => Cap::VmwareSvga,
        VideoType::Qxl => Cap::Qxl,
        VideoType::Bochs => Cap::BochsDisplay,
        VideoType::Ramfb => Cap::Ramfb,
        VideoType::Virtio if video.is_vhost_user() => Cap::VhostUserGpu,
        VideoType::Virtio if machine.arch.is_s390() => Cap::VirtioGpuCcw,
        VideoType::Virtio => Cap::VirtioGpu,
        VideoType::Xen | VideoType::Vbox | VideoType::Parallels | VideoType::Gop | VideoType::None => return false,
    };
    cx.has(cap)
}
