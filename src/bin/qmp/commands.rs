//! The commands.

use crate::main_process::MainProcess;
use crate::monitor::Monitor;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::{Value, json};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Makes the files of a machine that are copied from templates.
pub fn copy(file: &str) -> Result<(), String> {
    virtc::run::copy_templates(&crate::plan(file)?).map_err(|fault| fault.message.clone())
}

/// How long QEMU has for an answer that needs no work.
const SOON: Duration = Duration::from_secs(20);

/// The states of a guest that waits for somebody to let it go on.
const PAUSED: [&str; 4] = ["prelaunch", "inmigrate", "paused", "suspended"];

/// The part of QEMU that is neither a virtual CPU nor an I/O thread.
const EMULATOR: &str = "emulator";

/// Waits until the guest runs.
pub fn wait(socket: &str, until: Instant, may_be_paused: bool) -> Result<(), String> {
    let process = MainProcess::find()?;
    let mut monitor = Monitor::connect(socket, &process, until)?;
    loop {
        let answer = monitor.ask("query-status")?;
        let status = answer["status"].as_str().unwrap_or_default();
        if status == "running" || (may_be_paused && PAUSED.contains(&status)) {
            return Ok(());
        }
        let now = Instant::now();
        if now >= until {
            return Err(format!("the guest does not run, it is '{status}'"));
        }
        process.watch(None, until.min(now + Duration::from_millis(100)));
        if process.has_ended() {
            return Err("QEMU has ended".to_string());
        }
    }
}

/// Waits until a socket is there. It is not connected to: its one client is QEMU.
pub fn socket(path: &str, until: Instant) -> Result<(), String> {
    let process = MainProcess::find()?;
    loop {
        if std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket()) {
            return Ok(());
        }
        let now = Instant::now();
        if now >= until {
            return Err(format!("the socket {path} was not made in time"));
        }
        process.watch(None, until.min(now + Duration::from_millis(50)));
        if process.has_ended() {
            return Err(format!("the process has ended before it made its socket {path}"));
        }
    }
}

/// Presses the power button and waits for QEMU to end. A machine that is off needs no button.
pub fn power_down(socket: &str, until: Instant) -> Result<(), String> {
    if std::env::var_os("MAINPID").is_none() && !Path::new(socket).exists() {
        return Ok(());
    }
    let Ok(process) = MainProcess::find() else { return Ok(()) };
    let mut monitor = match Monitor::connect(socket, &process, until.min(Instant::now() + SOON)) {
        Err(_) if process.has_ended() => return Ok(()),
        monitor => monitor?,
    };
    monitor.ask("system_powerdown")?;
    println!("asked the guest to power off");
    if process.pid().is_none() {
        return Ok(());
    }
    process.watch(None, until);
    if process.has_ended() { Ok(()) } else { Err("the guest has not powered off in time".to_string()) }
}

/// Puts threads on CPUs.
pub fn pin(socket: &str, pins: &[&str]) -> Result<(), String> {
    let process = MainProcess::find()?;
    let mut monitor = Monitor::connect(socket, &process, Instant::now() + SOON)?;
    let threads = threads(&mut monitor, process.pid())?;
    let mut faults = Vec::new();
    for pin in pins {
        let (name, cpus) = pin.split_once('=').ok_or(format!("'{pin}' is not THREAD=CPUS"))?;
        let set = cpu_set(cpus).ok_or(format!("'{cpus}' is no list of CPUs"))?;
        let mut found = false;
        for (_, thread) in threads.iter().filter(|(own, _)| own == name) {
            found = true;
            // A thread may end at any time, but for those that have a name.
            if let Err(error) = sched_setaffinity(Some(*thread), &set)
                && (name != EMULATOR || error != rustix::io::Errno::SRCH)
            {
                faults.push(format!("{name} cannot be put on CPUs {cpus}: {error}"));
            }
        }
        if !found {
            faults.push(format!("there is no {name}"));
        }
    }
    faults.dedup();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// Has QEMU count how long requests to a disk take. Without boundaries there is one bin.
pub fn histogram(socket: &str, disk: &str, bins: &str) -> Result<(), String> {
    let (argument, starts) = bins.split_once('=').ok_or(format!("'{bins}' is not ARGUMENT=NANOSECONDS,..."))?;
    let starts: Result<Vec<u64>, _> = starts.split(',').filter(|s| !s.is_empty()).map(str::parse).collect();
    let starts = starts.map_err(|_| format!("'{bins}' has something that is no number"))?;
    let process = MainProcess::find()?;
    let mut monitor = Monitor::connect(socket, &process, Instant::now() + SOON)?;
    monitor.ask_with("block-latency-histogram-set", json!({ "id": disk, argument: starts }))?;
    Ok(())
}

/// All threads of QEMU, by name. The kernel decides which of them an account may touch.
fn threads(monitor: &mut Monitor<'_>, qemu: Option<Pid>) -> Result<Vec<(String, Pid)>, String> {
    let mut threads = Vec::new();
    let entry = |name: String, item: &Value| Some((name, thread_id(&item["thread-id"])?));
    for cpu in monitor.ask("query-cpus-fast")?.as_array().into_iter().flatten() {
        threads.extend(entry(format!("vcpu{}", cpu["cpu-index"]), cpu));
    }
    for thread in monitor.ask("query-iothreads")?.as_array().into_iter().flatten() {
        threads.extend(entry(thread["id"].as_str().unwrap_or_default().to_string(), thread));
    }
    let Some(qemu) = qemu else { return Ok(threads) };
    let tasks = std::fs::read_dir(format!("/proc/{}/task", qemu.as_raw_nonzero())).map_err(|e| e.to_string())?;
    let tasks = tasks.filter_map(|t| t.ok()?.file_name().to_str()?.parse().ok()).filter_map(Pid::from_raw);
    let others: Vec<Pid> = tasks.filter(|task| threads.iter().all(|(_, thread)| thread != task)).collect();
    threads.extend(others.into_iter().map(|task| (EMULATOR.to_string(), task)));
    Ok(threads)
}

fn thread_id(value: &Value) -> Option<Pid> {
    value.as_i64().and_then(|n| i32::try_from(n).ok()).and_then(Pid::from_raw)
}

/// `0-3,8`
fn cpu_set(list: &str) -> Option<CpuSet> {
    let mut set = CpuSet::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= CpuSet::MAX_CPU {
            return None;
        }
        (first..=last).for_each(|cpu| set.set(cpu));
    }
    Some(set)
}

/// Fails if a USB device is not plugged in: QEMU would start without it in silence. At the boot of the host it may come a
/// little later than its machine.
pub fn usb(devices: &Path, name: &str, until: Instant) -> Result<(), String> {
    while !is_plugged_in(devices, name) {
        if Instant::now() >= until {
            return Err(format!(
                "the USB device {name} is not plugged in; a machine that may start without it has startupPolicy='optional'"
            ));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Whether a device is there: `046d:c52b` by vendor and product, `1-1.4` by bus and ports.
fn is_plugged_in(devices: &Path, name: &str) -> bool {
    let Some((vendor, product)) = name.split_once(':') else {
        return devices.join(name).join("idVendor").exists();
    };
    let says = |folder: &Path, file: &str, text: &str| {
        std::fs::read_to_string(folder.join(file)).is_ok_and(|is| is.trim().eq_ignore_ascii_case(text))
    };
    let found = std::fs::read_dir(devices).into_iter().flatten().filter_map(|e| Some(e.ok()?.path()));
    found.into_iter().any(|folder| says(&folder, "idVendor", vendor) && says(&folder, "idProduct", product))
}

/// Removes files, and the files in folders.
pub fn remove(paths: &[&str]) -> Result<(), String> {
    let mut faults = Vec::new();
    for path in paths.iter().map(Path::new) {
        let Ok(meta) = path.symlink_metadata() else { continue };
        let inner = if meta.is_dir() { std::fs::read_dir(path).ok() } else { None };
        let inner = inner.into_iter().flatten().filter_map(|e| Some(e.ok()?.path()));
        let files = inner.chain((!meta.is_dir()).then(|| path.to_path_buf()));
        let failed =
            files.filter_map(|file| Some(format!("{}: {}", file.display(), std::fs::remove_file(&file).err()?)));
        faults.extend(failed);
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usb_devices() {
        let root = tempfile::tempdir().unwrap();
        let device = root.path().join("1-1.4");
        std::fs::create_dir(&device).unwrap();
        std::fs::write(device.join("idVendor"), "046d\n").unwrap();
        std::fs::write(device.join("idProduct"), "c52b\n").unwrap();
        let plugged = |name| usb(root.path(), name, Instant::now()).is_ok();
        assert!(plugged("046d:c52b") && plugged("046D:C52B") && plugged("1-1.4"));
        assert!(!plugged("046d:c52c") && !plugged("1-1") && !plugged("1-1.4.1"));
    }

    #[test]
    fn lists_of_cpus() {
        let set = |list: &str| cpu_set(list).map(|s| Vec::from_iter((0..16).filter(|c| s.is_set(*c))));
        assert_eq!(set("0-2,8"), Some(vec![0, 1, 2, 8]));
        assert_eq!((set("3-1"), set(""), set("0-99999")), (None, None, None));
    }
}
