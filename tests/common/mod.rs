//! What the tests share: how to call virtc, what is there, and a word about what is not.

// Each of the two test programs uses a part of it.
#![allow(dead_code)]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use virtc::caps::Capabilities;
use virtc::vocab::Arch;

pub const QEMU: &str = "/usr/bin/qemu-system-x86_64";

/// The folder of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A virtc command, without colours.
pub fn virtc() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_virtc"));
    command.env("NO_COLOR", "1");
    command
}

/// Says that a test, or a part of it, is left out, and what it lacks. `tests/run` counts these lines; in CI it fails for
/// every one that `tests/may-be-missing.txt` does not list.
pub fn skip(lacks: &str) {
    let thread = std::thread::current();
    let line = format!("{}\t{lacks}\n", thread.name().unwrap_or("?"));
    eprint!("SKIPPED: {line}");
    if let Some(path) = std::env::var_os("VIRTC_SKIPS") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of what was skipped");
    }
}

/// Whether a condition of a test holds; where it does not, the test is skipped.
pub fn given(condition: bool, lacks: &str) -> bool {
    if !condition {
        skip(lacks);
    }
    condition
}

/// A program by its name; where it is missing, the test is skipped, and told which Debian package has it.
pub fn tool(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from);
    let found = usual.into_iter().chain(std::env::split_paths(&path)).map(|f| f.join(name)).find(|p| p.exists());
    given(found.is_some(), &format!("{name} (apt-get install {package})"));
    found
}

/// Whether a program is at its place.
pub fn has(program: &str, package: &str) -> bool {
    given(Path::new(program).exists(), &format!("{program} (apt-get install {package})"))
}

/// What the QEMU of this host can do, as `virtc run` asks it.
pub fn caps_here(arch: Arch) -> Capabilities {
    let binary = virtc::probe::qemu::binary_for(arch).expect("a QEMU");
    virtc::probe::qemu::probe(&binary, true).expect("an answer").caps
}

/// Whether real machines can be started.
pub fn has_qemu() -> bool {
    has(QEMU, "qemu-system-x86")
}

/// Whether we are root over all users: that of a container may have a part of them only.
pub fn is_root() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let users: u64 = map.lines().filter_map(|l| l.split_whitespace().nth(2)?.parse::<u64>().ok()).sum();
    given(rustix::process::geteuid().is_root() && users > 65_535, "root")
}

/// Whether we are root as in a container: without the right to change the system.
pub fn is_bare_root() -> bool {
    const SYS_ADMIN: u64 = 1 << 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rights = status.lines().find_map(|l| u64::from_str_radix(l.strip_prefix("CapEff:")?.trim(), 16).ok());
    rustix::process::geteuid().is_root() && rights.unwrap_or(0) & SYS_ADMIN == 0
}

/// Whether network namespaces and interfaces can be made: root of a container often cannot.
pub fn makes_networks() -> bool {
    static MAKES: OnceLock<bool> = OnceLock::new();
    let make = "ip link add virtctest0 type bridge";
    *MAKES.get_or_init(|| {
        Command::new("unshare").args(["--net", "sh", "-c", make]).output().is_ok_and(|o| o.status.success())
    })
}

/// Whether taps can be made; when `user` is to open them, /dev/net/tun has to be open to everybody.
pub fn has_tun(user: bool) -> bool {
    let mode = std::fs::metadata("/dev/net/tun").map_or(0, |m| m.permissions().mode());
    let all = mode & 0o006 == 0o006;
    given(opens("/dev/net/tun") && makes_networks() && (all || !user), "/dev/net/tun that QEMU may open")
}

/// Whether a file can be opened for reading and writing: a device node may be there and closed to us.
pub fn opens(path: &str) -> bool {
    std::fs::OpenOptions::new().read(true).write(true).open(path).is_ok()
}

/// Writes a program. By another process: what one of ours has open for writing at the moment when another test starts a
/// process cannot be executed.
pub fn write_program(path: &Path, text: &str) {
    let mut install = Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("install starts");
    install.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    assert!(install.wait().expect("install ends").success(), "{}", path.display());
}

/// A repeatable source of choices (xorshift64*): a test needs variety, and the same each time.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below.max(1)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(self.roll(from.len())) }
    }
}

/// The cases of the conformance pack, where it is at hand, and its folder.
pub fn conformance() -> Option<(PathBuf, Vec<serde_json::Value>)> {
    cases("", "the conformance pack")
}

fn cases(ending: &str, lacks: &str) -> Option<(PathBuf, Vec<serde_json::Value>)> {
    let folder =
        std::env::var_os("VIRTC_CONFORMANCE").map_or_else(|| root().join("../shared/conformance"), PathBuf::from);
    let folder = PathBuf::from(format!("{}{ending}", folder.display()));
    let Ok(list) = std::fs::read(folder.join("cases.json")) else {
        skip(lacks);
        return None;
    };
    Some((folder, serde_json::from_slice(&list).expect("cases.json is a list of cases")))
}
