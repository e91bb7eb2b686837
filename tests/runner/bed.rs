//! A place for one test: a registry and a run-time directory of its own, the tiny guest, and Plans.

use crate::common::{QEMU, virtc};
use crate::image;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use virtc::plan::{
    Arg, Cause, Directory, DirectoryRole, Form, Instance, Need, Needed, Plan, Process, Props, Ready, Role, Socket,
    SocketRole,
};

/// Waits until `done` gives something.
pub fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub struct Bed {
    dir: TempDir,
    pub plan: Plan,
}

pub fn cause() -> Cause {
    Cause { line: 0, what: "test".into(), ..Cause::default() }
}

impl Bed {
    /// A machine `name` that boots the tiny guest, its serial port in a file.
    pub fn new(name: &str) -> Bed {
        let dir = tempfile::Builder::new().prefix("vt").tempdir().expect("a directory");
        std::fs::write(dir.path().join("kernel"), image::kernel()).expect("written");
        std::fs::write(dir.path().join("disk"), image::disk()).expect("written");
        let mut bed = Bed { dir, plan: Plan::default() };
        let run = bed.path("run");
        let monitor = format!("{run}/monitor.sock");
        bed.plan = Plan {
            version: Plan::VERSION,
            name: name.to_string(),
            uuid: "c7a5fdbd-edaf-9455-926a-d65c16db1809".to_string(),
            instance: Instance::Session,
            directories: vec![Directory { role: DirectoryRole::Runtime, path: run, mode: 0o700, cause: cause() }],
            sockets: vec![Socket {
                role: SocketRole::Monitor,
                path: monitor.clone(),
                process: "qemu".to_string(),
                cause: cause(),
            }],
            ..Plan::default()
        };
        let mut qemu = Process {
            role: Role::Qemu,
            id: "qemu".to_string(),
            program: QEMU.to_string(),
            ready: Ready::Monitor,
            env: vec![("LC_ALL".into(), "C".to_string())],
            ..Process::default()
        };
        let text = |switch: &'static str, value: &str| Arg::text(switch, value, cause());
        qemu.args = vec![
            text("-name", name),
            text("-machine", "pc,accel=tcg"),
            text("-m", "16"),
            text("-display", "none"),
            Arg::switch("-nodefaults", cause()),
            text("-kernel", &bed.path("kernel")),
            text("-append", "test=1"),
        ];
        let mut chardev = Props::new();
        chardev.bare("socket").set("id", "charmonitor").set("path", monitor).set("server", true).set("wait", false);
        qemu.args.push(Arg::props("-chardev", chardev, Form::Options, cause()));
        qemu.args.push(text("-mon", "chardev=charmonitor,id=monitor,mode=control"));
        bed.plan.processes.push(qemu);
        bed
    }

    /// Adds arguments to QEMU: switch, value, switch, value …
    pub fn with(mut self, args: &[&str]) -> Bed {
        for pair in args.chunks(2) {
            let arg = match pair {
                [switch, value] => Arg::text(switch.to_string(), *value, cause()),
                [switch] => Arg::switch(switch.to_string(), cause()),
                _ => continue,
            };
            self.qemu().args.push(arg);
        }
        self
    }

    /// The serial port is the terminal from which the machine is started.
    pub fn with_terminal(self) -> Bed {
        let mut bed = self.with(&["-chardev", "stdio,id=charserial0", "-serial", "chardev:charserial0"]);
        bed.qemu().needs = Needed::all(&[Need::Terminal], &cause());
        bed
    }

    /// The serial port writes to the file `serial`.
    pub fn with_serial_file(self) -> Bed {
        let serial = format!("file:{}", self.path("serial"));
        self.with(&["-serial", &serial])
    }

    /// The serial port is the socket `serial.sock`, and the file `serial` gets what the guest says.
    pub fn with_serial_socket(self) -> Bed {
        let chardev = format!(
            "socket,id=s0,path={},server=on,wait=off,logfile={}",
            self.path("run/serial.sock"),
            self.path("serial")
        );
        self.with(&["-chardev", &chardev, "-serial", "chardev:s0"])
    }

    pub fn qemu(&mut self) -> &mut Process {
        self.plan.processes.iter_mut().find(|p| p.role == Role::Qemu).expect("a QEMU")
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn registry(&self) -> PathBuf {
        self.dir.path().join("reg")
    }

    /// A virtc command in this place.
    pub fn virtc(&self, args: &[&str]) -> Command {
        let mut command = virtc();
        command.args(args).env("VIRTC_RUNTIME_DIR", self.registry()).stdin(Stdio::null());
        command
    }

    /// Runs a virtc command to its end.
    pub fn call(&self, args: &[&str]) -> Output {
        self.virtc(args).output().expect("virtc runs")
    }

    /// Runs a virtc command that must succeed; its standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        let out = self.call(args);
        let err = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(0), "virtc {args:?}: {err}");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Runs a virtc command that must fail with this status; its standard error.
    pub fn fails(&self, status: i32, args: &[&str]) -> String {
        let out = self.call(args);
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(status), "virtc {args:?}: {err}");
        err
    }

    /// Writes the plan and gives its path.
    pub fn plan_file(&self) -> String {
        let path = self.path("plan.json");
        std::fs::write(&path, serde_json::to_vec(&self.plan).expect("JSON")).expect("written");
        path
    }

    /// Starts the machine in the background.
    pub fn start(&self) {
        self.ok(&["run", "-d", &self.plan_file()]);
    }

    /// Starts the machine in the foreground, its standard input and output in our hands.
    pub fn foreground(&self) -> Child {
        self.virtc(&["run", &self.plan_file()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("virtc runs")
    }

    /// What the guest has written to its serial port so far.
    pub fn serial(&self) -> String {
        std::fs::read(self.path("serial")).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Waits until the guest has said something this many times, each on a line that it has ended.
    pub fn await_serial(&self, text: &str, times: usize) {
        until(&format!("{text} in {:?}", self.serial()), || {
            let said = self.serial();
            let whole = said.rfind('\n').map_or("", |end| &said[..end]);
            (whole.matches(text).count() >= times).then_some(())
        });
    }

    /// Waits for the guest's greeting.
    pub fn await_guest(&self) {
        self.await_serial(image::GREETING, 1);
    }

    /// Types a letter into the guest's serial socket.
    pub fn type_letter(&self, letter: &str) {
        let mut stream = UnixStream::connect(self.path("run/serial.sock")).expect("the serial socket");
        stream.write_all(letter.as_bytes()).expect("written");
        // The echo, if any, or a moment: QEMU hands over the letter before it looks at the end of the stream.
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a time-out");
        let _ = stream.read(&mut [0; 64]);
    }

    /// The number of the QEMU process, from `virtc list`.
    pub fn qemu_pid(&self) -> i32 {
        self.field("qemu").as_i64().expect("a number") as i32
    }

    /// The number of the runner.
    pub fn runner_pid(&self) -> i32 {
        self.field("runner").as_i64().expect("a number") as i32
    }

    /// QEMU's state, from `virtc list`.
    pub fn state(&self) -> String {
        self.field("state").as_str().unwrap_or_default().to_string()
    }

    fn field(&self, name: &str) -> serde_json::Value {
        let text = self.ok(&["list", "--json"]);
        let first = text.lines().next().unwrap_or_default();
        serde_json::from_str::<serde_json::Value>(first).map(|v| v[name].clone()).unwrap_or_default()
    }

    /// All processes that mention this place in their command line or environment, other than ours.
    pub fn processes(&self) -> Vec<i32> {
        let needle = self.dir.path().as_os_str().as_encoded_bytes();
        let mentions = |file: String| {
            std::fs::read(file).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
        };
        std::fs::read_dir("/proc")
            .expect("/proc")
            .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| *pid != std::process::id() as i32)
            .filter(|pid| mentions(format!("/proc/{pid}/cmdline")) || mentions(format!("/proc/{pid}/environ")))
            .filter(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z ")))
            .collect()
    }

    /// Asserts that nothing of the machine is left.
    pub fn assert_nothing_left(&self) {
        until(&format!("processes {:?} to end", self.processes()), || self.processes().is_empty().then_some(()));
        assert!(!Path::new(&self.path("run")).exists(), "the run-time directory is left");
        let machines = std::fs::read_dir(self.registry().join(".machines"));
        let left: Vec<_> = machines.into_iter().flatten().flatten().map(|e| e.file_name()).collect();
        assert!(left.is_empty(), "left in the registry: {left:?}");
        assert_eq!(self.ok(&["list", "--names"]), "");
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // A failed test leaves no machine behind. Only processes of this place are touched.
        for pid in self.processes() {
            kill(pid, "KILL");
        }
        if std::thread::panicking() {
            self.call(&["clean"]);
        }
    }
}

/// Sends a signal to one process.
pub fn kill(pid: i32, signal: &str) {
    let _ = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).stderr(Stdio::null()).status();
}

/// Waits for a child, with its standard output and error.
pub fn finish(mut child: Child) -> (Option<i32>, String, String) {
    drop(child.stdin.take());
    let out = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (out.status.code(), text(out.stdout), text(out.stderr))
}
