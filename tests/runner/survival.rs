//! SIGKILL at any moment: what is left is found and removed.

use super::bed::{Bed, cause, finish, kill, until};
use super::surroundings::confined;
use crate::common::{has_qemu, has_tun, is_root};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use virtc::plan::{Link, LinkKind};

#[test]
fn qemu_is_killed() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("victim").with_serial_file();
    let child = bed.foreground();
    bed.await_guest();
    until("running", || (bed.state() == "running").then_some(()));
    kill(bed.qemu_pid(), "KILL");
    let (status, _, err) = finish(child);
    assert_eq!(status, Some(4), "{err}");
    assert!(err.contains("VC1201") && err.contains("SIGKILL"), "{err}");
    bed.assert_nothing_left();
}

#[test]
fn the_runner_is_killed() {
    if !has_qemu() {
        return;
    }
    // The guest goes on, can be asked, and can be stopped in good order.
    let bed = Bed::new("orphan").with_serial_file();
    bed.start();
    bed.await_guest();
    kill(bed.runner_pid(), "KILL");
    until("the runner's end", || bed.state().contains("without runner").then_some(()));
    assert!(bed.ok(&["monitor", "orphan", "query-status"]).contains("running"));
    let err = bed.fails(4, &["run", &bed.plan_file()]);
    assert!(err.contains("VC1211") && err.contains("virtc stop orphan"), "{err}");
    bed.ok(&["stop", "orphan"]);
    assert!(bed.serial().contains(crate::image::FAREWELL));
    bed.assert_nothing_left();

    // clean ends it, too.
    let bed = Bed::new("orphan").with_serial_file();
    bed.start();
    kill(bed.runner_pid(), "KILL");
    until("the runner's end", || bed.state().contains("without runner").then_some(()));
    bed.ok(&["clean"]);
    bed.assert_nothing_left();
}

#[test]
fn both_are_killed_and_the_next_run_tidies_up() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("phoenix").with_serial_file();
    bed.start();
    let (runner, qemu) = (bed.runner_pid(), bed.qemu_pid());
    kill(runner, "KILL");
    kill(qemu, "KILL");
    until("both to end", || bed.state().contains("left over").then_some(()));
    let out = bed.call(&["run", "-d", &bed.plan_file()]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    bed.ok(&["stop", "--force", "phoenix"]);
    bed.assert_nothing_left();
}

#[test]
fn what_a_start_by_hand_left_is_taken_over() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("stale").with_serial_file();
    std::fs::create_dir(bed.path("run")).expect("made");
    drop(std::os::unix::net::UnixListener::bind(bed.path("run/monitor.sock")).expect("a socket"));
    bed.start();
    bed.ok(&["stop", "--force", "stale"]);
    bed.assert_nothing_left();
    // A directory with something else in it is not ours to remove.
    std::fs::create_dir(bed.path("run")).expect("made");
    std::fs::write(bed.path("run/notes"), "mine").expect("written");
    bed.start();
    bed.ok(&["stop", "--force", "stale"]);
    assert_eq!(std::fs::read_to_string(bed.path("run/notes")).expect("kept"), "mine");
}

/// Adds a tap that the runner makes, and a limit that needs a control group.
fn with_tap(mut bed: Bed, name: &str) -> Bed {
    bed.plan.limits.cpu_shares = Some(512);
    bed.plan.links.push(Link {
        kind: LinkKind::Tap,
        name: name.to_string(),
        over: None,
        mode: None,
        mac: "52:54:00:12:34:59".to_string(),
        mtu: None,
        managed: true,
        queues: 1,
        vhost: false,
        bandwidth: None,
        up: true,
        cause: cause(),
    });
    let netdev = format!("tap,id=n0,ifname={name},script=no,downscript=no");
    bed.with(&["-netdev", &netdev, "-device", "e1000,netdev=n0"])
}

/// The control groups of machines with the name that the cycles use.
fn groups(folder: &str, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().filter(|_| depth > 0) {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            let path = entry.path().display().to_string();
            if entry.file_name().to_string_lossy().starts_with("cycle.") {
                found.push(path.clone());
            }
            found.extend(groups(&path, depth - 1));
        }
    }
    found
}

/// Start/stop cycles, a part of them ended with SIGKILL of the runner or of QEMU at some moment.
#[test]
fn cycles() {
    if !has_qemu() {
        return;
    }
    let cycles = std::env::var("VIRTC_CYCLES").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let disk = |bed: &Bed| {
        let meta = std::fs::metadata(bed.path("disk")).expect("the disk");
        (meta.uid(), meta.gid(), meta.mode())
    };
    // Root changes owners, makes a tap and control groups; others have their processes and files.
    let root = is_root();
    let bed = if root {
        confined("cycle")
    } else {
        let bed = Bed::new("cycle").with_serial_file();
        let drive = format!("file={},format=raw,if=virtio", bed.path("disk"));
        bed.with(&["-drive", &drive])
    };
    let tap = format!("vc{}", std::process::id());
    let bed = if root && has_tun(true) { with_tap(bed, &tap) } else { bed };
    let before = disk(&bed);
    // Any sequence will do; the seed is printed, so that a failure can be seen again.
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").subsec_nanos() | 1;
    println!("seed {seed}");
    let mut random = |below: u32| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed % below
    };
    for cycle in 0..cycles {
        if cycle % 4 != 3 {
            bed.start();
            if cycle % 4 == 1 {
                bed.await_guest();
            }
            bed.ok(&["stop", if cycle % 4 == 2 { "--force" } else { "--timeout=1" }, "cycle"]);
        } else {
            let mut child = bed.foreground();
            std::thread::sleep(Duration::from_millis(u64::from(random(120))));
            // Not what is about to become a program that the runner asks for something: nobody would end then.
            let is_qemu = |pid: &i32| {
                std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("qemu"))
            };
            match bed.processes().into_iter().find(is_qemu) {
                Some(qemu) if random(2) == 0 => kill(qemu, "KILL"),
                _ => kill(child.id() as i32, "KILL"),
            }
            // Either the runner was killed, or it tidies up after QEMU and ends.
            child.wait().expect("a child");
            bed.ok(&["clean"]);
        }
        bed.assert_nothing_left();
        assert_eq!(disk(&bed), before);
        assert!(!Path::new(&format!("/sys/class/net/{tap}")).exists(), "the tap is left");
        assert_eq!(groups("/sys/fs/cgroup", 4), Vec::<String>::new());
        std::fs::write(bed.path("serial"), "").expect("emptied");
    }
}
