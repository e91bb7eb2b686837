//! What `virtc diff` compares: files, folders, built trees, and files as git has them.

use super::check::expand;
use super::inputs::{Source, World, lock_file, read, text_of};
use super::{Exit, complain};
use crate::compile::Until;
use crate::diag::codes::general::DERIVED;
use crate::diag::{Diagnostics, Severity};
use crate::import;
use crate::plan::Plan;
use crate::run::registry;
use crate::run::remote::{self, Remote};
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A machine as one side has it, not compiled yet.
pub struct Member {
    /// The file, by its name below the folder that was named.
    pub key: String,
    /// Its text: a domain or a Plan.
    pub source: Source,
    /// The lock beside it.
    pub lock: Option<String>,
}

impl Member {
    fn of(file: &Path, base: &Path) -> Result<Member, Exit> {
        let source = read(file)?;
        let lock = lock_file(&source).and_then(|lock| text_of(&lock).ok());
        let key = file.strip_prefix(base).unwrap_or(file).display().to_string();
        Ok(Member { key, source, lock })
    }

    /// Whether both say the same, so that nothing has to be compiled.
    pub fn same(&self, other: &Member) -> bool {
        self.source.bytes == other.source.bytes && self.lock == other.lock
    }
}

/// A machine as one side has it.
pub struct Compared {
    /// Its Plan.
    pub plan: Plan,
    /// The file that it is from.
    pub file: String,
    /// The XML of the domain; none where there is only a Plan.
    pub text: Option<String>,
    /// Values that nobody gave: a UUID, MAC addresses that follow from the name.
    pub derived: String,
}

/// One of the two things that are compared.
pub enum Side {
    /// A file or a folder.
    Path(PathBuf),
    /// A path as a revision of git has it.
    Revision { revision: String, path: PathBuf },
    /// What is installed on a host that ssh reaches.
    Host { remote: Remote, uri: String },
}

impl Side {
    /// What a word of the command line names: what lies there, the QEMU whose monitor it is, `REVISION:PATH`, or a revision of the path that the other
    /// side names.
    pub fn of(word: &Path, other: Option<&Path>) -> Result<Side, String> {
        if is_socket(word) {
            // A monitor does not tell the command line; the process that listens has it.
            let qemu = registry::qemu_at(word).ok_or_else(|| format!("no QEMU listens at '{}'", word.display()))?;
            return Ok(Side::Path(PathBuf::from(format!("/proc/{}/cmdline", qemu.pid))));
        }
        if word.as_os_str() == "-" || word.exists() {
            return Ok(Side::Path(word.to_path_buf()));
        }
        let text = word.to_str().unwrap_or("");
        if let Some((revision, path)) = text.split_once(':').filter(|(r, p)| !r.is_empty() && !p.is_empty()) {
            return Ok(Side::Revision { revision: revision.to_string(), path: PathBuf::from(path) });
        }
        match other {
            Some(path) if is_revision(text, path) => {
                Ok(Side::Revision { revision: text.to_string(), path: path.to_path_buf() })
            }
            _ => Err(format!("'{text}' is neither a file, a folder nor a revision of git")),
        }
    }

    /// What is installed on the host that a URI names.
    pub fn of_host(uri: &str) -> Result<Side, String> {
        let connection = remote::parse(uri).map_err(|fault| fault.message)?;
        Ok(match connection.host {
            Some(remote) => Side::Host { remote, uri: uri.to_string() },
            None => Side::Path(PathBuf::from("/")),
        })
    }

    /// For headings.
    pub fn name(&self) -> String {
        match self {
            Side::Path(path) => path.display().to_string(),
            Side::Revision { revision, path } => format!("{revision}:{}", path.display()),
            Side::Host { uri, .. } => uri.clone(),
        }
    }

    /// Whether it is one machine, so that names do not matter.
    pub fn is_one(&self) -> bool {
        let path = match self {
            Side::Path(path) | Side::Revision { path, .. } => path,
            Side::Host { .. } => return false,
        };
        !path.is_dir() && (path.extension().is_some_and(|e| e == "xml" || e == "json") || path.as_os_str() == "-")
            || matches!(self, Side::Path(path) if path.is_file())
    }

    /// The path, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Side::Path(path) => Some(path),
            Side::Revision { .. } | Side::Host { .. } => None,
        }
    }

    /// The machines.
    pub fn members(&self) -> Result<Vec<Member>, Exit> {
        match self {
            Side::Path(path) if path.join(PLANS).is_dir() => tree(path),
            Side::Path(path) if path == Path::new("/") => Ok(Vec::new()),
            Side::Path(path) if path.is_dir() && expand(path).iter().all(|file| file == path) => without(path),
            Side::Path(path) => expand(path).iter().map(|file| Member::of(file, path)).collect(),
            Side::Revision { revision, path } => of_revision(revision, path),
            Side::Host { remote, uri } => installed(remote, uri),
        }
    }
}

/// Whether a path is that of a socket, such as a monitor.
fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
}

/// Where a built tree keeps the Plans.
const PLANS: &str = "usr/share/virtc";

/// A folder in which no domain is; a fault if nobody can tell.
fn without(folder: &Path) -> Result<Vec<Member>, Exit> {
    match std::fs::read_dir(folder) {
        Ok(_) => Ok(Vec::new()),
        Err(fault) => {
            complain(&format!("cannot read '{}': {fault}", folder.display()));
            Err(Exit::Environment)
        }
    }
}

/// The Plans of a built tree.
fn tree(root: &Path) -> Result<Vec<Member>, Exit> {
    let entries = std::fs::read_dir(root.join(PLANS)).map_err(|fault| {
        complain(&format!("cannot read '{}': {fault}", root.join(PLANS).display()));
        Exit::Environment
    })?;
    let mut plans: Vec<PathBuf> =
        entries.flatten().map(|e| e.path().join("plan.json")).filter(|plan| plan.is_file()).collect();
    plans.sort();
    plans.iter().map(|plan| Member::of(plan, &root.join(PLANS))).collect()
}

/// Prints each Plan that is installed, with its size and its path before it.
const INSTALLED: &str = "for f in /usr/share/virtc/*/plan.json; do [ -r \"$f\" ] && wc -c <\"$f\" && printf '%s\\n' \"$f\" && cat \"$f\"; done; true";

/// The Plans that are installed on another host.
fn installed(remote: &Remote, uri: &str) -> Result<Vec<Member>, Exit> {
    let failed = |why: &str| {
        complain(&format!("cannot read what is installed on {uri}: {}", why.trim()));
        Exit::Environment
    };
    let out = remote.ssh().arg(INSTALLED).output().map_err(|fault| failed(&fault.to_string()))?;
    if !out.status.success() {
        return Err(failed(&String::from_utf8_lossy(&out.stderr)));
    }
    let (mut rest, mut members) = (out.stdout.as_slice(), Vec::new());
    while !rest.is_empty() {
        let (size, path, text) = framed(&mut rest).ok_or_else(|| failed("what it says is not what was asked"))?;
        let key = path.trim_start_matches("/usr/share/virtc/").to_string();
        let bytes = text.get(..size).unwrap_or_default().to_vec();
        members.push(Member { key, source: Source { name: format!("{uri}{path}"), bytes }, lock: None });
    }
    Ok(members)
}

/// Takes a line with a size, a line with a path, and so many bytes.
fn framed<'b>(rest: &mut &'b [u8]) -> Option<(usize, String, &'b [u8])> {
    let mut line = || {
        let end = rest.iter().position(|b| *b == b'\n')?;
        let (line, tail) = rest.split_at(end);
        *rest = tail.get(1..)?;
        Some(String::from_utf8_lossy(line).trim().to_string())
    };
    let size: usize = line()?.parse().ok()?;
    let path = line()?;
    let text = rest.get(..size)?;
    *rest = rest.get(size..)?;
    Some((size, path, text))
}

/// The folder in which git is asked about a path, and the path from there.
fn place(path: &Path) -> (PathBuf, String) {
    match path.is_dir() || path.as_os_str().is_empty() {
        true => (path.to_path_buf(), ".".to_string()),
        false => {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (parent.to_path_buf(), format!("./{name}"))
        }
    }
}

fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    // The folder may be gone from the working tree; then git is asked where we are.
    command.arg("-C").arg(if folder.is_dir() { folder } else { Path::new(".") }).arg("--no-pager");
    command
}

fn is_revision(word: &str, path: &Path) -> bool {
    if word.is_empty() || word.starts_with('-') {
        return false;
    }
    let commit = format!("{word}^{{commit}}");
    let asked = git(&place(path).0).args(["rev-parse", "--verify", "--quiet", &commit]).output();
    asked.is_ok_and(|out| out.status.success())
}

/// Whether a file is of a tree that virtc has built: no domain of the user's.
fn is_output(name: &str) -> bool {
    name.starts_with(&format!("{PLANS}/")) || name.contains(&format!("/{PLANS}/"))
}

/// The files of a path as a revision has them: two calls of git, however many files there are.
fn of_revision(revision: &str, path: &Path) -> Result<Vec<Member>, Exit> {
    let failed = |what: &str| {
        complain(&format!("git cannot show '{}' of '{revision}': {}", path.display(), what.trim()));
        Exit::Environment
    };
    if revision.starts_with('-') {
        return Err(failed("that is no revision"));
    }
    let (folder, inside) = place(path);
    let listed = git(&folder)
        .args(["ls-tree", "-r", "-z", "--name-only", revision, "--", if inside == "." { "./" } else { &inside }])
        .output()
        .map_err(|fault| failed(&fault.to_string()))?;
    if !listed.status.success() {
        return Err(failed(&String::from_utf8_lossy(&listed.stderr)));
    }
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names: Vec<&str> = listed.split('\0').filter(|n| n.ends_with(".xml") && !is_output(n)).collect();
    // Of a folder: none was there yet, or none is any more.
    if names.is_empty() && inside != "." {
        return Err(failed("it has no *.xml there"));
    }
    let lock = |name: &str| format!("{}.lock", name.trim_end_matches(".xml"));
    let wanted: Vec<String> = names.iter().flat_map(|n| [(*n).to_string(), lock(n)]).collect();
    let mut contents = blobs(&folder, revision, &wanted).map_err(|fault| failed(&fault))?.into_iter();
    let mut members = Vec::new();
    for name in names {
        let (Some(bytes), lock) = (contents.next().flatten(), contents.next().flatten()) else { continue };
        let shown = match inside.as_str() {
            "." => folder.join(name),
            _ => path.to_path_buf(),
        };
        let source = Source { name: format!("{revision}:{}", shown.display()), bytes };
        let key = if inside == "." { name.to_string() } else { String::new() };
        members.push(Member { key, source, lock: lock.map(|l| String::from_utf8_lossy(&l).into_owned()) });
    }
    Ok(members)
}

/// The contents of files of a revision, in their order; none for what is not there.
fn blobs(folder: &Path, revision: &str, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, String> {
    let mut child = git(folder)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|fault| fault.to_string())?;
    let mut requests = String::new();
    for name in names.iter().filter(|n| !n.contains('\n')) {
        requests.push_str(&format!("{revision}:./{name}\n"));
    }
    let mut to = child.stdin.take();
    // git answers while it is still being asked: a thread asks.
    let asker = std::thread::spawn(move || to.as_mut().map(|to| to.write_all(requests.as_bytes())));
    let out = child.wait_with_output().map_err(|fault| fault.to_string())?;
    let _ = asker.join();
    let mut rest = out.stdout.as_slice();
    let mut found = Vec::new();
    for name in names {
        if name.contains('\n') {
            found.push(None);
            continue;
        }
        let end = rest.iter().position(|b| *b == b'\n').ok_or("git says less than it was asked")?;
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        let size = head.rsplit(' ').next().and_then(|n| n.parse::<usize>().ok());
        match size.filter(|_| head.contains(" blob ")) {
            Some(size) if size < rest.len() => {
                found.push(Some(rest[..size].to_vec()));
                rest = &rest[size + 1..];
            }
            _ => found.push(None),
        }
    }
    Ok(found)
}

/// Compiles the machines of a side; Plans are read. Faults are told to the user.
pub fn compile(members: &[&Member], world: &World<'_>) -> Result<Vec<Compared>, Exit> {
    let all = super::compiled::each(members.to_vec(), |member| one(member, world));
    let mut out = Vec::new();
    let mut exit = Exit::Done;
    for (member, (compared, diags)) in members.iter().zip(all) {
        super::inputs::report(&diags, &member.source, world.shared);
        match compared {
            Ok(compared) if !diags.has_errors() => out.push(compared),
            Ok(_) => exit = exit.and(Exit::Input),
            Err(fault) => {
                if !fault.is_empty() {
                    complain(&format!("{}: {fault}", member.source.name));
                }
                exit = exit.and(Exit::Input);
            }
        }
    }
    if exit == Exit::Done { Ok(out) } else { Err(exit) }
}

fn one(member: &Member, world: &World<'_>) -> (Result<Compared, String>, Diagnostics) {
    let file = member.source.name.clone();
    if member.source.bytes.trim_ascii_start().starts_with(b"{") {
        let plan = Plan::read(&member.source.bytes).map_err(|fault| fault.to_string());
        return (plan.map(|plan| Compared { plan, file, text: None, derived: String::new() }), Default::default());
    }
    if let Some(imported) = command_line(member, world) {
        return imported;
    }
    let mut compiled = world.compile_beside(&member.source, member.lock.as_deref(), Until::Planned);
    if world.shared.strict {
        compiled.diags.make_strict();
    }
    let derived = compiled.diags.iter().filter(|d| d.code == &DERIVED).map(|d| d.message.as_str());
    let derived = derived.collect::<Vec<_>>().join("\n");
    let text = Some(String::from_utf8_lossy(&member.source.bytes).into_owned());
    (compiled.plan.map(|plan| Compared { plan, file, text, derived }).ok_or_else(String::new), compiled.diags)
}

/// A command line of QEMU, as a running one has it in /proc/PID/cmdline, or as a script starts it: the machine that the
/// import makes of it. None if the file holds none.
fn command_line(member: &Member, world: &World<'_>) -> Option<(Result<Compared, String>, Diagnostics)> {
    let source = &member.source;
    let text = source.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&source.bytes).trim_ascii_start();
    if text.is_empty() || text.starts_with(b"<") {
        return None;
    }
    let base = directory(Path::new(&source.name));
    let around = import::Around { name: &source.name, base: &base, environment: &[] };
    let mut diags = Diagnostics::new();
    let mut lines = import::command_lines(&source.bytes, &around, &mut diags);
    let fault = match lines.len() {
        0 if !diags.has_errors() => return None,
        0 => Some(String::new()),
        1 => None,
        many => Some(format!("it has {many} command lines of QEMU; virtc import argv --nth N makes a domain of one")),
    };
    if let Some(fault) = fault {
        return Some((Err(fault), diags));
    }
    let mut line = lines.remove(0);
    import::read_configs(&mut line, &base, &|path| text_of(Path::new(path)).ok(), &mut diags);
    let imported = import::domain(&line, &base, &|xml| world.compile_text(xml, Until::Planned).plan);
    diags.extend(imported.notes);
    let compiled = world.compile_text(imported.xml.as_bytes(), Until::Planned);
    let derived = compiled.diags.iter().filter(|d| d.code == &DERIVED).map(|d| d.message.as_str());
    let derived = derived.collect::<Vec<_>>().join("\n");
    let why = compiled.diags.iter().find(|d| d.severity == Severity::Error).map(|d| d.message.clone());
    let fault = || format!("no domain can be made of it: {}", why.unwrap_or_default());
    let file = source.name.clone();
    let text = Some(imported.xml);
    Some((compiled.plan.map(|plan| Compared { plan, file, text, derived }).ok_or_else(fault), diags))
}

/// Where the process of a command line runs; of another file, where we are.
fn directory(file: &Path) -> String {
    let process = file.parent().filter(|p| p.starts_with("/proc")).and_then(|p| std::fs::read_link(p.join("cwd")).ok());
    let here = process.or_else(|| std::env::current_dir().ok()).unwrap_or_else(|| PathBuf::from("/"));
    here.display().to_string()
}
