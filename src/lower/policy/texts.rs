//! Paths in texts that are handed on as they are: arguments and variables of `<qemu:commandline>`, properties of `<qemu:override>`,
//! addresses of message buses and sound servers. Nothing is granted for most of them, and a unit hides what they name; a
//! user's own machine sees what the user sees.

use super::{devices, places};
use crate::device::audio::{Audio, AudioType};
use crate::device::graphics::GraphicsKind;
use crate::diag::codes::{emit, security as codes};
use crate::domain::qemu::OverrideType;
use crate::plan::{PathKind, Use};
use crate::stage::Lower;
use crate::vocab::before;
use crate::vocab::nodes::is_node;
use crate::vocab::options::parts;
use crate::xml::Site;
use std::collections::BTreeSet;

/// Switches whose value is a text for the guest or for people.
const FREE: &[&str] = &["append", "name", "prom-env", "uuid", "title"];

/// Keys whose value is no path.
const WORDS: &[&str] = &["string", "serial", "wwn", "mount_tag", "tag", "data", "version", "manufacturer", "product"];

/// Keys whose value is a program, which is judged as one.
const PROGRAMS: &[&str] = &["helper", "script", "downscript"];

/// A text, and what it is for.
struct Text {
    site: Site,
    /// The element that it stands in.
    what: &'static str,
    text: String,
    of: Use,
    /// Whether somebody listens at the paths in it.
    socket: bool,
}

/// Judges every path in such a text.
pub fn check(lx: &mut Lower<'_>) {
    let mut texts = handed(lx);
    texts.extend(variables(lx));
    texts.extend(overrides(lx));
    texts.extend(addresses(lx));
    texts.extend(lx.devices.audios.iter().filter_map(sound_server));
    let allowed = &lx.env.host.security.allow_paths;
    let acl = &lx.env.host.process.device_acl;
    let granted: BTreeSet<&str> = lx.plan.access.iter().map(|a| a.path.as_str()).collect();
    let mut faults = Vec::new();
    for text in &texts {
        for path in paths(&text.text) {
            let leaves = path.split('/').any(|part| part == "..");
            // Those that a grant was made for were judged with it. Nodes are the host's to grant; but a user has more than he
            // lends.
            let node = is_node(&path) && !leaves;
            if granted.contains(path.as_str()) || (node && (acl.contains(&path) || !devices::is_of_the_host(&path))) {
                continue;
            }
            let listens = text.socket || [".sock", ".socket"].iter().any(|end| path.ends_with(end));
            let kind = if listens { PathKind::Socket } else { PathKind::File };
            let folder = path.trim_end_matches('/');
            let judged = if folder.is_empty() { "/" } else { folder };
            if let Some(why) = places::mentioned(&lx.plan, judged, text.of, kind, allowed) {
                faults.push((text.site, format!("{}: no guest may have '{}': {why}", text.what, path.escape_debug())));
            }
        }
    }
    faults.dedup();
    for (site, message) in faults {
        lx.error(&codes::FORBIDDEN_PATH, site, message).help(
            "give the guest a copy in a place of its own, or allow it in the host facts: security { allow-path \"…\"; }",
        );
    }
    transports(lx);
    sound_cards(lx);
}

/// The arguments that are handed through, an option each.
fn handed(lx: &Lower<'_>) -> Vec<Text> {
    let mut out = Vec::new();
    let mut switch = "";
    for arg in &lx.domain.qemu.args {
        if let Some(name) = arg.value.strip_prefix('-') {
            switch = name.strip_prefix('-').unwrap_or(name);
            continue;
        }
        if FREE.contains(&switch) {
            continue;
        }
        let unix = arg.value.contains("unix");
        for (place, (key, text)) in options(&arg.value).into_iter().enumerate() {
            // The guest finds a file of fw_cfg by its name, which only looks like a path.
            let name = switch == "fw_cfg" && (key == "name" || (place == 0 && key.is_empty()));
            if name || WORDS.contains(&key.as_str()) || PROGRAMS.contains(&key.as_str()) {
                continue;
            }
            let socket = unix || key.contains("sock");
            out.push(Text { site: arg.site, what: "qemu:commandline", text, of: use_of(switch, &key), socket });
        }
    }
    out
}

/// The values of environment variables, a path each: several are divided by colons, and addresses have more around them.
fn variables(lx: &Lower<'_>) -> Vec<Text> {
    // Data and settings that programs only read, below folders that nobody is given.
    let is_read = |name: &str| {
        matches!(name, "HOME" | "TZDIR") || name.starts_with("XDG_DATA_") || name.starts_with("FONTCONFIG_")
    };
    let mut out = Vec::new();
    for env in lx.domain.qemu.env.iter().filter(|env| !is_read(&env.name)) {
        let value = env.value.as_deref().unwrap_or_default();
        let pieces = value.split([':', ';', ',', '=']).map(decoded).filter(|piece| piece.starts_with('/'));
        out.extend(pieces.map(|text| {
            let socket = ["SOCK", "SERVER", "ADDRESS"].iter().any(|word| env.name.contains(word));
            Text { site: env.site, what: "qemu:env", text, of: use_of_variable(&env.name), socket }
        }));
    }
    out
}

/// What a path in a variable is for, as far as that opens a place.
fn use_of_variable(name: &str) -> Use {
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match () {
        () if has(&["PULSE", "PIPEWIRE", "AUDIO", "JACK", "QEMU_PA_"]) => Use::Audio,
        () if has(&["DISPLAY", "XAUTHORITY", "XDG_RUNTIME"]) => Use::Display,
        () => Use::Disk,
    }
}

/// What a path in an option is for, as far as that opens a place.
fn use_of(switch: &str, key: &str) -> Use {
    match (switch, key) {
        ("audiodev", _) => Use::Audio,
        ("device", "sysfsdev") => Use::HostDevice,
        ("device", "romfile") | ("option-rom", _) => Use::OptionRom,
        ("display", _) => Use::Display,
        _ if ["x509", "tls", "cert", "ca-"].iter().any(|word| key.contains(word)) => Use::Credentials,
        _ => Use::Disk,
    }
}

/// The options of a value in QEMU's two notations: keys and texts. A value without a key has an empty one.
fn options(value: &str) -> Vec<(String, String)> {
    let json = value.trim_start().trim_start_matches("json:");
    if json.starts_with('{') {
        let mut out = Vec::new();
        // QEMU itself refuses what is no JSON.
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(json) {
            members("", &value, &mut out);
        }
        return out;
    }
    let mut out = Vec::new();
    for part in parts(value) {
        let (key, text) = part.split_once('=').unwrap_or(("", &part));
        if text.starts_with("json:") {
            out.extend(options(text));
        } else {
            out.push((key.to_string(), text.to_string()));
        }
    }
    // A JSON object behind a key has commas of its own.
    if let Some((_, nested)) = value.split_once("json:").filter(|(front, _)| !front.is_empty()) {
        let end = nested.rfind('}').map_or(nested.len(), |at| at + 1);
        out.extend(options(&nested[..end]));
    }
    out
}

/// Every text in a JSON value, with the innermost key.
fn members(key: &str, value: &serde_json::Value, out: &mut Vec<(String, String)>) {
    use serde_json::Value;
    match value {
        Value::String(text) if text.starts_with("json:") => out.extend(options(text)),
        Value::String(text) => out.push((key.to_string(), text.clone())),
        Value::Array(all) => all.iter().for_each(|value| members(key, value, out)),
        Value::Object(all) => all.iter().for_each(|(key, value)| members(key, value, out)),
        _ => {}
    }
}

/// The paths in a text: it is one, or one follows a word and a colon (`file:/x`, `fat:rw:/x`). A relative one begins at
/// `/`, where QEMU is started.
fn paths(text: &str) -> Vec<String> {
    // A URL names another host; what follows `cmd:` is a program, and judged as such.
    if text.contains("://") || text.contains("-cmd:") {
        return Vec::new();
    }
    let words = text.split([' ', ';']).filter(|word| word.contains('/'));
    words
        .map(|word| match (word.starts_with('/'), word.find(":/")) {
            (true, _) => word.to_string(),
            (false, Some(at)) => word[at + 1..].to_string(),
            (false, None) => format!("/{}", word.rsplit(':').next().unwrap_or(word)),
        })
        .collect()
}

/// What `<qemu:override>` puts into properties.
fn overrides(lx: &Lower<'_>) -> Vec<Text> {
    let texts = lx.domain.qemu.overrides.iter().filter(|o| o.kind == OverrideType::String);
    texts
        .filter(|o| !WORDS.contains(&o.name.as_str()))
        .filter_map(|o| {
            let of = use_of("device", &o.name);
            Some(Text { site: o.site, what: "qemu:override", text: o.value.clone()?, of, socket: false })
        })
        .collect()
}

/// The addresses of message buses, a value each (`%2f` is a slash), and of X servers.
fn addresses(lx: &Lower<'_>) -> Vec<Text> {
    let named = lx.devices.graphics.iter().filter_map(|g| Some((g.site, g.address.as_ref()?)));
    // A path is a socket of the X server.
    let display = lx.devices.graphics.iter().filter_map(|g| Some((g.site, g.display.clone()?)));
    let display =
        display.map(|(site, text)| Text { site, what: "graphics: the display", text, of: Use::Display, socket: true });
    let value = |(site, address): (Site, &String)| {
        let values = address.split([';', ',']).filter_map(|part| part.split_once('='));
        Vec::from_iter(values.map(|(key, value)| Text {
            site,
            what: "graphics: the address of the bus",
            text: decoded(value),
            of: Use::Display,
            socket: key != "noncefile",
        }))
    };
    named.flat_map(value).chain(display).collect()
}

/// A text with `%` and two digits for a byte.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| first == b'%').and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where the programs of the user's session play sound.
fn sound_server(audio: &Audio) -> Option<Text> {
    let (text, socket) = match audio.kind() {
        AudioType::Pulseaudio => (audio.server_name.clone()?, true),
        AudioType::Pipewire => (audio.runtime_dir.clone()?, false),
        _ => return None,
    };
    Some(Text { site: audio.site, what: "audio", text, of: Use::Audio, socket })
}

/// Ways to a message bus: a socket, or a port. Others start a program to get there.
fn transports(lx: &mut Lower<'_>) {
    let is_known = |address: &str| ["unix:", "tcp:", "nonce-tcp:"].iter().any(|way| address.starts_with(way));
    let all = lx.devices.graphics.iter().filter(|g| g.kind == Some(GraphicsKind::Dbus));
    let named = all.filter_map(|g| Some((g.site, g.address.clone()?)));
    let faults: Vec<_> = named.filter(|(_, address)| !address.split(';').all(is_known)).collect();
    for (site, address) in faults {
        let message = format!("graphics: '{}' is no address of a message bus", address.escape_debug());
        lx.error(&emit::NOT_EXPRESSIBLE, site, message)
            .help("give unix:path=…, or leave it out for a bus of the domain's own");
    }
}

/// Names of ALSA devices. Longer ones are configurations, and those may name files to write, libraries and commands.
fn sound_cards(lx: &mut Lower<'_>) {
    let plain = |name: &str| {
        // The node of OSS, which many files have from an example.
        if name.strip_prefix("/dev/dsp").is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit())) {
            return true;
        }
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.,:=+-".contains(&b);
        let plugin = before(name, ':');
        name.bytes().all(fits) && !["file", "tee"].contains(&plugin)
    };
    let alsa = lx.devices.audios.iter().filter(|a| a.kind() == AudioType::Alsa);
    let names = alsa.flat_map(|a| [&a.input, &a.output].into_iter().flatten().map(move |d| (a.site, d.dev.clone())));
    let faults: Vec<_> = names.filter_map(|(site, name)| Some((site, name.filter(|name| !plain(name))?))).collect();
    for (site, name) in faults {
        let message = format!("audio: '{}' is no name of an ALSA device", name.escape_debug());
        lx.error(&emit::NOT_EXPRESSIBLE, site, message)
            .help("use a name such as default, hw:0,0 or plughw:CARD=PCH,DEV=0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_arguments() {
        let of = |value: &str| Vec::from_iter(options(value).iter().flat_map(|(_, text)| paths(text)));
        assert_eq!(of("loader,file=/a,addr=0"), ["/a"]);
        assert_eq!(of("file=json:{\"driver\":\"file\",\"filename\":\"/a\"},if=virtio").last().unwrap(), "/a");
        assert_eq!(of("{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":\"/a\"}}"), ["/a"]);
        assert_eq!(of("file=fat:rw:/a"), ["/a"]);
        assert_eq!(of("home/me/.ssh/id"), ["/home/me/.ssh/id"]);
        assert_eq!(of("file=/a,,b"), ["/a,b"]);
        assert_eq!(of("file=nbd://host/a"), [""; 0]);
        assert_eq!(of("virtio-blk,drive=a"), [""; 0]);
    }

    #[test]
    fn addresses_have_escapes() {
        assert_eq!(decoded("%2fetc%2Fx%"), "/etc/x%");
    }
}
