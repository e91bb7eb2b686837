//! Reading what a compilation depends on: the domain, host facts, capabilities.

use super::{Exit, Shared, complain};
use crate::caps::{Capabilities, Choice, Chosen, Wanted, profiles};
use crate::compile::{Compiled, Until, compile_locked};
use crate::diag::codes::lock as lock_codes;
use crate::diag::render::{Report, render_all};
use crate::diag::{Diagnostics, Level, Levels, Span};
use crate::fleet::inventory::STDIN;
use crate::host::{DescriptorFile, Distribution, Host, HostFiles, InstanceMode, files_needed, in_order};
use crate::lock::{self, Lock};
use crate::probe::emulators::{Emulators, capabilities_of};
use crate::stage::Options;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{IsTerminal, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The word that stands for this very host.
pub const HERE: &str = "here";

/// How capabilities are found.
pub enum Caps {
    /// In the same way on any host.
    Choice(Choice),
    /// By asking the emulators of this host.
    Here(Emulators),
}

impl Caps {
    /// What `--caps` says; the files that were read are added to the list.
    pub fn load(given: Option<&Path>, shared: &Shared, files: &mut Vec<PathBuf>) -> Result<Caps, Exit> {
        let Some(path) = given else { return Ok(Caps::Choice(Choice::Fitting)) };
        if path.as_os_str() == HERE {
            return Ok(Caps::Here(Emulators::new(!shared.facts_of_project)));
        }
        if let Some(profile) = path.to_str().and_then(Choice::profile) {
            return Ok(Caps::Choice(profile));
        }
        files.push(path.to_path_buf());
        let caps = if is_program(path) {
            capabilities_of(path).map_err(|why| {
                complain(&why);
                Exit::Environment
            })?
        } else {
            read_caps(path, shared)?
        };
        Ok(Caps::Choice(Choice::given(caps, path.display().to_string())))
    }

    /// What holds for a domain.
    pub fn for_domain(&self, wanted: &Wanted<'_>, host: &Host) -> Chosen<'_> {
        match self {
            Caps::Choice(choice) => choice.for_domain(wanted),
            Caps::Here(emulators) => emulators.for_domain(wanted, host),
        }
    }

    /// For a person: how they are found.
    fn describe(&self) -> String {
        match self {
            Caps::Choice(choice) => choice.describe(),
            Caps::Here(_) => "what the emulator of this host says".to_string(),
        }
    }
}

/// Whether the file is a program rather than a text about one: machine code, or a script.
pub fn is_program(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut start));
    read.is_ok_and(|n| start[..n].starts_with(b"\x7fELF") || start[..n].starts_with(b"#!"))
}

/// Everything besides the domain.
pub struct World<'a> {
    /// Host facts.
    pub host: Host,
    /// What QEMU can do.
    pub caps: Caps,
    /// What the user asked for.
    pub options: Options,
    /// The shared options.
    pub shared: &'a Shared,
    /// Files that were read, for dependency files.
    pub read: Vec<PathBuf>,
    /// Whether the machine that compiles is the one that the domains will run on, so that its files count.
    pub here: bool,
}

/// Host facts that are not in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HostName {
    /// This host is asked.
    Here,
    /// What a distribution ships; what else a domain needs is assumed.
    Of(Distribution),
}

impl HostName {
    /// The name that `--host` gives; none for a file, which `./` tells from a name.
    pub(super) fn of(path: &Path) -> Option<HostName> {
        match path.to_str()? {
            "here" => Some(HostName::Here),
            name => Distribution::parse(name).map(HostName::Of),
        }
    }
}

/// A file with its text.
pub struct Source {
    /// As the user named it.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// As much of a file as says that it is too long: no input may have more than a document of 16 MiB.
const MOST: u64 = crate::xml::MAX_SIZE as u64 + 1;

/// Reads a file; `-` is standard input. A fault is told to the user.
pub fn read(path: &Path) -> Result<Source, Exit> {
    attempt(path).map_err(|why| {
        complain(&why);
        Exit::Environment
    })
}

/// Where a link leads, if its name promises another kind of file: messages would show a file that nobody meant, in the log of
/// whoever checks what a stranger made.
fn disguised(path: &Path) -> Option<PathBuf> {
    let promised = path.extension()?;
    let link = path.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
    let real = link.then(|| path.canonicalize().ok()).flatten()?;
    (!real.extension().is_some_and(|end| end.eq_ignore_ascii_case(promised))).then_some(real)
}

/// Reads a file; `-` is standard input. Otherwise why not, for a person.
pub fn attempt(path: &Path) -> Result<Source, String> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        return match std::io::stdin().lock().take(MOST).read_to_end(&mut bytes) {
            Ok(_) => Ok(Source { name: STDIN.to_string(), bytes }),
            Err(e) => Err(format!("cannot read standard input: {e}")),
        };
    }
    if let Some(real) = disguised(path) {
        let (link, real) = (path.display(), real.display());
        return Err(format!(
            "cannot read {link}: it is a link to '{real}', which is no such file by its name; name that one"
        ));
    }
    match contents(path) {
        Ok(mut bytes) => {
            // Spans count from behind a byte order mark.
            if bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            Ok(Source { name: path.display().to_string(), bytes })
        }
        Err(e) => {
            let what = match e.kind() {
                std::io::ErrorKind::NotFound => "No such file or directory".to_string(),
                std::io::ErrorKind::IsADirectory => match std::fs::read_dir(path) {
                    Ok(_) => "a folder without *.xml files".to_string(),
                    Err(e) => e.to_string(),
                },
                _ => e.to_string(),
            };
            Err(format!("cannot read '{}': {what}", path.display()))
        }
    }
}

/// How serious lints are taken, by the options. A code that is named twice has the gravest of its levels.
fn levels(shared: &Shared) -> Result<Levels, Exit> {
    let mut levels = Levels::default();
    let options = [
        ("--allow", &shared.allow, Level::Allow),
        ("--warn", &shared.warn, Level::Warn),
        ("--deny", &shared.deny, Level::Deny),
    ];
    for (option, names, level) in options {
        for name in names {
            levels.set(name, level).map_err(|fault| {
                complain(&format!("{option}: {fault}"));
                Exit::Usage
            })?;
        }
    }
    Ok(levels)
}

/// How long a pipe may give nothing.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// The text of a file that lies beside an input, or that one names: a lock, what is stored, a configuration. A stranger may have
/// made a link or a pipe of it.
pub fn text_of(path: &Path) -> std::io::Result<String> {
    String::from_utf8(contents(path)?).map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e))
}

/// The contents of a file, or of a pipe that somebody writes to (`<(…)` of a shell). A device, a pipe without a writer and a file
/// without end are errors: a link of a stranger may lead there.
fn contents(path: &Path) -> std::io::Result<Vec<u8>> {
    let refuse = |why: &str| Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, why));
    // Not to wait for the writer of a pipe; a plain file does not mind.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    let given = ["/dev/stdin", "/dev/fd", "/proc/self/fd"].iter().any(|start| path.starts_with(start));
    if (kind.is_char_device() && !given) || kind.is_block_device() || kind.is_socket() {
        return refuse("it is a device, not a file");
    }
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        match file.read(&mut chunk) {
            Ok(0) if kind.is_fifo() && bytes.is_empty() => return refuse("it is a pipe to which nobody writes"),
            Ok(0) => return Ok(bytes),
            Ok(read) => bytes.extend(chunk.iter().take(read)),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                let ready = poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&PATIENCE));
                if !kind.is_char_device() && matches!(ready, Ok(0)) {
                    return refuse("it is a pipe that gives nothing");
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        // Whoever reads the text tells that it is too long.
        if bytes.len() as u64 >= MOST {
            return Ok(bytes);
        }
    }
}

impl<'a> World<'a> {
    /// Reads host facts and capabilities. Faults are told to the user.
    pub fn load(shared: &'a Shared) -> Result<World<'a>, Exit> {
        let mut files = Vec::new();
        let mut host = match &shared.host {
            Some(path) => {
                if HostName::of(path).is_none() {
                    files.push(path.clone());
                }
                read_host(path, shared)?
            }
            None => Host::open(),
        };
        for pair in &shared.env {
            let Some((key, value)) = pair.split_once('=') else {
                complain(&format!("--env {pair}: expected KEY=VALUE"));
                return Err(Exit::Usage);
            };
            match host.environment.iter_mut().find(|(k, _)| k == key) {
                Some(slot) => slot.1 = value.to_string(),
                None => host.environment.push((key.to_string(), value.to_string())),
            }
        }
        match shared.connect.as_deref() {
            None => {}
            Some("qemu:///system" | "qemu+unix:///system") => host.instance.mode = InstanceMode::System,
            Some("qemu:///session" | "qemu+unix:///session") => host.instance.mode = InstanceMode::Session,
            Some(other) => {
                complain(&format!("--connect {other}: expected qemu:///system or qemu:///session"));
                return Err(Exit::Usage);
            }
        }
        let caps = Caps::load(shared.caps.as_deref(), shared, &mut files)?;
        let options = Options {
            target: shared.target,
            wiring: shared.wiring,
            define: shared.define,
            incoming: shared.incoming.clone(),
            levels: levels(shared)?,
            locked: shared.locked,
            fresh_lock: false,
        };
        let here = shared.probe_backing || shared.host.as_deref().and_then(HostName::of) == Some(HostName::Here);
        Ok(World { host, caps, options, shared, read: files, here })
    }

    /// Which capabilities are in use, for `-v`.
    pub fn describe(&self) -> String {
        format!("capabilities: {}", self.caps.describe())
    }

    /// Compiles a file, with the lock beside it.
    pub fn compile_source(&self, source: &Source, until: Until) -> Compiled {
        let mut faults = Diagnostics::new();
        let lock = if self.shared.unlocked { None } else { lock_of(source, self.options.locked, &mut faults) };
        self.with_faults(source, until, lock, faults)
    }

    /// Compiles a file, with this text as the lock beside it.
    pub fn compile_beside(&self, source: &Source, lock: Option<&str>, until: Until) -> Compiled {
        let mut faults = Diagnostics::new();
        let lock = lock.filter(|_| !self.shared.unlocked);
        let name = format!("{}.lock", source.name.trim_end_matches(".xml"));
        let lock = lock.and_then(|text| read_lock(&name, text, &mut faults));
        self.with_faults(source, until, lock, faults)
    }

    fn with_faults(&self, source: &Source, until: Until, lock: Option<Lock>, faults: Diagnostics) -> Compiled {
        let mut compiled = self.compile_with(&source.bytes, until, lock.as_ref());
        if !faults.is_empty() {
            compiled.diags.extend(faults);
            (compiled.plan, compiled.locking.fresh) = (None, None);
        }
        compiled
    }

    /// Compiles a text that is no file; with `--probe-backing` once more, with what this host says about its paths.
    pub fn compile_text(&self, text: &[u8], until: Until) -> Compiled {
        self.compile_with(text, until, None)
    }

    /// Compiles a text with a lock.
    pub fn compile_with(&self, text: &[u8], until: Until, lock: Option<&Lock>) -> Compiled {
        let choose = |wanted: &Wanted<'_>| self.caps.for_domain(wanted, &self.host);
        let mut compiled = compile_locked(text, &self.host, &choose, &self.options, until, lock);
        if let Some(plan) = compiled.plan.as_ref().filter(|_| self.shared.probe_backing) {
            let mut host = self.host.clone();
            crate::probe::images::look(plan, &mut host);
            compiled = compile_locked(text, &host, &choose, &self.options, until, lock);
        }
        if let Some(plan) = compiled.plan.as_ref().filter(|_| self.shared.verbose > 0) {
            complain(&format!("'{}' is compiled for {}", plan.name, plan.qemu));
        }
        if let Some(plan) = compiled.plan.as_ref().filter(|_| self.here) {
            super::links::check(plan, &self.host, &mut compiled.diags);
        }
        compiled
    }

    /// Compiles one file and reports its diagnostics. The exit status is that of the input.
    pub fn compile(&self, source: &Source, until: Until) -> (Compiled, Exit) {
        let mut compiled = self.compile_source(source, until);
        if self.shared.strict {
            compiled.diags.make_strict();
        }
        report(&compiled.diags, source, self.shared);
        let exit = if compiled.diags.has_errors() { Exit::Input } else { Exit::Done };
        (compiled, exit)
    }
}

/// The file of the lock of a domain: beside the XML, with the ending `.lock`. Standard input has none.
pub fn lock_file(source: &Source) -> Option<PathBuf> {
    let path = Path::new(&source.name);
    (source.name != STDIN && path.extension().is_some_and(|e| e == "xml")).then(|| path.with_extension("lock"))
}

/// The lock beside a file, if there is one; with `locked` there has to be.
fn lock_of(source: &Source, locked: bool, faults: &mut Diagnostics) -> Option<Lock> {
    let file = lock_file(source);
    let start = Span::new(0, 0);
    let text = match file.as_ref().map(|file| text_of(file)) {
        Some(Ok(text)) => text,
        Some(Err(fault)) if fault.kind() != std::io::ErrorKind::NotFound => {
            let name = file.unwrap_or_default();
            faults.error(&lock_codes::SYNTAX, start, format!("the lock {} cannot be read: {fault}", name.display()));
            return None;
        }
        _ => {
            if locked {
                faults
                    .error(&lock_codes::ABSENT, start, "--locked was given, and there is no lock beside the file")
                    .help("make one with `virtc lock FILE`, and keep it in git");
            }
            return None;
        }
    };
    read_lock(&file.unwrap_or_default().display().to_string(), &text, faults)
}

/// Reads a lock. What is wrong with it is told at the start of the domain, which cannot be compiled without it.
fn read_lock(name: &str, text: &str, faults: &mut Diagnostics) -> Option<Lock> {
    let start = Span::new(0, 0);
    let mut found = Diagnostics::new();
    let lock = lock::read(text, &mut found);
    for fault in found.iter() {
        let line = text.get(..fault.span.start as usize).map_or(1, |before| before.matches('\n').count() + 1);
        let told = faults.error(fault.code, start, format!("{name}, line {line}: {}", fault.message));
        if let Some(help) = &fault.help {
            told.help(help.clone());
        }
    }
    lock
}

/// Prints diagnostics on standard error.
pub fn report(diags: &Diagnostics, source: &Source, shared: &Shared) {
    if !diags.is_empty() {
        report_refs(&[(source, diags)], shared, &mut std::io::stderr().lock());
    }
}

/// Prints the diagnostics of many files on standard error; SARIF becomes one log.
pub fn report_beside(reports: &[(Source, Diagnostics)], shared: &Shared) {
    let reports: Vec<(&Source, &Diagnostics)> = reports.iter().map(|(s, d)| (s, d)).collect();
    report_refs(&reports, shared, &mut std::io::stderr().lock());
}

/// Prints the diagnostics of many files, which are all that a command has to say; SARIF becomes one log. People read them on
/// standard error, programs on standard output.
pub fn report_all(reports: &[(Source, Diagnostics)], shared: &Shared) {
    let reports: Vec<(&Source, &Diagnostics)> = reports.iter().map(|(s, d)| (s, d)).collect();
    match shared.message_format {
        super::MessageFormatName::Human => report_refs(&reports, shared, &mut std::io::stderr().lock()),
        _ => report_refs(&reports, shared, &mut std::io::stdout().lock()),
    }
}

fn report_refs(reports: &[(&Source, &Diagnostics)], shared: &Shared, out: &mut dyn std::io::Write) {
    // Of a file that fails, a person who asked for quiet sees what it fails by.
    let errors: Vec<(&Source, Diagnostics)> = match shared.quiet {
        true => reports.iter().map(|(s, d)| (*s, super::check::failures(d, shared.target))).collect(),
        false => Vec::new(),
    };
    let quiet: Vec<(&Source, &Diagnostics)> = errors.iter().map(|(s, d)| (*s, d)).collect();
    let reports = if shared.quiet { &quiet[..] } else { reports };
    let shown: Vec<_> = reports.iter().filter(|(_, d)| !shared.quiet || !d.is_empty()).collect();
    // A SARIF log without results says that all is well.
    if shown.is_empty() && shared.message_format != super::MessageFormatName::Sarif {
        return;
    }
    let texts: Vec<_> = shown.iter().map(|(s, _)| String::from_utf8_lossy(&s.bytes)).collect();
    let reports: Vec<Report<'_>> =
        shown.iter().zip(&texts).map(|((source, diags), text)| Report { diags, name: &source.name, text }).collect();
    let mut out = std::io::BufWriter::new(out);
    let _ =
        render_all(&reports, shared.message_format.into(), use_color(shared), super::paper::message_width(), &mut out);
    let _ = std::io::Write::flush(&mut out);
}

/// Whether messages are coloured.
pub fn use_color(shared: &Shared) -> bool {
    match shared.color {
        super::Color::Always => true,
        super::Color::Never => false,
        super::Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    }
}

/// The facts of this host.
pub fn this_host() -> Host {
    let root = Path::new("/");
    let (mut host, _) = crate::probe::host::probe(&crate::probe::host::Source::new(root));
    load_descriptors(&mut host, root);
    host
}

/// Reads host facts with the descriptors that they name: of a file, or by name. Faults are told to the user.
pub fn read_host(path: &Path, shared: &Shared) -> Result<Host, Exit> {
    match HostName::of(path) {
        Some(HostName::Here) => return Ok(this_host()),
        Some(HostName::Of(distribution)) => {
            let mut host = distribution.host();
            host.files.firmware = distribution.descriptors();
            return Ok(host);
        }
        None => {}
    }
    let source = read(path).inspect_err(|_| {
        let names: Vec<&str> = Distribution::ALL.iter().map(|d| d.as_str()).collect();
        complain(&format!("besides files, --host takes: here, {}", names.join(", ")));
    })?;
    let mut diags = Diagnostics::new();
    let text = String::from_utf8_lossy(&source.bytes);
    let mut host = crate::host::read(&text, &mut diags);
    report(&diags, &source, shared);
    if diags.has_errors() {
        return Err(Exit::Input);
    }
    let root = path.parent().unwrap_or(Path::new(".")).join(&host.root);
    load_descriptors(&mut host, &root);
    Ok(host)
}

/// Reads the descriptors that the facts name, below the directory that stands for `/`.
pub fn load_descriptors(host: &mut Host, root: &Path) {
    let needed = files_needed(host);
    let shipped = host.firmware.shipped_by.map_or_else(Vec::new, Distribution::descriptors);
    host.files = HostFiles {
        firmware: descriptors(root, &needed.firmware, shipped),
        vhost_user: descriptors(root, &needed.vhost_user, Vec::new()),
    };
}

/// The descriptor files of some directories, in the order in which they count, with those that are known without a file
/// below them. A directory that is not there holds none.
fn descriptors(root: &Path, directories: &[String], known: Vec<DescriptorFile>) -> Vec<DescriptorFile> {
    let read = |directory: &String| -> Vec<DescriptorFile> {
        let Ok(entries) = std::fs::read_dir(root.join(directory.trim_start_matches('/'))) else { return Vec::new() };
        let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
        names
            .filter(|n| n.ends_with(".json") && !n.starts_with('.'))
            .filter_map(|n| {
                let text = std::fs::read_to_string(root.join(directory.trim_start_matches('/')).join(&n)).ok()?;
                Some(DescriptorFile { path: format!("{directory}/{n}"), text })
            })
            .collect()
    };
    in_order(std::iter::once(known).chain(directories.iter().map(read)).collect())
}

/// Reads capabilities. Faults are told to the user.
pub fn read_caps(path: &Path, shared: &Shared) -> Result<Capabilities, Exit> {
    let source = read(path).inspect_err(|_| {
        if path.to_str().is_some_and(|name| name.starts_with("qemu-")) {
            let names: Vec<String> = profiles::names().collect();
            complain(&format!("the embedded profiles are: {}", names.join(", ")));
        }
    })?;
    let mut diags = Diagnostics::new();
    let caps = crate::caps::read(&source.bytes, &mut diags);
    report(&diags, &source, shared);
    caps.filter(|_| !diags.has_errors()).ok_or(Exit::Input)
}
