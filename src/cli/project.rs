//! `virtc.kdl`: what one would else type each time, for all domains below a folder. It is looked for from the folder of
//! the input upwards.

use super::inputs::{HERE, HostName, Source, is_program, report};
use super::{Exit, Shared, complain};
use crate::caps::Choice;
use crate::diag::codes::qemu;
use crate::diag::{Diagnostics, Level, Levels, Span};
use crate::host::Host;
use crate::host::kdl::{self, Reader, Times, Times::*, name_span};
use crate::host::reference::Entry;
use crate::lower::policy::refused_emulator;
use crate::plan::Target;
use std::path::{Component, Path, PathBuf};

/// The name of the file.
const NAME: &str = "virtc.kdl";

/// What each node means, for virtc-project(5) and the manual.
pub const NODES: &[Entry] = &[
    Entry {
        name: "host",
        about: "Facts about the host: a file, here, or a distribution; as --host.",
        example: "host \"host.kdl\"",
        parts: &[],
    },
    Entry {
        name: "caps",
        about: "What QEMU can do: a profile, here, a file, a program; as --caps.",
        example: "caps \"qemu-10.0\"",
        parts: &[],
    },
    Entry {
        name: "target",
        about: "What command lines are for: standalone, or libvirt@VERSION; as --target.",
        example: "target \"standalone\"",
        parts: &[],
    },
    Entry {
        name: "connect",
        about: "Instance: qemu:///system or qemu:///session; as --connect.",
        example: "connect \"qemu:///system\"",
        parts: &[],
    },
    Entry { name: "output", about: "Where build writes; out.", example: "output \"out\"", parts: &[] },
    Entry { name: "strict", about: "Whether warnings are errors; #false.", example: "strict #true", parts: &[] },
    Entry {
        name: "lints",
        about: "How serious lints are taken: codes, their names, or groups.",
        example: "lints {\n    allow \"no-console\"\n    deny \"data\" \"VC1603\"\n}",
        parts: &[("allow", "say nothing of it"), ("warn", "warn of it"), ("deny", "take it for an error")],
    },
];

const TOP: &[(&str, Times)] = &[
    ("host", Once),
    ("caps", Once),
    ("target", Once),
    ("connect", Once),
    ("output", Once),
    ("strict", Once),
    ("lints", Once),
];

const LINTS: &[(&str, Times)] = &[("allow", Many), ("warn", Many), ("deny", Many)];

/// What a project file says; paths are absolute or start at the folder of the file.
#[derive(Default, Debug)]
struct Project {
    host: Option<PathBuf>,
    caps: Option<PathBuf>,
    target: Option<Target>,
    connect: Option<String>,
    output: Option<PathBuf>,
    strict: bool,
    allow: Vec<String>,
    warn: Vec<String>,
    deny: Vec<String>,
}

/// The options with what the project file of an input says where the command line says nothing. `target`: whether the
/// command line names one.
pub fn complete(mut shared: Shared, input: Option<&Path>, target: bool) -> Result<Shared, Exit> {
    if shared.no_config {
        return Ok(shared);
    }
    let Some(file) = input.and_then(find) else { return Ok(shared) };
    let project = load(&file, &shared)?;
    project.judge(&file, &shared)?;
    if shared.verbose > 0 {
        complain(&format!("project file: {}", file.display()));
    }
    shared.facts_of_project = shared.host.is_none() && project.host.is_some();
    shared.host = shared.host.or(project.host);
    shared.caps = shared.caps.or(project.caps);
    shared.connect = shared.connect.or(project.connect);
    shared.output = project.output;
    shared.strict |= project.strict;
    // What is named on the command line, too, has the gravest of its levels.
    shared.allow.extend(project.allow);
    shared.warn.extend(project.warn);
    shared.deny.extend(project.deny);
    if let Some(named) = project.target.filter(|_| !target) {
        shared.target = named;
    }
    Ok(shared)
}

impl Project {
    /// A project file comes with the domains, from whoever wrote them, and is read where somebody only looks at them. So it has
    /// no program run, no file of others shown, and nothing written outside the project. What the command line says does not count.
    fn judge(&self, file: &Path, shared: &Shared) -> Result<(), Exit> {
        let base = file.parent().unwrap_or(Path::new("/"));
        let mut faults = Vec::new();
        if let Some(caps) = self.caps.as_ref().filter(|_| shared.caps.is_none()) {
            let of_package = caps.to_str().is_some_and(|path| refused_emulator(path, &Host::default()).is_none());
            if is_program(caps) && !of_package {
                faults.push((
                    "caps",
                    caps,
                    "it is a program, and a project file has none run but those below /usr",
                    "--caps",
                ));
            } else if !is_text_of(base, caps, &["kdl", "xml"]) {
                faults.push(("caps", caps, "it is neither in the project nor a .kdl or .xml file", "--caps"));
            }
        }
        if let Some(host) = self.host.as_ref().filter(|_| shared.host.is_none())
            && !is_text_of(base, host, &["kdl"])
        {
            faults.push(("host", host, "it is neither in the project nor a .kdl file", "--host"));
        }
        if let Some(output) = self.output.as_ref()
            && !is_inside(base, output)
            && !is_beside(base, output)
        {
            faults.push(("output", output, "it is neither in the project nor beside it", "-o"));
        }
        let mut diags = Diagnostics::new();
        for (node, path, why, option) in &faults {
            let message = format!("{node}: '{}' is not taken from a project file: {why}", path.display());
            diags
                .error(&qemu::PROJECT_REACH, Span::NONE, message)
                .help(format!("say it on the command line, where it is you who says it: {option}"));
        }
        report(&diags, &Source { name: file.display().to_string(), bytes: Vec::new() }, shared);
        if faults.is_empty() { Ok(()) } else { Err(Exit::Input) }
    }
}

/// Where a path leads, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
    match there {
        Some((part, real)) => real.join(path.strip_prefix(part).unwrap_or(Path::new(""))),
        None => path.to_path_buf(),
    }
}

/// Whether a path lies in a folder, also when links are followed.
fn is_inside(folder: &Path, path: &Path) -> bool {
    let path = real(path);
    // The part that is not there yet has no links, and may have `..`.
    path.starts_with(real(folder)) && !path.components().any(|part| part == Component::ParentDir)
}

/// Whether a path lies in a folder beside another, as `../out` does; no hidden one, and nothing of the root folder's.
fn is_beside(folder: &Path, path: &Path) -> bool {
    let above = folder.parent().filter(|above| above.parent().is_some()).map(real);
    let path = real(path);
    let inner = above.as_ref().and_then(|above| path.strip_prefix(above).ok());
    let plain =
        |part: Component<'_>| matches!(part, Component::Normal(name) if !name.as_encoded_bytes().starts_with(b"."));
    inner.is_some_and(|inner| inner.components().all(plain) && inner.components().count() > 0)
}

/// Whether a file may be shown in messages: one of the project, or one that is such a text by its name.
fn is_text_of(base: &Path, path: &Path, ends: &[&str]) -> bool {
    // Words such as `here` and names of profiles are no files.
    let named = path.components().count() == 1 && path.is_relative();
    let end = real(path).extension().and_then(|end| end.to_str()).map(str::to_string);
    named || is_inside(base, path) || end.is_some_and(|end| ends.contains(&end.as_str()))
}

/// The project file nearest to an input; for standard input, to the working directory.
fn find(input: &Path) -> Option<PathBuf> {
    let start = if input.as_os_str() == "-" { PathBuf::from(".") } else { input.to_path_buf() };
    let start = std::path::absolute(start).ok()?;
    // A folder may hold the file itself.
    start.ancestors().map(|folder| folder.join(NAME)).find(|file| file.is_file())
}

/// Reads a project file. Faults are told to the user.
fn load(file: &Path, shared: &Shared) -> Result<Project, Exit> {
    let source: Source = super::inputs::read(file)?;
    let text = String::from_utf8_lossy(&source.bytes);
    let mut diags = Diagnostics::new();
    let project = read(&text, file.parent().unwrap_or(Path::new("/")), &mut diags);
    report(&diags, &source, shared);
    if diags.has_errors() { Err(Exit::Input) } else { Ok(project) }
}

fn read(text: &str, base: &Path, diags: &mut Diagnostics) -> Project {
    let mut project = Project::default();
    let Some(document) = kdl::parse(text, &qemu::PROJECT, diags) else { return project };
    let mut reader = Reader::new(diags);
    for node in reader.known(document.nodes(), "in the project file", TOP) {
        let mut word: Option<String> = None;
        match node.name().value() {
            "strict" => reader.value(node, &mut project.strict),
            "lints" => lints(&mut reader, node, &mut project),
            name => {
                reader.option(node, &mut word);
                let Some(word) = word else { continue };
                let path = || base.join(&word);
                match name {
                    "host" if HostName::of(Path::new(&word)).is_some() => project.host = Some(word.into()),
                    "host" => project.host = Some(path()),
                    "caps" if word == HERE || Choice::profile(&word).is_some() => project.caps = Some(word.into()),
                    "caps" => project.caps = Some(path()),
                    "connect" => project.connect = Some(word),
                    "output" => project.output = Some(path()),
                    _ => match word.parse() {
                        Ok(target) => project.target = Some(target),
                        Err(_) => reader.bad_value(name_span(node), "target", "standalone, libvirt or libvirt@VERSION"),
                    },
                }
            }
        }
    }
    project
}

/// `lints { allow "no-console"; deny "data" "VC1603"; }`: codes, their names, and groups.
fn lints(reader: &mut Reader<'_>, node: &::kdl::KdlNode, project: &mut Project) {
    for rule in reader.block(node, LINTS) {
        let mut names: Vec<String> = Vec::new();
        reader.list(rule, &mut names);
        let (level, into) = match rule.name().value() {
            "allow" => (Level::Allow, &mut project.allow),
            "warn" => (Level::Warn, &mut project.warn),
            _ => (Level::Deny, &mut project.deny),
        };
        for name in names {
            match Levels::default().set(&name, level) {
                Ok(()) => into.push(name),
                Err(_) => {
                    reader.bad_value(name_span(rule), &format!("'{name}'"), "a code such as \"VC1603\", or a group")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_described_as_it_reads() {
        good(&NODES.iter().map(|node| format!("{}\n", node.example)).collect::<String>());
        assert!(TOP.iter().all(|(name, _)| NODES.iter().any(|node| node.name == *name)));
    }

    fn good(text: &str) -> Project {
        let mut diags = Diagnostics::new();
        let project = read(text, Path::new("/srv/vms"), &mut diags);
        assert!(diags.is_empty(), "{diags:?}");
        project
    }

    fn faults(text: &str) -> Vec<String> {
        let mut diags = Diagnostics::new();
        read(text, Path::new("/srv/vms"), &mut diags);
        diags.iter().map(|d| d.message.clone()).collect()
    }

    #[test]
    fn paths_start_at_the_file() {
        let project =
            good("host \"../host.kdl\"\ncaps \"caps.xml\"\noutput \"/out\"\ntarget \"libvirt@11.3\"\nstrict #true");
        assert_eq!(project.host.as_deref(), Some(Path::new("/srv/vms/../host.kdl")));
        assert_eq!(project.caps.as_deref(), Some(Path::new("/srv/vms/caps.xml")));
        assert_eq!(project.output.as_deref(), Some(Path::new("/out")));
        assert!(project.strict && project.target.is_some_and(|t| !t.is_standalone()));
        let lints = good("lints { allow \"VC1341\"; deny \"data\" \"VC1603\"; }");
        assert_eq!((lints.allow.len(), lints.deny), (1, vec!["data".to_string(), "VC1603".to_string()]));
        assert_eq!(good("host \"here\"").host, Some(PathBuf::from("here")));
        for name in ["here", "qemu-10.0", "qemu-11.1.aarch64"] {
            assert_eq!(good(&format!("caps \"{name}\"")).caps, Some(PathBuf::from(name)));
        }
    }

    #[test]
    fn what_is_not_known_is_a_fault() {
        assert!(faults("hots \"a\"")[0].contains("unknown node 'hots' in the project file"));
        assert!(faults("lints { deny \"VC9999\" }")[0].contains("'VC9999'"));
        assert!(faults("target \"xen\"")[0].contains("target: expected"));
        assert!(!faults("caps 5").is_empty() && !faults("caps \"a\"\ncaps \"b\"").is_empty());
        assert!(!faults("{").is_empty());
    }
}
