//! Video adapters on the command line.

use super::{Video, VideoType, vhost_user};
use crate::caps::Cap;
use crate::device::plug::VirtioModel;
use crate::plan::{Need, Props, Use};
use crate::stage::{Grant, Lower};
use crate::vocab::{OnOff, nodes};

/// Adds one adapter.
pub fn video(video: &Video, lx: &mut Lower<'_>) {
    let (Some(model), Some(kind)) = (&video.model, video.kind()) else { return };
    let Some((driver, on_bus)) = driver(video, kind, lx) else { return };
    let chardev = video.is_vhost_user().then(|| vhost_user::chardev(video, lx)).flatten();
    let mut props = if on_bus {
        let options = video.driver.as_ref().map(|d| &d.virtio);
        lx.virtio_device(driver, &video.info, VirtioModel::Virtio, options)
    } else {
        Props::driver(driver)
    };
    props.set("id", video.info.id.clone());
    let renders = driver.ends_with("-gl");
    if renders {
        lx.need(Need::Code, video.site, "video adapter");
    }
    let gl = renders || driver.starts_with("vhost-user");
    if kind == VideoType::Virtio && video.has_3d() && !gl && lx.has(Cap::VirtioGpuVirgl) {
        props.set("virgl", true);
    }
    let heads = model.heads.unwrap_or(1);
    let mib = |kib: Option<u32>| kib.unwrap_or(0) / 1024;
    let bytes = |kib: Option<u32>| u64::from(kib.unwrap_or(0)) * 1024;
    match kind {
        VideoType::Qxl => {
            props.set("max_outputs", heads);
            props.set("ram_size", bytes(model.ram)).set("vram_size", bytes(model.vram));
            props.set("vram64_size_mb", mib(model.vram64)).set("vgamem_mb", mib(model.vgamem));
        }
        VideoType::Virtio => {
            props.set("max_outputs", heads).maybe("blob", model.blob.map(OnOff::is_on));
            props.maybe("chardev", chardev);
            // QEMU does not start without: it hands pages of the guest over as buffers.
            if model.blob == Some(OnOff::On) {
                lx.touch(nodes::UDMABUF, Grant::SYSTEM_NODE, Use::Video, video.site, "video: blob");
            }
        }
        VideoType::Vga | VideoType::Vmvga => {
            props.set("vgamem_mb", mib(model.vram));
        }
        VideoType::Bochs => {
            props.set("vgamem", bytes(model.vram));
        }
        _ => {}
    }
    props.maybe("edid", model.edid.map(OnOff::is_on));
    if let Some(resolution) = &model.resolution {
        props.maybe("xres", resolution.x).maybe("yres", resolution.y);
    }
    lx.address(&mut props, &video.info);
    lx.device(props, video);
}

/// QEMU's driver, and whether its name gets the suffix of its bus.
fn driver(video: &Video, kind: VideoType, lx: &Lower<'_>) -> Option<(&'static str, bool)> {
    let primary = video.is_primary();
    Some(match kind {
        VideoType::Vga => ("VGA", false),
        VideoType::Cirrus => ("cirrus-vga", false),
        VideoType::Vmvga => ("vmware-svga", false),
        VideoType::Qxl => (if primary { "qxl-vga" } else { "qxl" }, false),
        VideoType::Bochs => ("bochs-display", false),
        VideoType::Ramfb => ("ramfb", false),
        VideoType::Virtio => {
            let device = video.virtio_device(&lx.env);
            (device.as_str(), !device.is_vga())
        }
        _ => return None,
    })
}
