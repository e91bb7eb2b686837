//! From a Plan to a machine that runs, and back to nothing when a step fails.

use super::calls::Calls;
use super::errors::{Fault, WithHelp, fault, meaning};
use super::journal::{Entry, Header, Journal};
use super::own::{self, Account};
use super::process::{ProcessRef, Starter, Watched, ended};
use super::proxy::Proxy;
use super::qmp::{Qmp, QmpError};
use super::registry::Registry;
use super::signals::Signals;
use super::trampoline::Confine;
use super::{Options, categories, groups, kvm, links, prepare, profiles, programs, shaping, view};
use crate::diag::codes::run as codes;
use crate::emit::argv;
use crate::plan::{self, Accelerator, ArgValue, Instance, Lifecycle, Loss, Need, Plan, Ready, Role};
use crate::vocab::NumberSet;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::unix::net::UnixStream;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many ports are looked at for a free one.
const AUTO_PORTS: usize = 1000;

/// How often something that gives no sign is looked at. A watch of the folder (inotify) was tried and measured: to close it
/// costs 10 ms and more, because the kernel waits until nobody can be looking at it, and QEMU answers only when
/// its main loop runs, whenever the connection was made.
const GLANCE: Duration = Duration::from_millis(1);

/// A machine that runs, with all that belongs to it. Dropping it ends the machine and tidies up.
pub struct Machine {
    /// Name of the domain.
    pub name: String,
    pub(super) lifecycle: Lifecycle,
    pub(super) stop_timeout: Duration,
    pub(super) registry: Registry,
    pub(super) journal: Option<Journal>,
    pub(super) helpers: Vec<Watched>,
    /// What is needed to start a helper again.
    pub(super) spare: Option<Spare>,
    pub(super) qemu: Option<Watched>,
    pub(super) qmp: Option<Qmp<UnixStream>>,
    pub(super) proxy: Option<Proxy>,
    pub(super) signals: Signals,
    pub(super) dump_directory: PathBuf,
    /// QEMU was started by somebody else.
    pub(super) adopted: bool,
}

/// The helpers of a machine as the plan has them, and what starts them.
pub(super) struct Spare {
    pub(super) starter: Starter,
    pub(super) processes: Vec<(plan::Process, Loss)>,
    pub(super) ready_timeout: Duration,
    /// When helpers were started again.
    pub(super) restarts: Vec<Instant>,
}

impl Machine {
    /// Number of the QEMU process.
    pub fn pid(&self) -> i32 {
        self.qemu.as_ref().map_or(0, |q| q.process.pid)
    }

    /// Ends what still runs and removes what was made. Returns what could not be removed.
    pub fn finish(&mut self) -> Vec<String> {
        self.proxy = None;
        self.qmp = None;
        if let Some(mut qemu) = self.qemu.take().filter(|_| !self.adopted) {
            qemu.end(Duration::from_secs(5));
        }
        for helper in self.helpers.iter_mut().rev() {
            helper.end(Duration::from_secs(5));
        }
        self.helpers.clear();
        self.journal.take().map(|journal| prepare::undo(journal, &self.registry)).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Starts the machine of a plan and waits until it runs. `say` gets remarks, a line each.
///
/// When a step fails, everything before it is undone.
pub fn start(plan: &Plan, options: &Options, say: &mut dyn FnMut(&str)) -> Result<Machine, Fault> {
    // What a shell, a terminal or a service had open is not the guest's: our own files do not outlive us in a program anyway.
    close_fds::set_fds_cloexec(3, &[]);
    let signals = Signals::listen().map_err(|e| fault(&codes::PREPARE, format!("cannot listen to signals: {e}")))?;
    runnable(plan)?;
    let mut journal = claim(&options.registry, &plan.name, say)?;
    let monitor = plan.monitor().map(|s| PathBuf::from(&s.path)).unwrap_or_default();
    journal.add(Entry::Machine(Header {
        name: plan.name.clone(),
        uuid: plan.uuid.clone(),
        title: plan.title.clone(),
        runner: ProcessRef::me(),
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        monitor: monitor.clone(),
        adopted: false,
    }))?;
    let mut machine = Machine {
        name: plan.name.clone(),
        lifecycle: plan.lifecycle.clone(),
        stop_timeout: options.stop_timeout,
        registry: options.registry.clone(),
        journal: Some(journal),
        helpers: Vec::new(),
        spare: None,
        qemu: None,
        qmp: None,
        proxy: None,
        signals,
        dump_directory: dump_directory(plan, &options.registry),
        adopted: false,
    };
    // From here on a fault drops the machine, and that undoes what was done.
    let settled = match &mut machine.journal {
        Some(journal) => categories::settle(plan, &options.registry, journal, say)?,
        None => return Err(interrupted()),
    };
    let plan = settled.as_ref();
    let account = account(plan, options.allow_root, say)?;
    if plan.accelerator == Accelerator::Kvm {
        kvm::check()?;
    }
    for process in &plan.processes {
        has_program(&process.program)?;
        programs::trusted(Path::new(&process.program)).map_err(|why| untrusted(process, &why))?;
    }
    let user = plan.confinement.user.as_deref().filter(|_| account.is_some());
    let mut notes = Vec::new();
    let groups = {
        let Some(journal) = &mut machine.journal else { return Err(interrupted()) };
        profiles::load(plan, journal)?;
        links::make(plan, user, journal)?;
        shaping::apply(plan, journal, &mut notes)?;
        prepare::prepare(plan, options, account.as_ref(), journal)?;
        notes.extend(own::give(plan, account.as_ref(), journal, &options.registry)?);
        groups::make(plan, journal, &mut notes)?
    };
    notes.extend(not_applied(plan));
    notes.iter().for_each(|note| say(note));
    let starter = Starter {
        virtc: options.virtc.clone(),
        journal: options.registry.journal(&plan.name),
        confine: confine(plan, account.as_ref()),
    };
    for process in plan.processes.iter().filter(|p| p.role != Role::Qemu) {
        for setup in plan.setups.iter().filter(|s| s.process == process.id) {
            set_up(setup, process, &starter, &mut machine, say)?;
        }
        let helper = starter.start(process, &argv::tokens(process), false, None)?;
        machine.note_process(&helper)?;
        let ready = await_helper(&helper, &process.ready, options.ready_timeout, &mut machine.signals);
        machine.helpers.push(helper);
        ready.map_err(|why| machine.helper_fault(&process.program, &why))?;
        for (path, account) in helper_socket(&process.ready).zip(account.as_ref()) {
            own::hand_over(path, Some(account))?;
        }
    }
    let Some(process) = plan.qemu() else { return Err(interrupted()) };
    let mut process = process.clone();
    for note in free_ports(plan, &mut process) {
        say(&note);
    }
    let process = &process;
    let tokens = argv::tokens(process);
    let terminal = options.terminal && process.needs(Need::Terminal);
    let qemu = starter.start(process, &tokens, terminal, groups.as_ref())?;
    machine.note_process(&qemu)?;
    machine.qemu = Some(qemu);
    let helpers = plan.processes.iter().filter(|p| p.role != Role::Qemu);
    let processes = helpers.map(|p| (p.clone(), Loss::of(plan, p))).collect();
    let ready_timeout = options.ready_timeout;
    machine.spare = Some(Spare { starter, processes, ready_timeout, restarts: Vec::new() });
    let up = machine
        .await_monitor(&monitor, options.ready_timeout)
        .and_then(|()| machine.await_running(plan, plan.starts_paused, options.ready_timeout));
    if let Err(fault) = up {
        // On a busy host a guest may have powered off before anybody could look; else it is a fault.
        if !machine.has_ended_well() {
            return Err(fault);
        }
        machine.qmp = None;
        machine.note(Entry::Ready)?;
        return Ok(machine);
    }
    machine.place_threads(plan, groups.as_ref(), say);
    machine.count_requests(plan, say);
    if let Some(qemu) = &machine.qemu {
        qemu.messages.go_live();
    }
    machine.open_proxy()?;
    machine.note(Entry::Ready)?;
    Ok(machine)
}

/// The longest that a program may take to make something ready: the keys of a TPM are made without haste.
const SETUP: Duration = Duration::from_secs(120);

/// Runs what makes ready what a process finds, as its account and confined like it.
fn set_up(
    setup: &plan::Setup,
    of: &plan::Process,
    starter: &Starter,
    machine: &mut Machine,
    say: &mut dyn FnMut(&str),
) -> Result<(), Fault> {
    let usable = has_program(&setup.program)
        .and_then(|()| programs::trusted(Path::new(&setup.program)).map_err(|why| untrusted(of, &why)));
    match usable {
        Err(_) if setup.optional => return Ok(()),
        other => other?,
    }
    let process = plan::Process { program: setup.program.clone(), ready: Ready::Started, ..of.clone() };
    let mut running = starter.start(&process, &setup.args, false, None)?;
    machine.note_process(&running)?;
    let in_time = running.wait(SETUP);
    if !in_time {
        running.process.signal(Signal::KILL);
    }
    let status = running.reap();
    if in_time && status.is_some_and(|s| s.success()) {
        return Ok(());
    }
    let text = format!("{} ({}) {}:\n{}", setup.program, of.id, ended(status), running.messages.text());
    if setup.optional {
        say(&text);
        return Ok(());
    }
    Err(fault(&codes::HELPER, text))
}

/// Refuses a plan that is not made for running.
fn runnable(plan: &Plan) -> Result<(), Fault> {
    let refuse = |text: String| Err(fault(&codes::NOT_RUNNABLE, text));
    if plan.version != Plan::VERSION {
        return refuse(plan::Unreadable::Version(plan.version).to_string());
    }
    let Some(qemu) = plan.qemu() else { return refuse(format!("the plan of '{}' holds no QEMU", plan.name)) };
    if !plan.target.is_standalone() || qemu.descriptors.iter().any(|d| d.link.is_none()) {
        return Err(fault(
            &codes::NOT_RUNNABLE,
            format!(
                "the command line of '{}' is made for libvirt, which passes it {} descriptors",
                plan.name,
                qemu.descriptors.len()
            ),
        )
        .with_help("compile it with --target standalone, the default"));
    }
    let made = plan.directories.iter().map(|d| &d.path).chain(plan.sockets.iter().map(|s| &s.path));
    for path in made
        .chain(plan.secrets.iter().map(|s| &s.path))
        .chain(plan.files.iter().map(|f| &f.path))
        .chain(plan.overlays.iter().map(|o| &o.path))
    {
        // What is made is also removed: a path has to be the one that it looks like.
        let plain = Path::new(path).components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
        if !plain || !path.starts_with('/') {
            return refuse(format!("the plan of '{}' would make '{path}', which is no plain absolute path", plan.name));
        }
    }
    if plan.monitor().is_none() {
        return refuse(format!("the plan of '{}' has no monitor socket", plan.name));
    }
    Ok(())
}

/// Claims the name, after tidying up behind a runner that was killed.
pub(super) fn claim(registry: &Registry, name: &str, say: &mut dyn FnMut(&str)) -> Result<Journal, Fault> {
    let running = |pid: i32| {
        fault(&codes::RUNNING, format!("the machine '{name}' runs already (virtc, process {pid})"))
            .with_help(format!("virtc stop {name}"))
    };
    let Some(journal) = registry.claim(name)? else {
        return Err(running(registry.find(name).map_or(0, |r| r.header.runner.pid)));
    };
    if journal.entries().is_empty() {
        return Ok(journal);
    }
    let alive = registry.find(name).and_then(|r| r.qemu());
    if let Some(qemu) = alive {
        return Err(fault(
            &codes::ORPHAN,
            format!("the machine '{name}' still runs (QEMU, process {}), though its runner is gone", qemu.pid),
        )
        .with_help(format!("virtc stop {name}")));
    }
    let left = prepare::undo(journal, registry);
    if left.is_empty() {
        say(&format!("tidied up after an earlier run of '{name}' that was killed"));
    } else {
        return Err(fault(
            &codes::LEFT_OVER,
            format!("an earlier run of '{name}' left something behind: {}", left.join("; ")),
        ));
    }
    registry.claim(name)?.ok_or_else(|| running(0))
}

/// A program that somebody could have put in the place of the one that is meant.
fn untrusted(process: &plan::Process, why: &str) -> Fault {
    fault(&codes::UNTRUSTED_PROGRAM, format!("{} is not run ({}): {why}", process.program, process.id)).with_help(
        "run one that the host's packages have installed, or give it and its folders to root, not writable by others",
    )
}

/// The account to run under. Only root can change to it; another user runs the machine as himself.
fn account(plan: &Plan, allow_root: bool, say: &mut dyn FnMut(&str)) -> Result<Option<Account>, Fault> {
    let Some(user) = &plan.confinement.user else { return Ok(None) };
    if !rustix::process::geteuid().is_root() {
        let me = rustix::process::geteuid().as_raw();
        if own::account(plan).is_ok_and(|a| a.is_none_or(|a| a.uid != me)) && plan.instance == Instance::System {
            say(&format!("the machine runs as you, not as '{user}': only root can change the user"));
        }
        return Ok(None);
    }
    match own::account(plan) {
        Ok(account) => Ok(account),
        Err(_) if allow_root => {
            say(&format!("the machine runs as root: there is no user '{user}'"));
            Ok(None)
        }
        // Nobody asked for this account; it comes with the files of `virtc build`.
        Err(_) if plan.confinement.own_account || user == crate::host::DEFAULT_USER => Err(fault(
            &codes::NO_ACCOUNT,
            format!("there is no user '{user}' on this host, and QEMU does not run as root"),
        )
        .with_help(format!(
            "make it (useradd --system --no-create-home {user}), run the machine as a user's own (--connect qemu:///session), \
             or take the risk: --allow-root"
        ))),
        Err(fault) => Err(fault),
    }
}

pub(super) fn has_program(program: &str) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt;
    let missing = |why: &str| {
        Err(fault(&codes::NO_PROGRAM, format!("{program} {why}"))
            .with_help(format!("install {}, or name another program", package(program))))
    };
    match std::fs::metadata(program) {
        Ok(meta) if meta.is_file() && meta.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => missing("is not an executable file"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing("is not on this host"),
        Err(error) => missing(&format!("cannot be used: {error}")),
    }
}

/// The package that brings a program, as Debian and Fedora name it.
fn package(program: &str) -> String {
    let debian = debian_package(program);
    match debian.strip_prefix("qemu-system-") {
        Some("x86") => format!("{debian} (Fedora: qemu-system-x86-core)"),
        Some("arm") => format!("{debian} (Fedora: qemu-system-aarch64-core)"),
        _ => debian,
    }
}

/// The Debian package that brings a program; its own name where nothing else is known.
pub fn debian_package(program: &str) -> String {
    let name = Path::new(program).file_name().and_then(|n| n.to_str()).unwrap_or(program);
    match name.strip_prefix("qemu-system-") {
        Some("x86_64" | "i386") => "qemu-system-x86",
        Some("aarch64" | "arm") => "qemu-system-arm",
        Some("ppc64" | "ppc") => "qemu-system-ppc",
        Some("mips" | "mips64" | "mipsel" | "mips64el") => "qemu-system-mips",
        Some("sparc" | "sparc64") => "qemu-system-sparc",
        Some(_) => "qemu-system-misc",
        None => match name {
            "kvm" | "qemu-kvm" => "qemu-system-x86",
            "qemu-pr-helper" | "vhost-user-gpu" => "qemu-system-common",
            // virtiofsd in C came with QEMU up to 7.2.
            "virtiofsd" if program.starts_with("/usr/lib/qemu/") => "qemu-system-common",
            "dbus-daemon" => "dbus-daemon",
            "qemu-img" => "qemu-utils",
            "swtpm_setup" => "swtpm-tools",
            other => other,
        },
    }
    .to_string()
}

fn confine(plan: &Plan, account: Option<&Account>) -> Confine {
    let confinement = &plan.confinement;
    // The whole process starts on the emulator's CPUs; virtual CPUs and I/O threads move later.
    let pinned = plan.limits.pins.iter().find(|p| p.thread == "emulator").map(|p| &p.cpus);
    Confine {
        // Root that stays root needs no change, and keeps its rights.
        account: account.filter(|a| a.uid != 0).map(|a| (a.uid, a.gid, a.groups.clone())),
        keep: Vec::new(),
        calls: Some(Calls::of(plan)),
        descriptors: Vec::new(),
        locks_memory: plan.limits.locked.is_some(),
        covered: view::of(plan, account, confinement.selinux.is_some() && own::has_selinux()),
        selinux: confinement.selinux.as_ref().filter(|_| own::has_selinux()).map(|s| s.process.clone()),
        apparmor: confinement
            .apparmor
            .as_ref()
            .filter(|a| own::has_apparmor() && profile_is_loaded(&a.profile))
            .map(|a| a.profile.clone()),
        cpus: pinned
            .or(plan.limits.cpuset.as_ref())
            .into_iter()
            .flat_map(NumberSet::iter)
            .map(|n| n as usize)
            .collect(),
        groups: Vec::new(),
        maxima: [plan.limits.max_processes.map(u64::from), plan.limits.max_files.map(u64::from), plan.limits.max_core],
    }
}

pub(super) fn profile_is_loaded(profile: &str) -> bool {
    std::fs::read_to_string("/sys/kernel/security/apparmor/profiles")
        .is_ok_and(|text| text.lines().any(|line| line.rsplit_once(" (").is_some_and(|(name, _)| name == profile)))
}

/// Confinement that the plan asks for and this host cannot give.
fn not_applied(plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(apparmor) = &plan.confinement.apparmor
        && own::has_apparmor()
        && !profile_is_loaded(&apparmor.profile)
    {
        let why =
            if rustix::process::geteuid().is_root() { "is not loaded" } else { "is not loaded, and only root can" };
        notes.push(format!("not confined by AppArmor: the profile {} {why}", apparmor.profile));
    }
    notes
}

/// Where a dump of a crashed guest goes.
fn dump_directory(plan: &Plan, registry: &Registry) -> PathBuf {
    use crate::plan::DirectoryRole;
    let of = |role| plan.directories.iter().find(|d| d.role == role).map(|d| PathBuf::from(&d.path));
    of(DirectoryRole::State).or_else(|| of(DirectoryRole::Log)).unwrap_or_else(|| registry.base().to_path_buf())
}

/// Moves ports of the command line that the XML leaves open, and that are taken, to the next free ones.
/// Returns what is worth telling.
fn free_ports(plan: &Plan, process: &mut plan::Process) -> Vec<String> {
    let mut notes = Vec::new();
    let mut given: Vec<u16> = Vec::new();
    for wanted in &plan.auto_ports {
        let address = wanted.address.as_deref().unwrap_or("0.0.0.0");
        let is_free = |port: &u16| !given.contains(port) && std::net::TcpListener::bind((address, *port)).is_ok();
        // Where none can be bound at all, QEMU says why.
        let Some(port) = (wanted.port..=u16::MAX).take(AUTO_PORTS).find(is_free) else { continue };
        given.push(port);
        if port == wanted.port {
            continue;
        }
        for arg in process.args.iter_mut().filter(|a| a.switch == wanted.switch) {
            if let ArgValue::Props(props, _) = &mut arg.value
                && props.get(&wanted.key).is_some()
            {
                props.replace(wanted.key.clone(), port);
            }
        }
        notes.push(format!("{}: port {} is taken, {port} is used ({})", wanted.cause.what, wanted.port, wanted.key));
    }
    notes
}

fn helper_socket(ready: &Ready) -> impl Iterator<Item = &Path> {
    match ready {
        Ready::Socket(path) => Some(Path::new(path)),
        _ => None,
    }
    .into_iter()
}

pub(super) fn await_helper(
    helper: &Watched,
    ready: &Ready,
    timeout: Duration,
    signals: &mut Signals,
) -> Result<(), String> {
    let Ready::Socket(path) = ready else { return Ok(()) };
    let deadline = Instant::now() + timeout;
    while !Path::new(path).exists() {
        if helper.wait(GLANCE) && !Path::new(path).exists() {
            return Err("before it was ready".to_string());
        }
        if Instant::now() > deadline {
            return Err(format!("its socket {path} did not appear within {} s", timeout.as_secs()));
        }
        if signals.take().is_some() {
            return Err("interrupted".to_string());
        }
    }
    Ok(())
}

pub(super) fn interrupted() -> Fault {
    fault(&codes::FAILED, "the start was interrupted")
}

impl Machine {
    pub(super) fn note(&mut self, entry: Entry) -> Result<(), Fault> {
        self.journal.as_mut().map_or(Ok(()), |journal| journal.add(entry))
    }

    pub(super) fn note_process(&mut self, process: &Watched) -> Result<(), Fault> {
        self.note(Entry::Process { id: process.id.clone(), process: process.process })
    }

    /// Why the helper that was started last did not get ready.
    fn helper_fault(&mut self, program: &str, why: &str) -> Fault {
        let Some(helper) = self.helpers.last_mut() else { return interrupted() };
        let how = if helper.has_ended() { ended(helper.reap()) } else { "did not get ready".to_string() };
        let text = helper.messages.text();
        let said = if text.is_empty() { String::new() } else { format!("\n{text}") };
        fault(&codes::HELPER, format!("{program} ({}) {how}: {why}{said}", helper.id))
    }

    /// Whether QEMU has ended as after a guest's power-off, without a word.
    fn has_ended_well(&mut self) -> bool {
        let Some(qemu) = self.qemu.as_mut().filter(|qemu| qemu.has_ended()) else { return false };
        qemu.reap().is_some_and(|status| status.success()) && qemu.messages.text().is_empty()
    }

    /// Why QEMU ended before it was ready.
    pub(super) fn qemu_fault(&mut self, when: &str) -> Fault {
        let Some(qemu) = &mut self.qemu else { return interrupted() };
        if !qemu.wait(Duration::from_secs(2)) {
            return fault(&codes::FAILED, format!("QEMU closed its monitor {when}"));
        }
        let how = ended(qemu.reap());
        let text = qemu.messages.text();
        let fault = if text.is_empty() {
            fault(&codes::FAILED, format!("QEMU {how} {when}, without a message"))
        } else {
            fault(&codes::FAILED, format!("QEMU {how} {when}:\n{text}"))
        };
        match meaning(&text) {
            Some(help) => fault.with_help(help),
            None => fault,
        }
    }

    /// Connects to the monitor as soon as QEMU listens, and shakes hands.
    fn await_monitor(&mut self, path: &Path, timeout: Duration) -> Result<(), Fault> {
        let deadline = Instant::now() + timeout;
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => {
                    let text = format!("QEMU's monitor {} does not open: {error}", path.display());
                    return Err(fault(&codes::MONITOR, text));
                }
                Err(_) => {}
            }
            if self.signals.take().is_some() {
                return Err(interrupted());
            }
            if self.qemu.as_ref().is_none_or(|qemu| qemu.wait(GLANCE)) {
                return Err(self.qemu_fault("before it was ready"));
            }
        };
        match Qmp::new(stream, timeout) {
            Ok(qmp) => self.qmp = Some(qmp),
            Err(error) => return Err(self.qmp_fault(error)),
        }
        Ok(())
    }

    /// A failed conversation: if QEMU has died, its own words say more.
    pub(super) fn qmp_fault(&mut self, error: QmpError) -> Fault {
        match error {
            QmpError::Closed => self.qemu_fault("before it was ready"),
            other => fault(&codes::MONITOR, format!("the machine '{}': {other}", self.name)),
        }
    }

    /// Has QEMU count how long requests to disks take.
    fn count_requests(&mut self, plan: &Plan, say: &mut dyn FnMut(&str)) {
        for histogram in &plan.histograms {
            let arguments = json!({ "id": histogram.device, histogram.argument(): histogram.boundaries });
            if let Err(fault) = self.command(plan::Histogram::COMMAND, arguments) {
                say(&format!("the times of requests are not counted ({}): {}", histogram.cause, fault.message));
            }
        }
    }

    /// Executes a command during the start.
    pub(super) fn command(&mut self, name: &str, arguments: Value) -> Result<Value, Fault> {
        let Some(qmp) = &mut self.qmp else { return Err(interrupted()) };
        let result = qmp.execute(name, arguments);
        result.map_err(|e| self.qmp_fault(e))
    }

    /// Tells QEMU what to do at the end of the guest, lets a paused start go on, and waits for `running`.
    fn await_running(&mut self, plan: &Plan, paused: bool, timeout: Duration) -> Result<(), Fault> {
        if let Some(actions) = self.lifecycle_actions() {
            // QEMU before 6.0 has no such command; then the events of the supervisor have to do.
            if let Some(qmp) = &mut self.qmp {
                match qmp.execute("set-action", actions) {
                    Ok(_) | Err(QmpError::Refused { .. }) => {}
                    Err(error) => return Err(self.qmp_fault(error)),
                }
            }
        }
        if paused {
            self.command("cont", json!({}))?;
        }
        let deadline = Instant::now() + timeout;
        loop {
            let status = self.command("query-status", json!({}))?;
            match status["status"].as_str().unwrap_or_default() {
                // An incoming migration runs when its state has come.
                "running" | "inmigrate" => return Ok(()),
                "internal-error" | "io-error" => {
                    let why = if plan.accelerator == Accelerator::Kvm {
                        "KVM cannot run this guest's instructions; to emulate: <domain type='qemu'>"
                    } else {
                        "see the messages above"
                    };
                    return Err(fault(
                        &codes::FAILED,
                        format!("the guest stopped with {} at its start", status["status"]),
                    )
                    .with_help(why));
                }
                // The guest was faster than we are: it has powered off already.
                "shutdown" | "guest-panicked" | "paused" | "suspended" => return Ok(()),
                other if Instant::now() > deadline => {
                    return Err(fault(&codes::FAILED, format!("the machine is not running, but {other}")));
                }
                _ => std::thread::sleep(GLANCE),
            }
            if self.signals.take().is_some() {
                return Err(interrupted());
            }
        }
    }

    /// Listens for `virtc monitor` and its like.
    pub(super) fn open_proxy(&mut self) -> Result<(), Fault> {
        let path = self.registry.control(&self.name);
        let greeting = self.qmp.as_ref().map(|q| q.greeting().clone()).unwrap_or_default();
        let _ = std::fs::remove_file(&path);
        let proxy = Proxy::listen(&path, greeting)
            .map_err(|e| fault(&codes::PREPARE, format!("cannot listen on {}: {e}", path.display())))?;
        self.proxy = Some(proxy);
        Ok(())
    }
}
