//! The process that draws for a virtio adapter with `<driver name='vhostuser'/>`.

use super::Video;
use crate::diag::codes::display as codes;
use crate::host::{VhostUserHelper, VhostUserKind};
use crate::plan::{Arg, Need, Needed, Process, Props, Ready, Role, Use};
use crate::stage::{Grant, Lower};

/// The helper that serves GPUs and can do what is asked: the first by descriptor.
fn helper<'a>(video: &Video, lx: &Lower<'a>) -> Option<&'a VhostUserHelper> {
    let host = lx.env.host;
    let wants = |helper: &&VhostUserHelper| {
        let has = |feature: &str| helper.features.iter().any(|f| f == feature);
        helper.kind == VhostUserKind::Gpu
            && (!video.has_3d() || has("virgl"))
            && (rendernode(video).is_none() || has("render-node"))
    };
    let described = host
        .files
        .vhost_user
        .iter()
        .filter_map(|file| serde_json::from_str::<serde_json::Value>(&file.text).ok())
        .filter(|d| d.get("type").and_then(|t| t.as_str()) == Some("gpu"))
        .filter_map(|d| d.get("binary").and_then(|b| b.as_str()).and_then(|b| host.vhost_user_helper(b)));
    let mut described = described;
    described.find(wants).or_else(|| host.vhost_user.helpers.iter().find(wants))
}

fn rendernode(video: &Video) -> Option<&str> {
    video.model.as_ref()?.acceleration.as_ref()?.rendernode.as_deref()
}

/// Adds the helper and the `-chardev` to it; gives the id of the latter.
pub fn chardev(video: &Video, lx: &mut Lower<'_>) -> Option<String> {
    let Some(helper) = helper(video, lx) else {
        lx.error(
            &codes::VIDEO,
            video.site,
            "the host facts list no vhost-user-gpu program with what this video device needs",
        )
        .help("name a helper in the host facts: vhost-user { helper \"/usr/lib/qemu/vhost-user-gpu\" type=\"gpu\" }");
        return None;
    };
    let id = format!("chr-vu-{}", video.info.id);
    let path = format!("{}/{}-vhost-user-gpu.sock", lx.paths.run, video.info.id);
    let cause = lx.cause(video.site, format!("video adapter {}", video.info.id));
    let process = format!("vhost-user-gpu-{}", video.info.id);
    let mut props = Props::new();
    props.bare("socket").set("id", id.clone());
    let mut args = Vec::new();
    if lx.hands_over_descriptors() {
        let fd = lx.descriptor(format!("vhost-user socket of {}", video.info.id));
        props.set("fd", fd);
        args.push(Arg::text("--fd", "3", cause.clone()));
    } else {
        props.set("path", path.clone());
        args.push(Arg::text("--socket-path", path.clone(), cause.clone()));
    }
    // Compilers of shaders.
    let mut needs = Needed::all(&[Need::Code], &cause);
    if video.has_3d() {
        args.push(Arg::switch("--virgl", cause.clone()));
    }
    if let Some(node) = rendernode(video) {
        args.push(Arg::text("--render-node", node, cause.clone()));
        needs.extend(Needed::all(&[Need::Gpu], &cause));
        lx.touch_by(&process, node, Grant::SYSTEM_NODE, Use::Gpu, video.site, "rendering on the GPU");
    }
    let ready = if lx.hands_over_descriptors() { Ready::Started } else { Ready::Socket(path.clone()) };
    if !lx.hands_over_descriptors() {
        let what = format!("video adapter {}", video.info.id);
        lx.listens(&process, &path, &cause);
        lx.touch(&path, Grant::PEER_SOCKET, Use::Video, video.site, what);
    }
    lx.plan.processes.push(Process {
        role: Role::VhostUser,
        id: process,
        program: helper.path.clone(),
        args,
        ready,
        needs,
        cause,
        ..Process::default()
    });
    lx.options("-chardev", props, video.site, "video adapter");
    Some(id)
}
