//! `virtc deploy`: a built tree onto a host, with a look at what changes first, and a way back.
//!
//! The tree says what a host has of this deployment: what the tree has no more is stopped, disabled and taken away. Machines of
//! other deployments and of packages stay, and nothing that they have can be had twice.

pub mod changes;
pub mod live;
mod transaction;

use super::inputs::{Source, report};
use super::run::fail;
use super::{Exit, Shared, complain, helper, installed, show, tree};
use crate::diag::Diagnostics;
use crate::diag::codes::fleet as codes;
use crate::emit::manifest::SHARE;
use crate::fleet::inventory::Present;
use crate::fleet::{self, Member};
use crate::run::remote::{self, Connection, Remote, quoted};
use changes::{Changes, Class, Host, changes};
use installed::{Tree, verify};
use live::{Host as _, This};
use similar::TextDiff;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use transaction::{Change, Content, Duties, STORE, Store};

// Arguments of `virtc deploy`.
#[derive(clap::Args)]
pub struct Args {
    /// The tree that `virtc build` wrote
    #[arg(required_unless_present_any = ["rollback", "recover"])]
    tree: Option<PathBuf>,
    /// Show what would change, and change nothing; the exit status is 3 if something would
    #[arg(long)]
    dry_run: bool,
    /// Show every line that changes
    #[arg(long)]
    full: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Put back what the last deployment replaced
    #[arg(long, conflicts_with_all = ["tree", "dry_run", "recover"])]
    rollback: bool,
    /// Only finish, or undo, a deployment that was interrupted; every deployment does it first
    #[arg(long, conflicts_with_all = ["tree", "dry_run"])]
    recover: bool,
    /// Leave machines that the tree does not have
    #[arg(long)]
    keep: bool,
    /// Do not enable new machines
    #[arg(long)]
    no_enable: bool,
    /// Start new machines
    #[arg(long)]
    start: bool,
    /// Restart machines that run with what they had before
    #[arg(long)]
    restart: bool,
    /// Whose machines these are, where a host has several trees
    #[arg(long, value_name = "NAME", default_value = "default")]
    name: String,
    /// Deploy below this directory instead of the host's root
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Tell systemd, udev, AppArmor and SELinux nothing about it
    #[arg(long)]
    no_reload: bool,
}

/// Deploys, here or on another host.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if args.name.is_empty() || args.name.starts_with('-') || !args.name.chars().all(plain) {
        complain(&format!("--name {}: lower-case letters, digits and - only", args.name));
        return Exit::Usage;
    }
    if let Some(uri) = &shared.connect {
        match remote::parse(uri) {
            Ok(Connection { host: Some(host), .. }) => return to_host(args, &host, shared),
            Ok(_) => {}
            Err(fault) => {
                fail(&fault, shared);
                return Exit::Usage;
            }
        }
    }
    let mut host = This { told: args.root == Path::new("/") && !args.no_reload };
    if args.dry_run {
        return deploy(args, shared, &mut host);
    }
    if let Err(exit) = make_root(args, shared) {
        return exit;
    }
    let _lock = match lock(&args.root) {
        Ok(lock) => lock,
        Err(why) => {
            complain(&why);
            return Exit::Environment;
        }
    };
    match recover(args, shared, &mut host) {
        Err(exit) => exit,
        Ok(()) if args.recover => Exit::Done,
        Ok(()) if args.rollback => rollback(args, shared, &mut host),
        Ok(()) => deploy(args, shared, &mut host),
    }
}

/// Makes a root that is filled for the first time, if there is a tree to fill it with.
fn make_root(args: &Args, shared: &Shared) -> Result<(), Exit> {
    let Some(folder) = args.tree.as_ref().filter(|_| matches!(args.root.try_exists(), Ok(false))) else {
        return Ok(());
    };
    tree_of(folder, shared)?;
    std::fs::create_dir_all(&args.root).map_err(|e| {
        complain(&format!("cannot make {}: {e}", args.root.display()));
        Exit::Environment
    })
}

/// Held while a root is worked on: one deployment after the other.
fn lock(root: &Path) -> Result<std::fs::File, String> {
    let folder = std::fs::File::open(root).map_err(|e| format!("cannot open {}: {e}", root.display()))?;
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| format!("another virtc deploys to {} right now", root.display()))?;
    Ok(folder)
}

/// A tree, if the folder is one as `virtc build` has left it. What is wrong with it is told.
pub fn tree_of(folder: &Path, shared: &Shared) -> Result<Tree, Exit> {
    let artifacts = super::tree::collect(folder).map_err(|why| {
        complain(&why);
        Exit::Environment
    })?;
    verify(artifacts, installed::is_emptied(folder)).map_err(|faults| {
        let mut diags = Diagnostics::new();
        if faults.is_empty() {
            diags
                .error(&codes::NOT_A_TREE, crate::diag::Span::NONE, "this folder is no tree that virtc has built")
                .help("virtc build vms/ -o out && virtc deploy out");
        }
        for fault in faults.iter().take(MOST_FAULTS) {
            diags
                .error(&codes::CHANGED_TREE, crate::diag::Span::NONE, fault.clone())
                .help("build the tree anew; put changes of a host into drop-ins");
        }
        tell(&diags, folder, shared);
        Exit::Input
    })
}

/// More faults of one tree say nothing more.
const MOST_FAULTS: usize = 20;

fn tell(diags: &Diagnostics, about: &Path, shared: &Shared) {
    report(diags, &Source { name: about.display().to_string(), bytes: Vec::new() }, shared);
}

fn deploy(args: &Args, shared: &Shared, host: &mut This) -> Exit {
    let Some(folder) = &args.tree else { return Exit::Usage };
    let tree = match tree_of(folder, shared) {
        Ok(tree) => tree,
        Err(exit) => return exit,
    };
    let machines = installed::of_host(&args.root);
    let owner = format!("deployment {}", args.name);
    let there = Host { root: &args.root, machines: &machines, owner: &owner, keep: args.keep, enable: !args.no_enable };
    let diags = conflicts(&there, &tree, folder);
    if !diags.is_empty() {
        tell(&diags, folder, shared);
    }
    if diags.has_errors() {
        return Exit::Input;
    }
    let plan = changes(&there, &tree);
    if plan.files.is_empty() {
        if !shared.quiet {
            complain("nothing changes");
        }
        return Exit::Done;
    }
    let duties = live::duties(&plan, args.start, args.restart, host);
    let mut shown = summary(&plan, args, host);
    if args.full {
        shown.push('\n');
        shown.push_str(&plan.files.iter().map(|change| diff_of(&args.root, change)).collect::<String>());
    }
    let shown = show(&shown);
    if args.dry_run {
        return shown.and(Exit::Differs);
    }
    if let Err(exit) = consent(args) {
        return exit;
    }
    if let Err(why) = needed_helper(args, &tree) {
        complain(&why);
        return Exit::Environment;
    }
    let exit = carry_out(args, &plan.files, duties, true, host);
    if exit == Exit::Done && !shared.quiet {
        let more = if args.name == "default" { String::new() } else { format!(" --name {}", args.name) };
        complain(&format!("{} files changed; virtc deploy --rollback{more} puts them back", plan.files.len()));
    }
    exit
}

/// What only one machine of a host can have, and what others would lose.
fn conflicts(host: &Host<'_>, tree: &Tree, folder: &Path) -> Diagnostics {
    let mut diags = Diagnostics::new();
    for obstacle in host.obstacles(tree) {
        diags
            .error(&codes::OF_ANOTHER, crate::diag::Span::NONE, obstacle)
            .help("remove what has it, or give the machine another name; --name tells deployments apart");
    }
    let staying = host.staying(tree);
    for unknown in staying.iter().filter(|m| m.plan.is_none()) {
        let message = format!(
            "'{}' is on this host with a plan that this virtc cannot read: what it has is not known",
            unknown.name()
        );
        diags
            .warning(&codes::OF_ANOTHER, crate::diag::Span::NONE, message)
            .help("put it there anew with this virtc, so that nothing is had twice");
    }
    let words = |m: &&Present| {
        format!("'{}', which is on this host ({})", m.name(), m.owner.as_deref().unwrap_or("copied by hand"))
    };
    let there: Vec<(String, String)> =
        staying.iter().map(|m| (host.root.join(SHARE).join(&m.folder).display().to_string(), words(m))).collect();
    let new: Vec<String> =
        tree.machines.iter().map(|m| format!("{}/{SHARE}/{}/domain.xml", folder.display(), m.folder)).collect();
    let there = staying
        .iter()
        .zip(&there)
        .filter_map(|(m, (file, words))| Some(Member { file, plan: m.plan.as_ref()?, there: Some(words) }));
    let new = tree.machines.iter().zip(&new);
    let new = new.filter_map(|(m, file)| Some(Member { file, plan: m.plan.as_ref()?, there: None }));
    let members: Vec<Member<'_>> = there.chain(new).collect();
    // What a host was told before is no news.
    for faults in fleet::conflicts(&members) {
        diags.extend(faults);
    }
    diags
}

/// What changes, on one screen.
fn summary(plan: &Changes, args: &Args, host: &This) -> String {
    const MOST: usize = 40;
    let mut out = String::new();
    let width = plan.machines.iter().map(|m| m.name.chars().count()).max().unwrap_or(0).min(40);
    for machine in plan.machines.iter().take(MOST) {
        let what = outcome(machine, args, host);
        out += &format!("{:<8} {:<width$}  {what}\n", machine.class.as_str(), machine.name);
    }
    if plan.machines.len() > MOST {
        out += &format!("… and {} more\n", plan.machines.len() - MOST);
    }
    if plan.machines.is_empty() {
        out += "no machine changes\n";
    }
    for path in plan.edited.iter().take(MOST) {
        out += &format!("changed on this host by hand, and replaced: /{path}\n");
    }
    if !plan.others.is_empty() {
        out += &format!("not touched: {}\n", few(&plan.others));
    }
    let same = match plan.same {
        0 => String::new(),
        1 => "; 1 machine stays as it is".to_string(),
        many => format!("; {many} machines stay as they are"),
    };
    let files = plan.files.len();
    out + &format!("{files} {} change{same}\n", if files == 1 { "file" } else { "files" })
}

/// The first few of many.
fn few(all: &[String]) -> String {
    const MOST: usize = 3;
    let mut text = all.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > MOST {
        text += &format!(", and {} more", all.len() - MOST);
    }
    text
}

fn outcome(machine: &changes::Machine, args: &Args, host: &This) -> String {
    let unit = machine.units.first().map(String::as_str).unwrap_or_default();
    let start = || if args.start { "is started".to_string() } else { format!("systemctl start {unit} starts it") };
    let enabled = if args.no_enable { "is not enabled" } else { "is enabled" };
    match &machine.class {
        Class::New => format!("{enabled}; {}", start()),
        Class::Renamed(old) => format!("was '{old}', which is stopped; {}", start()),
        Class::Replaced => format!("another machine had this name, and is stopped; {}", start()),
        Class::Removed => "is stopped, disabled and taken away; its images and its account stay".to_string(),
        Class::Live => few(&machine.details),
        Class::Restart => {
            let active = host.runs() && host.is_active(unit);
            let then = match (active, args.restart) {
                (true, true) => "; is restarted".to_string(),
                (true, false) => format!("; runs with what it had until systemctl restart {unit}"),
                (false, _) => String::new(),
            };
            few(&machine.details) + &then
        }
    }
}

/// Asks whether to go on. Where nobody can answer, and the host runs, it takes `--yes`.
fn consent(args: &Args) -> Result<(), Exit> {
    if args.yes {
        return Ok(());
    }
    if std::io::stdin().is_terminal() {
        let _ = write!(std::io::stderr(), "Go ahead? [y/N] ");
        let mut answer = String::new();
        let _ = std::io::stdin().read_line(&mut answer);
        if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            return Ok(());
        }
        complain("nothing was changed");
        return Err(Exit::Usage);
    }
    // An image runs nothing, and what is put there can be put back.
    if args.root != Path::new("/") {
        return Ok(());
    }
    complain("nobody is there to be asked: look with --dry-run, then go ahead with --yes");
    Err(Exit::Usage)
}

/// Units call a helper, which a package brings, or this does.
fn needed_helper(args: &Args, tree: &Tree) -> Result<(), String> {
    if !tree.artifacts.iter().any(|a| helper::is_called(&a.contents)) {
        return Ok(());
    }
    tree::inside(&args.root, Path::new(helper::PLACE)).map_err(|fault| fault.to_string())?;
    helper::install(&args.root).map(drop)
}

fn carry_out(args: &Args, files: &[Change], duties: Duties, keep: bool, host: &mut dyn live::Host) -> Exit {
    let store = Store::new(&args.root, &args.name, &|| {});
    host.watch(true);
    let done = store.prepare(files, duties, keep).and_then(|journal| {
        if !live::stop(&journal.duties, host) {
            store.undo(Some(&journal))?;
            return Err(format!(
                "systemctl stop {} failed: nothing was changed; start again what has stopped",
                journal.duties.stop.join(" ")
            ));
        }
        conclude(&store, &journal, files, host)
    });
    host.watch(false);
    match done {
        Ok(exit) => exit,
        Err(why) => {
            complain(&why);
            Exit::Environment
        }
    }
}

/// Puts everything in its place, and tells the host.
fn conclude(
    store: &Store<'_>,
    journal: &transaction::Journal,
    files: &[Change],
    host: &mut dyn live::Host,
) -> Result<Exit, String> {
    store.finish(journal)?;
    let failed = live::reload(files, &store.kept(), &journal.duties, host);
    for command in &failed {
        complain(&format!("{command} failed"));
    }
    store.close(journal)?;
    Ok(if failed.is_empty() { Exit::Done } else { Exit::Environment })
}

/// Finishes what was interrupted; what had not begun yet is undone.
fn recover(args: &Args, shared: &Shared, host: &mut dyn live::Host) -> Result<(), Exit> {
    let told = |why: String| {
        complain(&why);
        Exit::Environment
    };
    for name in deployments(&args.root) {
        let store = Store::new(&args.root, &name, &|| {});
        let Some(journal) = store.interrupted().map_err(told)? else { continue };
        if !shared.quiet {
            complain("a deployment was interrupted: it is finished first");
        }
        let files = store.changes_of(&journal);
        live::stop(&journal.duties, host);
        match conclude(&store, &journal, &files, host).map_err(told)? {
            Exit::Done => {}
            exit => return Err(exit),
        }
    }
    host.watch(false);
    Ok(())
}

/// The names of the deployments of a root.
fn deployments(root: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(root.join(STORE)) else { return Vec::new() };
    let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// A change as a unified diff.
fn diff_of(root: &Path, change: &Change) -> String {
    let old = transaction::content(&root.join(&change.path));
    let text = |side: &Option<Content>| match side {
        Some(Content::File { bytes, .. }) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Content::Link(target)) => format!("link to {target}\n"),
        None => String::new(),
    };
    let name = |side: &Option<Content>| match side {
        Some(_) => format!("/{}", change.path),
        None => "/dev/null".to_string(),
    };
    let (before, after) = (text(&old), text(&change.new));
    let diff = TextDiff::from_lines(&before, &after);
    let mut out = diff.unified_diff().header(&name(&old), &name(&change.new)).to_string();
    if let (Some(Content::File { mode: old, .. }), Some(Content::File { mode: new, .. })) = (&old, &change.new)
        && old != new
    {
        out.push_str(&format!("/{}: mode {old:o} becomes {new:o}\n", change.path));
    }
    out
}

/// Puts back what the last deployment replaced, and removes what it added.
fn rollback(args: &Args, shared: &Shared, host: &mut This) -> Exit {
    let store = Store::new(&args.root, &args.name, &|| {});
    let Some(mut files) = store.inverse() else {
        complain("there is no deployment to roll back");
        return Exit::Environment;
    };
    // What others have by now stays theirs.
    let machines = installed::read(&args.root);
    let owner = format!("deployment {}", args.name);
    let others = machines.iter().filter(|m| m.owner.as_deref() != Some(owner.as_str()));
    let held: std::collections::BTreeSet<&String> = others.flat_map(|m| &m.files).collect();
    files.retain(|change| !held.contains(&change.path));
    files.retain(|change| transaction::content(&args.root.join(&change.path)) != change.new);
    let (put, gone): (Vec<&Change>, Vec<&Change>) = files.iter().partition(|change| change.new.is_some());
    let said = format!("{} files put back, {} removed", put.len(), gone.len());
    if args.root == Path::new("/")
        && let Err(exit) = consent(args)
    {
        return exit;
    }
    let units = gone.iter().filter_map(|c| c.path.strip_prefix("usr/lib/systemd/system/"));
    let stop = units.filter(|u| u.starts_with("virtc-") && u.ends_with(".service")).map(str::to_string).collect();
    let exit = carry_out(args, &files, Duties { stop, ..Duties::default() }, false, host);
    if exit == Exit::Done && !shared.quiet {
        complain(&said);
    }
    exit
}

/// Sends the tree to another host, and deploys it there.
fn to_host(args: &Args, host: &Remote, shared: &Shared) -> Exit {
    let nobody_answers = !std::io::stdin().is_terminal() && args.root == Path::new("/");
    if args.yes || args.dry_run || args.recover || nobody_answers {
        // Without --yes it is the other side that says what is missing.
        return send(args, host, shared, args.dry_run, args.yes);
    }
    if !args.rollback {
        // The stream carries the tree, so that nobody can be asked there.
        match send(args, host, shared, true, false) {
            Exit::Differs => {}
            exit => return exit,
        }
    }
    match consent(args) {
        Ok(()) => send(args, host, shared, false, true),
        Err(exit) => exit,
    }
}

/// The command that runs there, in words.
fn command_there(args: &Args, shared: &Shared, dry_run: bool, yes: bool) -> Vec<String> {
    let mut words = vec!["virtc".to_string(), "deploy".to_string()];
    for (set, word) in [
        (dry_run, "--dry-run"),
        (yes, "--yes"),
        (args.full, "--full"),
        (args.keep, "--keep"),
        (args.no_enable, "--no-enable"),
        (args.start, "--start"),
        (args.restart, "--restart"),
        (args.no_reload, "--no-reload"),
        (args.recover, "--recover"),
        (args.rollback, "--rollback"),
        (shared.quiet, "--quiet"),
    ] {
        words.extend(set.then(|| word.to_string()));
    }
    if args.name != "default" {
        words.push(format!("--name={}", args.name));
    }
    words.extend(["--root".to_string(), args.root.display().to_string()]);
    words
}

fn send(args: &Args, host: &Remote, shared: &Shared, dry_run: bool, yes: bool) -> Exit {
    let words = command_there(args, shared, dry_run, yes);
    let command = words.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ");
    let mut ssh = host.ssh();
    let Some(folder) = args.tree.as_ref().filter(|_| !args.rollback && !args.recover) else {
        ssh.arg(command);
        return finish(ssh.status(), "ssh");
    };
    // Here already it is seen whether it is a tree.
    if let Err(exit) = tree_of(folder, shared) {
        return exit;
    }
    // The folder there goes again, whatever comes of it.
    ssh.arg(format!("d=$(mktemp -d) && tar -xf - -C \"$d\" && {command} \"$d\"; s=$?; rm -rf \"$d\"; exit $s"));
    let mut tar = match Command::new("tar").arg("-C").arg(folder).args(["-cf", "-", "."]).stdout(Stdio::piped()).spawn()
    {
        Ok(tar) => tar,
        Err(e) => {
            complain(&format!("cannot start tar: {e}"));
            return Exit::Environment;
        }
    };
    if let Some(stream) = tar.stdout.take() {
        ssh.stdin(stream);
    }
    let exit = finish(ssh.status(), "ssh");
    match tar.wait() {
        Ok(status) if status.success() => exit,
        _ => exit.and(Exit::Environment),
    }
}

fn finish(status: std::io::Result<std::process::ExitStatus>, program: &str) -> Exit {
    match status.map(|s| s.code()) {
        Ok(Some(0)) => Exit::Done,
        Ok(Some(1)) => Exit::Input,
        Ok(Some(2)) => Exit::Usage,
        Ok(Some(3)) => Exit::Differs,
        Ok(_) => Exit::Environment,
        Err(e) => {
            complain(&format!("cannot start {program}: {e}"));
            Exit::Environment
        }
    }
}
