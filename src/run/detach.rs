//! `virtc run -d`: a runner of its own, in a session of its own.
//!
//! The parent starts virtc again, hands it the Plan on standard input and waits for one line on its
//! standard output: that the machine runs, or why it does not.

use super::errors::{Fault, fault};
use super::registry::Registry;
use super::{Options, SecretValues, control, start};
use crate::diag::codes::{self, run};
use crate::plan::{DirectoryRole, Instance, Plan};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The hidden first argument under which virtc looks after a detached machine.
pub const SUPERVISE: &str = "__supervise";

/// What the parent hands over.
#[derive(Serialize, Deserialize)]
struct Job {
    base: PathBuf,
    instance: Instance,
    stop_timeout: u64,
    ready_timeout: u64,
    secrets: PathBuf,
    secret_values: SecretValues,
    allow_root: bool,
    work: Work,
}

/// What the runner is to do.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Work {
    Start(Box<Plan>),
    Adopt { socket: PathBuf, name: Option<String> },
}

/// What the runner answers.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Running {
        name: String,
        pid: i32,
        runner: u32,
        #[serde(default)]
        notes: Vec<String>,
    },
    Failed {
        code: String,
        message: String,
        help: Option<String>,
    },
}

/// A detached machine.
#[derive(Clone, Debug)]
pub struct Detached {
    /// Name of the domain.
    pub name: String,
    /// Number of the QEMU process.
    pub pid: i32,
    /// Number of its runner.
    pub runner: u32,
    /// Where the runner and QEMU write their messages.
    pub log: PathBuf,
    /// What was remarked during the start: they are in the log, too.
    pub notes: Vec<String>,
}

/// Starts the machine of a plan under a runner of its own.
pub fn start_detached(plan: &Plan, options: &Options) -> Result<Detached, Fault> {
    let directory = plan.directories.iter().find(|d| d.role == DirectoryRole::Log).map(|d| PathBuf::from(&d.path));
    hand_over(options, Work::Start(Box::new(plan.clone())), directory, &plan.name)
}

/// Adopts the QEMU behind a QMP socket under a runner of its own.
pub fn adopt_detached(socket: &Path, name: Option<&str>, options: &Options) -> Result<Detached, Fault> {
    let work = Work::Adopt { socket: socket.to_path_buf(), name: name.map(str::to_string) };
    hand_over(options, work, None, name.unwrap_or("adopted"))
}

fn hand_over(options: &Options, work: Work, logs: Option<PathBuf>, name: &str) -> Result<Detached, Fault> {
    let failed = |what: &str, e: &dyn std::fmt::Display| fault(&run::PREPARE, format!("cannot {what}: {e}"));
    let directory = logs.unwrap_or_else(|| options.registry.base().join(".log"));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(|e| failed(&format!("make {}", directory.display()), &e))?;
    let log = directory.join(format!("{}.log", super::registry::file_name(name)));
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log)
        .map_err(|e| failed(&format!("write {}", log.display()), &e))?;
    let job = Job {
        base: options.registry.base().to_path_buf(),
        instance: options.registry.instance(),
        stop_timeout: options.stop_timeout.as_millis() as u64,
        ready_timeout: options.ready_timeout.as_millis() as u64,
        secrets: options.secrets.clone(),
        secret_values: options.secret_values.clone(),
        allow_root: options.allow_root,
        work,
    };
    let text = serde_json::to_vec(&job).map_err(|e| failed("write the plan", &e))?;
    let mut child = Command::new(&options.virtc)
        .arg(SUPERVISE)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(file)
        .spawn()
        .map_err(|e| failed(&format!("start {}", options.virtc.display()), &e))?;
    // When the runner dies early, its answer says more than this.
    let written = child.stdin.take().map(|mut pipe| pipe.write_all(&text));
    let mut line = String::new();
    if let Some(pipe) = child.stdout.take() {
        let _ = BufReader::new(pipe).read_line(&mut line);
    }
    match serde_json::from_str(&line) {
        Ok(Answer::Running { name, pid, runner, notes }) => Ok(Detached { name, pid, runner, log, notes }),
        Ok(Answer::Failed { code, message, help }) => {
            let _ = child.wait();
            let mut fault = fault(codes::find(&code).unwrap_or(&run::FAILED), message);
            fault.help = help;
            Err(fault)
        }
        Err(_) => {
            let status = child.wait().map(|s| s.to_string()).unwrap_or_default();
            let why = match written {
                Some(Err(error)) => format!("{status}; {error}"),
                _ => status,
            };
            Err(fault(&run::FAILED, format!("the runner ended without an answer ({why}); see {}", log.display())))
        }
    }
}

/// `virtc __supervise`: reads the job from standard input, does it, and ends with the exit status.
pub fn supervise(virtc: PathBuf) -> u8 {
    // A session of its own: the terminal's hang-up and Ctrl-C do not reach it.
    let _ = rustix::process::setsid();
    let mut text = Vec::new();
    let job: Job = match std::io::stdin()
        .read_to_end(&mut text)
        .map_err(|e| e.to_string())
        .and_then(|_| serde_json::from_slice(&text).map_err(|e| e.to_string()))
    {
        Ok(job) => job,
        Err(why) => {
            eprintln!("virtc: the plan is not understood: {why}");
            return 2;
        }
    };
    let options = Options {
        virtc,
        registry: Registry::at(job.base, job.instance),
        stop_timeout: Duration::from_millis(job.stop_timeout),
        ready_timeout: Duration::from_millis(job.ready_timeout),
        secrets: job.secrets,
        secret_values: job.secret_values,
        allow_root: job.allow_root,
        terminal: false,
    };
    let mut say = |text: &str| eprintln!("virtc: {}", crate::diag::printable(text));
    let mut notes = Vec::new();
    let mut remark = |text: &str| {
        say(text);
        notes.push(text.to_string());
    };
    let machine = match &job.work {
        Work::Start(plan) => start(plan, &options, &mut remark),
        Work::Adopt { socket, name } => control::adopt(socket, name.as_deref(), &options, &mut remark),
    };
    let answer = match &machine {
        Ok(machine) => {
            Answer::Running { name: machine.name.clone(), pid: machine.pid(), runner: std::process::id(), notes }
        }
        Err(fault) => {
            Answer::Failed { code: fault.code.id.to_string(), message: fault.message.clone(), help: fault.help.clone() }
        }
    };
    let line = serde_json::to_string(&answer).unwrap_or_default();
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    // The parent waits for nothing more, and a later print must not meet its closed pipe.
    if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
    }
    let result = machine.and_then(|mut machine| machine.supervise(&mut say));
    match result {
        Ok(outcome) => {
            say(&format!("ended: {outcome:?}"));
            0
        }
        Err(fault) => {
            say(&format!("{} {}", fault.code.id, fault.message));
            4
        }
    }
}
