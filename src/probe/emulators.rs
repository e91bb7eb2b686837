//! The QEMUs of this host, asked when a domain needs one, and remembered: in memory for a run of virtc, and in the
//! user's cache from one run to the next.

use super::qemu::{binary_for, native_arch, probe};
use crate::caps::{Capabilities, Chosen, Fit, Held, Wanted, compact, compact_write, fitting};
use crate::diag::Diagnostics;
use crate::host::Host;
use crate::lower::policy::refused_emulator;
use crate::vocab::Arch;
use std::borrow::Cow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The largest file of the cache that is read, bytes.
const MAX_SIZE: u64 = 4 << 20;

/// Where modules of QEMU are: what it can do changes when one is installed.
const MODULES: [&str; 5] = [
    "/usr/lib/qemu",
    "/usr/lib64/qemu",
    "/usr/lib64/qemu-kvm",
    "/usr/lib/x86_64-linux-gnu/qemu",
    "/usr/lib/aarch64-linux-gnu/qemu",
];

/// What one QEMU said, or why it said nothing.
type Answer = Result<Arc<Capabilities>, String>;

/// The QEMUs of this host.
#[derive(Default)]
pub struct Emulators {
    /// Whether the host facts may name programs to be asked: not those of a project, which comes with its domains.
    trusts_facts: bool,
    /// What was asked so far.
    asked: Mutex<Vec<(PathBuf, Answer)>>,
}

impl Emulators {
    /// `trusts_facts`: whether the host facts may name programs to be asked.
    pub fn new(trusts_facts: bool) -> Emulators {
        Emulators { trusts_facts, ..Emulators::default() }
    }

    /// The capabilities of the emulator that a domain names, or of this host's for its architecture. Where it cannot be
    /// asked, the embedded profile that fits.
    /// A program that the host does not let run for a guest is not run to be asked, either.
    pub fn for_domain(&self, wanted: &Wanted<'_>, host: &Host) -> Chosen<'static> {
        let nobody = Host::default();
        let consents = if self.trusts_facts { host } else { &nobody };
        match binary(wanted, consents).and_then(|binary| Ok((self.ask(&binary)?, binary))) {
            Ok((caps, binary)) => {
                Chosen { caps: Held::Shared(caps), from: Cow::Owned(binary.display().to_string()), fit: Fit::Fits }
            }
            Err(why) => Chosen { fit: Fit::NotAsked(why), ..fitting(wanted) },
        }
    }

    /// Asks a program, once.
    fn ask(&self, binary: &Path) -> Answer {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = asked.iter().find(|(known, _)| known == binary) {
            return answer.clone();
        }
        let answer = capabilities_of(binary).map(Arc::new);
        asked.push((binary.to_path_buf(), answer.clone()));
        answer
    }
}

/// The program that a domain means.
fn binary(wanted: &Wanted<'_>, host: &Host) -> Result<PathBuf, String> {
    if let Some((path, why)) = wanted.emulator.and_then(|path| Some((path, refused_emulator(path, host)?))) {
        return Err(format!("the emulator '{}' is not asked: {why}", path.escape_debug()));
    }
    match wanted.emulator {
        Some(path) if Path::new(path).is_file() => Ok(PathBuf::from(path)),
        Some(path) => Err(format!("there is no emulator '{path}' on this host")),
        None => {
            let arch = wanted.arch.or_else(native_arch).unwrap_or(Arch::X86_64);
            // Of several names for one program the one that a package installs.
            binary_for(arch).ok_or_else(|| format!("there is no QEMU for '{arch}' on this host"))
        }
    }
}

/// What a program can do: from the cache while nothing has changed, else asked.
pub fn capabilities_of(binary: &Path) -> Result<Capabilities, String> {
    let key = key(binary);
    let file = key.as_deref().and_then(|key| Some(cache()?.join(format!("{:016x}.caps", sum(key)))));
    if let (Some(key), Some(file)) = (&key, &file)
        && let Some(caps) = recall(file, key)
    {
        return Ok(caps);
    }
    let caps = probe(binary, true).map_err(|why| format!("cannot ask '{}': {why}", binary.display()))?.caps;
    if let (Some(key), Some(file)) = (&key, &file) {
        // Without a cache it is asked again next time.
        let _ = remember(file, key, &caps);
    }
    Ok(caps)
}

/// All that an answer depends on, in a line: the program, its modules, KVM, the kernel, and this virtc. None for what is
/// not there.
fn key(binary: &Path) -> Option<String> {
    let real = binary.canonicalize().ok()?;
    let data = real.metadata().ok()?;
    let mut key = format!(
        "# {} {} size={} mtime={}.{}",
        env!("CARGO_PKG_VERSION"),
        binary.display(),
        data.size(),
        data.mtime(),
        data.mtime_nsec()
    );
    for folder in MODULES {
        if let Ok(data) = std::fs::metadata(folder) {
            key.push_str(&format!(" modules={}.{}", data.mtime(), data.mtime_nsec()));
        }
    }
    let kvm = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    key.push_str(&format!(" kvm={kvm} kernel={}", kernel.trim()));
    (!key.contains('\n')).then_some(key)
}

/// FNV-1a.
fn sum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The folder of the cache: that of the user, by the rules of the XDG base directories.
fn cache() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("virtc/qemu"))
}

/// What a file of the cache says, if it is ours and about the same.
fn recall(file: &Path, key: &str) -> Option<Capabilities> {
    let data = file.metadata().ok()?;
    if !data.is_file() || data.len() > MAX_SIZE || data.uid() != rustix::process::geteuid().as_raw() {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    if text.lines().nth(1) != Some(key) {
        return None;
    }
    compact::read(&text, &mut Diagnostics::new())
}

/// Writes a file of the cache, whole or not at all.
fn remember(file: &Path, key: &str, caps: &Capabilities) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder)?;
    let text = compact_write::write(caps).replacen('\n', &format!("\n{key}\n"), 1);
    let draft = file.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, file)).inspect_err(|_| {
        let _ = std::fs::remove_file(&draft);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::profiles;

    #[test]
    fn what_is_remembered_is_recalled_until_something_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("new/a.caps");
        let caps = profiles::named("qemu-10.0", Arch::X86_64).expect("a profile");
        remember(&file, "# key", &caps).expect("written");
        assert_eq!(recall(&file, "# key"), Some(caps));
        assert!(recall(&file, "# another").is_none());
        assert_eq!(std::fs::read_dir(folder.path().join("new")).expect("the folder").count(), 1);
        std::fs::write(&file, "virtc-capabilities 1\n# key\nnonsense\n").expect("written");
        assert!(recall(&file, "# key").is_none());
    }

    #[test]
    fn the_key_names_what_the_answer_depends_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let binary = folder.path().join("qemu");
        assert_eq!(key(&binary), None);
        std::fs::write(&binary, "one").expect("written");
        let before = key(&binary).expect("a key");
        std::fs::write(&binary, "two and more").expect("written");
        assert_ne!(key(&binary).expect("a key"), before);
    }

    #[test]
    fn a_program_of_the_domain_is_not_run_to_be_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let [program, mark] = ["qemu", "mark"].map(|name| folder.path().join(name));
        std::fs::write(&program, format!("#!/bin/sh\ntouch {}\n", mark.display())).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("executable");
        for path in [program.to_str().expect("UTF-8"), "/usr/bin/env", "/usr/../bin/qemu", "qemu"] {
            let wanted = Wanted { emulator: Some(path), ..Wanted::default() };
            let chosen = Emulators::default().for_domain(&wanted, &Host::default());
            assert!(matches!(chosen.fit, Fit::NotAsked(why) if why.contains("is not asked")), "{path}");
        }
        assert!(!mark.exists());
    }

    #[test]
    fn without_the_emulator_a_profile_fits() {
        let wanted = Wanted { arch: Some(Arch::X86_64), machine: Some("q35"), emulator: Some("/usr/nonexistent/qemu") };
        let chosen = Emulators::default().for_domain(&wanted, &Host::default());
        assert_eq!(chosen.fit, Fit::NotAsked("there is no emulator '/usr/nonexistent/qemu' on this host".to_string()));
        assert_eq!(chosen.from, "profile qemu-10.0.x86_64");
    }
}
