//! SIGKILL at any moment: what is left is found and removed.

use crate::bed::{Bed, finish, has_qemu, kill, until};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    assert!(bed.serial().contains(crate::bed::image::FAREWELL));
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
    let bed = Bed::new("cycle").with_serial_file();
    let drive = format!("file={},format=raw,if=virtio", bed.path("disk"));
    let bed = bed.with(&["-drive", &drive]);
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
            match bed.processes().into_iter().find(|pid| *pid != child.id() as i32) {
                Some(qemu) if random(2) == 0 => kill(qemu, "KILL"),
                _ => kill(child.id() as i32, "KILL"),
            }
            // Either the runner was killed, or it tidies up after QEMU and ends.
            child.wait().expect("a child");
            bed.ok(&["clean"]);
        }
        bed.assert_nothing_left();
        assert_eq!(disk(&bed), before);
        let _ = std::fs::remove_file(bed.path("serial"));
    }
}
