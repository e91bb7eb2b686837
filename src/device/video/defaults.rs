//! What a video adapter has when the XML does not say.

use super::{Video, VideoModel, VideoType};
use crate::caps::Cap;
use crate::device::Devices;
use crate::diag::codes::display as codes;
use crate::stage::{Board, Cx, Machine, Quirk};
use crate::vocab::YesNo;

/// Adds an adapter to a domain with a display, and puts the primary one first.
pub fn add_implicit(devices: &mut Devices, cx: &mut Cx<'_>) {
    if devices.videos.is_empty() && !devices.graphics.is_empty() {
        devices.videos.push(Video::default());
    }
    let primary: Vec<usize> = (0..devices.videos.len()).filter(|i| devices.videos[*i].is_primary()).collect();
    if let Some(second) = primary.get(1).and_then(|i| devices.videos.get(*i)) {
        cx.error(&codes::VIDEO, second.site, "primary='yes' twice: one video device is the primary one")
            .help("set primary='yes' on one <model> only");
    }
    if let Some(&at) = primary.first() {
        devices.videos[..=at].rotate_right(1);
    }
    for (i, video) in devices.videos.iter_mut().enumerate() {
        let model = video.model.get_or_insert_default();
        model.primary = (i == 0 && model.kind != Some(VideoType::None)).then_some(YesNo::Yes);
    }
}

/// The adapter that a guest of this machine most likely has a driver for.
fn default_type(machine: &Machine, cx: &Cx<'_>) -> Option<VideoType> {
    if machine.arch.is_ppc64() {
        Some(VideoType::Vga)
    } else if machine.board == Board::Virt || machine.arch.is_s390() {
        Some(VideoType::Virtio)
    } else if cx.has(Cap::CirrusVga) {
        Some(VideoType::Cirrus)
    } else if cx.has(Cap::VGA) {
        Some(VideoType::Vga)
    } else if cx.has(Cap::VirtioGpu) {
        Some(VideoType::Virtio)
    } else {
        None
    }
}

/// Chooses the model and the sizes of its memory.
pub fn video(video: &mut Video, machine: &Machine, cx: &mut Cx<'_>) {
    if let Some(driver) = &mut video.driver {
        driver.vgaconf = None;
    }
    let model = video.model.get_or_insert_default();
    model.vram64 = model.vram64.filter(|v| *v > 0);
    if model.kind.is_none() {
        model.kind = default_type(machine, cx);
    }
    match model.kind {
        Some(VideoType::None) => {
            *model = VideoModel { kind: model.kind, site: model.site, ..VideoModel::default() };
            return;
        }
        Some(VideoType::Qxl) => {
            model.ram = Some(power_of_two(model.ram, 64 * 1024));
            model.vram = Some(power_of_two(model.vram, 64 * 1024));
            if model.vgamem.is_none_or(|v| v == 0) {
                model.vgamem = Some(16 * 1024);
            }
        }
        Some(VideoType::Vga | VideoType::Cirrus | VideoType::Vmvga | VideoType::Bochs) => {
            model.vram = Some(power_of_two(model.vram, 16 * 1024));
        }
        Some(VideoType::Xen) => model.vram = Some(power_of_two(model.vram, 4 * 1024)),
        _ => model.vram = model.vram.filter(|v| *v != 0),
    }
    model.heads = Some(model.heads.filter(|h| *h != 0).unwrap_or(1));
    let is_virtio = model.kind == Some(VideoType::Virtio);
    model.device = model.device.filter(|_| is_virtio);
    if is_virtio && !cx.env.behaves(Quirk::VideoHasNoDevice) {
        let device = video.virtio_device(&cx.env);
        video.model.get_or_insert_default().device = Some(device);
    }
}

fn power_of_two(kib: Option<u32>, default: u32) -> u32 {
    let kib = kib.filter(|k| *k != 0).unwrap_or(default);
    kib.checked_next_power_of_two().unwrap_or(kib)
}
