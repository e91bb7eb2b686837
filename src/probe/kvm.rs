//! Whether KVM really runs a guest: `/dev/kvm` may open, and even create a virtual machine, on a host
//! where no virtual CPU can run (nested virtualisation switched off, a paravirtual KVM).

use crate::vocab::Arch;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the guest of two instructions may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What QEMU's debug-exit device makes of the value 0x10 that the guest writes: `(0x10 << 1) | 1`.
const GUEST_WAS_HERE: i32 = 33;
/// The port of the debug-exit device.
const PORT: u8 = 0xf4;

/// Runs a guest of two instructions under KVM with `binary`; the error says what happened instead.
/// Only an x86 guest is known; elsewhere QEMU's own start under KVM has to do.
pub fn runs(binary: &Path, arch: Arch) -> Result<(), String> {
    if !arch.is_x86() {
        return Ok(());
    }
    // In memory, so that nobody can put another file in its place; inherited, so that QEMU can open it.
    let image = rustix::fs::memfd_create("virtc-kvm", rustix::fs::MemfdFlags::empty())
        .map(std::fs::File::from)
        .and_then(|mut file| file.write_all(&firmware_image()).map(|()| file).map_err(|_| rustix::io::Errno::IO))
        .map_err(|e| format!("cannot make a file in memory: {e}"))?;
    start(binary, &format!("/proc/self/fd/{}", image.as_raw_fd()))
}

/// 64 KiB that end with the code at which an x86 CPU starts: `mov al, 0x10; out 0xf4, al; hlt`.
fn firmware_image() -> Vec<u8> {
    const HLT: u8 = 0xf4;
    let mut image = vec![HLT; 64 << 10];
    let start = image.len() - 16;
    image[start..start + 5].copy_from_slice(&[0xb0, 0x10, 0xe6, PORT, HLT]);
    image
}

fn start(binary: &Path, firmware: &str) -> Result<(), String> {
    let mut child = Command::new(binary)
        .args(["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot", "-m", "16"])
        .args(["-machine", "pc", "-accel", "kvm", "-cpu", "host"])
        .args(["-device", &format!("isa-debug-exit,iobase={PORT:#x},iosize=1")])
        .arg("-bios")
        .arg(firmware)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start {}: {e}", binary.display()))?;
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.code() == Some(GUEST_WAS_HERE) => return Ok(()),
            Ok(Some(status)) => {
                let mut text = String::new();
                if let Some(mut stderr) = child.stderr.take() {
                    let _ = std::io::Read::read_to_string(&mut stderr, &mut text);
                }
                let said = if text.trim().is_empty() { status.to_string() } else { text.trim().to_string() };
                return Err(format!("/dev/kvm opens, but a virtual CPU does not run: {said}"));
            }
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("/dev/kvm opens, but a virtual CPU does not get anywhere".to_string());
            }
            Err(e) => return Err(e.to_string()),
        }
    }
}
