//! Checks of a complete video adapter.

use super::{Video, VideoDevice, VideoModel, VideoType};
use crate::caps::Cap;
use crate::device::address::Address;
use crate::diag::codes::{display as codes, general as support};
use crate::domain::Domain;
use crate::stage::{Cx, Machine, Quirk};
use crate::vocab::{OnOff, YesNo};
use crate::xml::Site;

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
            cx.error(
                &codes::VIDEO,
                site,
                "<model type='none'> says that there is no video device, and the domain has others",
            )
            .help("remove the other <video> devices, or this one");
        }
        return;
    }
    if !is_supported(video, kind, machine, cx) {
        cx.error(
            &support::NOT_BY_QEMU,
            site,
            format!("a domain of this machine type, with this QEMU, has no video model '{kind}'"),
        );
        return;
    }
    if !video.is_primary() && !matches!(kind, VideoType::Qxl | VideoType::Virtio) {
        cx.error(&codes::VIDEO, site, format!("a video device of type '{kind}' has to be the primary one"))
            .help("use model 'qxl' or 'virtio' for further adapters");
    }
    attributes(video, model, kind, site, cx);
    of_virtio(video, kind, domain, machine, cx);
    memory(model, kind, site, cx);
    if kind == VideoType::Ramfb
        && video.info.has_address()
        && !matches!(video.info.address.address, Some(Address::Unassigned))
    {
        cx.error(&codes::VIDEO, video.info.address_site(), "ramfb is a video type without a bus: it has no address")
            .help("remove the <address>: ramfb is no device on a bus");
    }
}

/// What only some models have.
fn attributes(video: &Video, model: &VideoModel, kind: VideoType, site: Site, cx: &mut Cx<'_>) {
    if model.ram.is_some() && kind != VideoType::Qxl {
        cx.error_at(&codes::VIDEO, site, "ram", "ram: this is for the video type qxl; the memory of others is vram");
    }
    if model.vram64.is_some() && kind != VideoType::Qxl {
        let message = "vram64 is an attribute of the video type qxl: only supported there";
        cx.error_at(&codes::VIDEO, site, "vram64", message);
    }
    if model.vgamem.is_some() && kind != VideoType::Qxl {
        cx.error_at(
            &codes::VIDEO,
            site,
            "vgamem",
            "vgamem is an attribute of the video type qxl: only supported there",
        );
    }
    let node = model.acceleration.as_ref().filter(|a| a.rendernode.is_some() && !video.is_vhost_user());
    if let Some(acceleration) = node {
        let message =
            "<acceleration rendernode>: only with the driver 'vhostuser' does the card choose its render node";
        cx.error_at(&codes::VIDEO, acceleration.site, "rendernode", message);
    }
    if model.heads.is_some_and(|h| h > 1) && !matches!(kind, VideoType::Qxl | VideoType::Virtio) {
        let message = format!("'heads': the video type '{kind}' has one, not multiple");
        cx.error_at(&codes::VIDEO, site, "heads", message);
    }
    let sized = matches!(kind, VideoType::Vga | VideoType::Qxl | VideoType::Virtio | VideoType::Bochs);
    if model.resolution.is_some() && !sized {
        let message = format!("<resolution>: the video model '{kind}' has none, it is not supported");
        cx.error(&codes::VIDEO, site, message).help("vga, qxl, virtio and bochs have one");
    }
    if model.resolution.as_ref().is_some_and(|r| r.x == Some(0) || r.y == Some(0)) {
        cx.error(&codes::VIDEO, site, "<resolution> of a video device: x and y begin at 1 (greater than 0)");
    }
    let says = |a: &super::Acceleration| a.accel2d.is_some() || a.accel3d.is_some() || a.rendernode.is_some();
    if let Some(empty) = model.acceleration.as_ref().filter(|a| !says(a)) {
        cx.error(&codes::VIDEO, empty.site, "<acceleration> says nothing: its values are missing")
            .help("add accel3d='yes', or remove the element");
    }
    if model.acceleration.as_ref().and_then(|a| a.accel2d) == Some(YesNo::Yes) {
        cx.error(&codes::VIDEO, site, "accel2d: qemu accelerates no 2D drawing");
    }
}

/// What virtio adapters have, and what they need.
fn of_virtio(video: &Video, kind: VideoType, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(model) = &video.model else { return };
    let site = if model.site.is_none() { video.site } else { model.site };
    if let Some(driver) = &video.driver {
        driver.virtio.refuse_unless(kind == VideoType::Virtio, cx);
    }
    if kind == VideoType::Virtio {
        device(video, machine, cx);
    } else if model.edid.is_some() && !matches!(kind, VideoType::Vga | VideoType::Bochs) {
        cx.error_at(&codes::VIDEO, site, "edid", format!("the video type '{kind}' has no EDID: 'edid' is not for it"));
    }
    let memfd =
        domain.memory_backing.as_ref().and_then(|b| b.source()) == Some(crate::domain::memory::MemorySource::Memfd);
    if model.blob == Some(OnOff::On) && kind == VideoType::Virtio && !memfd && !domain.has_shared_memory() {
        let message = "virtio-gpu shares its 'blob' memory: <memoryBacking> has to have <source type='memfd'/>";
        cx.error_at(&codes::VIDEO, site, "blob", message)
            .help("add <memoryBacking><source type='memfd'/></memoryBacking>");
    }
    if kind != VideoType::Virtio && (model.blob.is_some() || video.is_vhost_user()) {
        let what = if model.blob.is_some() { "'blob'" } else { "driver 'vhostuser'" };
        cx.error(
            &codes::VIDEO,
            site,
            format!("{what}: only a video card of model 'virtio' has it, and this one is '{kind}'"),
        );
    }
    if model.blob == Some(OnOff::On) && !cx.has(Cap::VirtioGpuBlob) {
        cx.error_at(&support::NOT_BY_QEMU, site, "blob", "the virtio-gpu of this QEMU has no 'blob'");
    }
    let told = cx.env.is_guardian() || cx.env.behaves(Quirk::Accel3dOfVirtio);
    if video.has_3d() && kind != VideoType::Virtio && told {
        cx.error(&codes::VIDEO, site, format!("accel3d: {kind} has no 3d acceleration"))
            .help("use model 'virtio' for accelerated 3D");
    }
}

/// Sizes of the adapter's memory.
fn memory(model: &VideoModel, kind: VideoType, site: Site, cx: &mut Cx<'_>) {
    if kind == VideoType::Qxl {
        for (name, value) in [("vram", model.vram), ("ram", model.ram)] {
            if value.unwrap_or(0) > u32::MAX / 1024 {
                cx.error_at(
                    &codes::VIDEO,
                    site,
                    name,
                    format!("'{name}': the value is '{}' or more, which is too much", u32::MAX / 1024),
                );
            }
        }
        if let Some(vgamem) = model.vgamem {
            if vgamem < 1024 {
                cx.error_at(&codes::VIDEO, site, "vgamem", "'vgamem': the smallest value is 1 MiB (1024 KiB)");
            } else if !vgamem.is_power_of_two() {
                cx.error_at(&codes::VIDEO, site, "vgamem", "'vgamem': the value has to be a power of two");
            }
        }
    }
    if matches!(kind, VideoType::Vga | VideoType::Vmvga) && model.vram.is_some_and(|v| v < 1024) {
        cx.error_at(&codes::VIDEO, site, "vram", "'vram': the smallest value is 1 MiB (1024 KiB)");
    }
}

/// Whether the virtio adapter that is named fits what else is said of it.
fn device(video: &Video, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(device) = video.model.as_ref().and_then(|m| m.device) else { return };
    let site = video.model.as_ref().map_or(video.site, |m| m.site);
    let cap = match device {
        VideoDevice::VirtioVga => Cap::VirtioVga,
        VideoDevice::VirtioVgaGl => Cap::VirtioVgaGl,
        VideoDevice::VirtioGpu if machine.arch.is_s390() => Cap::VirtioGpuCcw,
        VideoDevice::VirtioGpu => Cap::VirtioGpu,
        VideoDevice::VirtioGpuGl => Cap::VirtioGpuGlPci,
        VideoDevice::VhostUserVga => Cap::VhostUserVga,
        VideoDevice::VhostUserGpu => Cap::VhostUserGpu,
    };
    let fault = if device.is_vhost_user() != video.is_vhost_user() {
        Some("does not fit the <driver>: vhost-user devices go with name='vhostuser', the others with 'qemu'")
    } else if device.is_vga() && !video.is_primary() {
        Some("has the registers of a VGA: it is the primary video device, and no further one")
    } else if device.is_gl() && !video.has_3d() {
        Some("draws in 3D: it needs <acceleration accel3d='yes'/>")
    } else {
        None
    };
    if let Some(fault) = fault {
        cx.error_at(&codes::VIDEO, site, "device", format!("the video device '{device}' {fault}"));
    } else if !cx.has(cap) {
        cx.error_at(&support::NOT_BY_QEMU, site, "device", format!("this QEMU has no video device '{device}'"));
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
        VideoType::Xen | VideoType::Vbox | VideoType::Gop | VideoType::None => return false,
    };
    cx.has(cap)
}
