//! `-audiodev`.

use super::{Audio, AudioDirection, AudioType};
use crate::caps::Version;
use crate::diag::codes::general;
use crate::plan::{Need, PathKind, Props, Use};
use crate::stage::mapping;
use crate::stage::{Grant, Lower};
use crate::vocab::YesNo;

/// Adds a backend, the variables that it reads, and the devices that it opens.
pub fn audio(audio: &Audio, lx: &mut Lower<'_>) {
    let yes = |v: Option<YesNo>| v.map(YesNo::is_yes);
    let kind = audio.kind();
    let mut props = Props::with("id", format!("audio{}", audio.id.unwrap_or(1)));
    props.set("driver", kind.driver());
    props.maybe("timer-period", audio.timer_period);
    match kind {
        AudioType::File => {
            props.maybe("path", audio.path.clone());
        }
        AudioType::Oss => {
            props.maybe("try-mmap", yes(audio.try_mmap)).maybe("exclusive", yes(audio.exclusive));
            props.maybe("dsp-policy", audio.dsp_policy);
        }
        AudioType::Pulseaudio => {
            // A path or `unix:` is a socket; what else it may be is a host, or a list of them (PulseAudio, "Server Strings").
            if audio.server_name.as_deref().is_some_and(|s| !s.starts_with('/') && !s.starts_with("unix:")) {
                lx.need(Need::Inet, audio.site, "audio");
            }
            props.maybe("server", audio.server_name.clone());
        }
        AudioType::Sdl => {
            if let Some(driver) = audio.driver {
                lx.variable("SDL_AUDIODRIVER", driver.as_str());
            }
        }
        AudioType::Pipewire => {
            if lx.env.is_guardian() && lx.env.caps.version < Version::new(8, 1, 0) {
                let message = "audio type 'pipewire' needs QEMU 8.1";
                lx.error(&general::NOT_BY_QEMU, audio.site, message)
                    .help("use type='pulseaudio', which PipeWire serves too");
            }
            let dir = audio.runtime_dir.clone().or_else(|| {
                let host = lx.env.host;
                host.env("PIPEWIRE_RUNTIME_DIR").or_else(|| host.env("XDG_RUNTIME_DIR")).map(str::to_string)
            });
            if let Some(dir) = dir {
                lx.variable("PIPEWIRE_RUNTIME_DIR", dir);
            }
        }
        _ => {}
    }
    props.maybe("in", audio.input.as_ref().and_then(|d| direction(d, kind)));
    props.maybe("out", audio.output.as_ref().and_then(|d| direction(d, kind)));
    access(audio, lx);
    lx.audiodev(props, audio.site);
}

/// The settings of one direction; none if there are none.
fn direction(direction: &AudioDirection, kind: AudioType) -> Option<Props> {
    let yes = |v: Option<YesNo>| v.map(YesNo::is_yes);
    let mut props = Props::new();
    mapping::lower(super::mapping::DIRECTION, direction, &mut props);
    if let Some(settings) = &direction.settings {
        props.maybe("frequency", settings.frequency).maybe("channels", settings.channels);
        props.maybe("format", settings.format.map(|f| f.as_str()));
    }
    match kind {
        AudioType::Alsa => {
            props.maybe("dev", direction.dev.clone());
        }
        AudioType::Coreaudio | AudioType::Sdl => {
            props.maybe("buffer-count", direction.buffer_count);
        }
        AudioType::Jack => {
            props.maybe("server-name", direction.server_name.clone());
            props.maybe("client-name", direction.client_name.clone());
            props.maybe("connect-ports", direction.connect_ports.clone());
            props.maybe("exact-name", yes(direction.exact_name));
        }
        AudioType::Oss => {
            props.maybe("dev", direction.dev.clone()).maybe("buffer-count", direction.buffer_count);
            props.maybe("try-poll", yes(direction.try_poll));
        }
        AudioType::Pulseaudio | AudioType::Pipewire => {
            props.maybe("name", direction.name.clone()).maybe("stream-name", direction.stream_name.clone());
            props.maybe("latency", direction.latency);
        }
        _ => {}
    }
    (!props.is_empty()).then_some(props)
}

/// Records the host's sound devices.
fn access(audio: &Audio, lx: &mut Lower<'_>) {
    let mut open = |path: &str, grant: Grant| lx.touch(path, grant, Use::Audio, audio.site, "audio");
    match audio.kind() {
        AudioType::Alsa => open("/dev/snd", Grant::SYSTEM_NODE.on(PathKind::Tree)),
        AudioType::Oss => {
            for direction in [&audio.input, &audio.output] {
                let dev = direction.as_ref().and_then(|d| d.dev.as_deref()).unwrap_or("/dev/dsp");
                open(dev, Grant::SYSTEM_NODE);
            }
        }
        AudioType::File => {
            if let Some(path) = audio.path.as_deref().filter(|p| p.starts_with('/')) {
                open(path, Grant::LOG);
            }
        }
        _ => {}
    }
}
