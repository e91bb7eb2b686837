//! Values that no QEMU could take, or that would mean something else to a program that reads them.

use crate::device::smartcard::SmartcardMode;
use crate::diag::codes::{emit, security as codes, xml};
use crate::plan::{Arg, ArgValue, PathKind, Prop, Props};
use crate::stage::Lower;
use crate::xml::Site;

/// Linux starts no program with a longer argument (MAX_ARG_STRLEN).
const LONGEST_ARGUMENT: usize = 128 * 1024 - 1;
/// Nor with more of them: a quarter of the usual stack, less what the environment needs.
const LONGEST_COMMAND: usize = 2 * 1024 * 1024 - 64 * 1024;
/// The path of a UNIX socket with its NUL byte has at most 108 bytes.
const LONGEST_SOCKET: usize = 107;
/// A file of fw_cfg has a name of at most 56 bytes with its NUL byte.
const LONGEST_FW_CFG: usize = 55;
/// Nodes of the kernel that give random numbers.
const RANDOM: &[&str] = &["/dev/random", "/dev/urandom", "/dev/hwrng", "/dev/hw_random"];

/// Checks the values of a domain.
pub fn check(lx: &mut Lower<'_>) {
    arguments(lx);
    sockets(lx);
    fw_cfg(lx);
    smartcards(lx);
    sources_of_random_numbers(lx);
    timezone(lx);
    keymaps(lx);
    limits(lx);
    if let Some(map) = lx.domain.idmap.as_ref()
        && map.uids.iter().chain(&map.gids).any(|range| range.target == Some(0))
    {
        let site = map.site;
        lx.error(&codes::FORBIDDEN_LABEL, site, "<idmap> makes the guest's root the root of the host")
            .help("remove <idmap>: it is for containers, QEMU has no user namespace");
    }
}

/// Control characters and lengths, of every argument that a value of the XML is in.
fn arguments(lx: &mut Lower<'_>) {
    let mut faults = Vec::new();
    let mut total = 0;
    for (at, arg) in lx.args.iter().enumerate() {
        let value = length(&arg.value);
        total += arg.switch.len() + value + 2 + 16;
        let length = value.max(arg.switch.len());
        if length > LONGEST_ARGUMENT {
            faults.push((
                &xml::SIZE,
                arg.cause.span,
                format!("{}: an argument of {length} bytes is longer than Linux takes", named(arg)),
            ));
        }
        // Users' own arguments are taken as they are; the contents of a file may have lines.
        if lx.handed_through.contains(&at) || arg.switch == "-fw_cfg" {
            continue;
        }
        if let Some(c) = control(&arg.value) {
            faults.push((
                &emit::NOT_EXPRESSIBLE,
                arg.cause.span,
                format!("{}: a value holds the control character U+{:04X}", named(arg), u32::from(c)),
            ));
        }
    }
    if total > LONGEST_COMMAND {
        let span = lx.doc.span_of(lx.domain.site);
        faults.push((&xml::SIZE, span, format!("the command line has {total} bytes, more than Linux takes")));
    }
    for (code, span, message) in faults {
        lx.diags.error(code, span, message).help("use a shorter or plainer value");
    }
}

fn named(arg: &Arg) -> &str {
    if arg.cause.what.is_empty() { &arg.switch } else { &arg.cause.what }
}

/// About how long a value is on the command line; never more than it is.
fn length(value: &ArgValue) -> usize {
    fn of(prop: &Prop) -> usize {
        match prop {
            Prop::Text(text) => text.len(),
            Prop::Object(props) => props.0.iter().map(|(key, value)| key.len() + 2 + of(value)).sum(),
            Prop::List(list) => list.iter().map(|value| of(value) + 1).sum(),
            _ => 1,
        }
    }
    match value {
        ArgValue::None => 0,
        ArgValue::Text(text) => text.len(),
        ArgValue::Props(Props(props), _) => props.iter().map(|(key, value)| key.len() + 2 + of(value)).sum(),
    }
}

/// The first control character but a tab.
fn control(value: &ArgValue) -> Option<char> {
    fn text(text: &str) -> Option<char> {
        // C1 controls begin with the byte C2 in UTF-8.
        if text.bytes().all(|b| b >= b' ' && b != 0x7f && b != 0xc2) {
            return None;
        }
        text.chars().find(|c| c.is_control() && *c != '\t')
    }
    fn prop(value: &Prop) -> Option<char> {
        match value {
            Prop::Text(value) => text(value),
            Prop::Object(props) => props.0.iter().find_map(|(key, value)| text(key).or_else(|| prop(value))),
            Prop::List(list) => list.iter().find_map(prop),
            _ => None,
        }
    }
    match value {
        ArgValue::None => None,
        ArgValue::Text(value) => text(value),
        ArgValue::Props(Props(props), _) => props.iter().find_map(|(key, value)| text(key).or_else(|| prop(value))),
    }
}

fn sockets(lx: &mut Lower<'_>) {
    let accesses = lx.plan.access.iter().filter(|a| a.kind == PathKind::Socket).map(|a| (&a.path, &a.cause));
    let listening = lx.plan.sockets.iter().map(|s| (&s.path, &s.cause));
    let mut faults: Vec<_> = accesses
        .chain(listening)
        .filter(|(path, _)| path.len() > LONGEST_SOCKET)
        .map(|(path, cause)| (cause.span, format!("the path of the socket '{path}' has {} bytes", path.len())))
        .collect();
    faults.dedup();
    for (span, message) in faults {
        lx.diags
            .error(&emit::OUT_OF_RANGE, span, message)
            .help("the kernel takes at most 107: choose a shorter path, or a shorter name for the domain");
    }
}

fn fw_cfg(lx: &mut Lower<'_>) {
    let mut faults: Vec<(Site, String)> = Vec::new();
    for entry in lx.domain.sysinfo.iter().flat_map(|s| &s.entries) {
        let name = entry.name.as_deref().unwrap_or("");
        if name.len() > LONGEST_FW_CFG || !name.bytes().all(|b| b.is_ascii_graphic()) {
            faults.push((entry.site, format!("'{name}' is no name of a fw_cfg file")));
        }
    }
    for (site, message) in faults {
        lx.error(&emit::NOT_EXPRESSIBLE, site, message)
            .help("name it opt/ and a name of your own, such as opt/org.example/config, in at most 55 bytes");
    }
}

/// The library behind smart cards reads names and the folder out of one list of options, without quoting.
fn smartcards(lx: &mut Lower<'_>) {
    let mut faults: Vec<(Site, String)> = Vec::new();
    for card in lx.devices.smartcards.iter().filter(|c| c.mode == Some(SmartcardMode::HostCertificates)) {
        for name in &card.certificates {
            if name.contains([',', '"', '(', ')', '\\']) || name.chars().any(char::is_control) {
                faults.push((card.site, format!("'{name}' cannot be the name of a smart card's certificate")));
            }
        }
        if let Some(database) = card.database.as_ref().filter(|d| d.contains(['"', ',', '\\', '\''])) {
            faults.push((card.site, format!("'{database}' cannot be the database of a smart card's certificates")));
        }
    }
    for (site, message) in faults {
        lx.error(&emit::NOT_EXPRESSIBLE, site, message)
            .help("use a name without commas, quotes, parentheses and backslashes");
    }
}

/// What the guest takes for random numbers must be random, and not a file of the host.
fn sources_of_random_numbers(lx: &mut Lower<'_>) {
    let allowed = &lx.env.host.security.allow_paths;
    let mut faults: Vec<(Site, String)> = Vec::new();
    for rng in &lx.devices.rngs {
        let path = rng.random_node().filter(|p| !RANDOM.contains(p) && !allowed.iter().any(|a| a == p));
        if let Some(path) = path {
            faults.push((rng.site, format!("rng: '{path}' is no source of random numbers")));
        }
    }
    for (site, message) in faults {
        lx.error(&codes::FORBIDDEN_PATH, site, message)
            .help("use /dev/urandom, /dev/random or /dev/hwrng, or allow the path in the host facts: security { allow-path \"…\"; }");
    }
}

/// The name of a time zone is a path below the zone database.
fn timezone(lx: &mut Lower<'_>) {
    let Some(clock) = &lx.domain.clock else { return };
    let Some(zone) = &clock.timezone else { return };
    let plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
            && !part.starts_with('-')
    };
    if !zone.split('/').all(plain) {
        let (site, zone) = (clock.site, zone.clone());
        lx.error(&emit::NOT_EXPRESSIBLE, site, format!("'{zone}' is no name of a time zone"))
            .help("use a name such as Europe/Berlin or Etc/GMT+5");
    }
}

/// The name of a keyboard layout is that of a file in QEMU's folder of them, or a path to any other file.
fn keymaps(lx: &mut Lower<'_>) {
    let plain = |name: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.+()".contains(&b);
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(fits) && !name.contains("..")
    };
    let named = lx.devices.graphics.iter().filter_map(|g| Some((g.site, g.keymap.clone()?)));
    let faults: Vec<(Site, String)> = named.filter(|(_, name)| !plain(name)).collect();
    for (site, name) in faults {
        lx.error(&emit::NOT_EXPRESSIBLE, site, format!("'{name}' is no name of a keyboard layout"))
            .help("use a name such as de or en-us");
    }
}

/// Devices whose throughput is limited stand in tables and units.
fn limits(lx: &mut Lower<'_>) {
    let odd = |path: &&String| path.chars().any(char::is_control);
    let found: Vec<String> = lx.plan.limits.io_devices.iter().map(|d| &d.path).filter(odd).cloned().collect();
    let site = lx.domain.site;
    for path in found {
        lx.error(&emit::NOT_EXPRESSIBLE, site, format!("blkiotune: the path '{path}' holds a control character"))
            .help("name the device by a plain path, such as /dev/disk/by-id/…");
    }
}
