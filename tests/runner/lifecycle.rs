//! Start, the ends that a guest can come to, stop.

use super::bed::{Bed, finish, kill, until};
use crate::common::{has, has_qemu};
use crate::image;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[test]
fn starts_and_shuts_the_guest_down() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("web").with_serial_file();
    bed.start();
    bed.await_serial("command line: test=1", 1);
    assert_eq!(bed.state(), "running");
    let mode = std::fs::metadata(bed.path("run")).expect("the run-time directory").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(bed.ok(&["list"]).contains("web"));
    bed.ok(&["stop", "web"]);
    assert!(bed.serial().contains(image::FAREWELL), "the guest was not asked: {}", bed.serial());
    bed.assert_nothing_left();
    assert!(bed.fails(4, &["stop", "web"]).contains("VC1205"));
}

#[test]
fn interrupt_powers_the_guest_off() {
    if !has_qemu() {
        return;
    }
    for signal in ["INT", "TERM", "HUP"] {
        let bed = Bed::new("web").with_serial_file();
        let child = bed.foreground();
        bed.await_guest();
        until("running", || (bed.state() == "running").then_some(()));
        kill(child.id() as i32, signal);
        let (status, _, err) = finish(child);
        assert_eq!(status, Some(0), "{err}");
        assert!(bed.serial().contains(image::FAREWELL), "{err}");
        bed.assert_nothing_left();
    }
}

#[test]
fn a_deaf_guest_is_ended_after_the_time_out() {
    if !has_qemu() {
        return;
    }
    // Paused, it cannot react to its power button.
    let bed = Bed::new("deaf").with_serial_file();
    bed.start();
    bed.await_guest();
    bed.ok(&["monitor", "deaf", "stop"]);
    let stopped = bed.call(&["stop", "--timeout", "1", "deaf"]);
    let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert!(stopped.status.success() && said.contains("has not powered off within 1 s"), "{said}");
    assert!(!bed.serial().contains(image::FAREWELL));
    bed.assert_nothing_left();
    let bed = Bed::new("deaf").with_serial_file();
    bed.start();
    bed.ok(&["stop", "--force", "deaf"]);
    bed.assert_nothing_left();
}

#[test]
fn the_terminal_is_the_guests() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("console").with_terminal();
    let mut child = bed.foreground();
    let mut output = child.stdout.take().expect("a pipe");
    let mut seen = String::new();
    while !seen.contains("test=1\r\n") {
        let mut buffer = [0; 256];
        let read = output.read(&mut buffer).expect("output");
        assert!(read > 0, "the guest said only {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    child.stdin.as_mut().expect("a pipe").write_all(b"xq").expect("typed");
    output.read_to_string(&mut seen).expect("output");
    let (status, _, err) = finish(child);
    assert_eq!(status, Some(0), "{err}");
    assert!(seen.contains(image::GREETING) && seen.contains('x') && seen.contains(image::FAREWELL), "{seen:?}");
    assert!(err.contains("powered off"), "{err}");
    bed.assert_nothing_left();
}

#[test]
fn ctrl_c_presses_the_power_button() {
    if !has_qemu() || !has("/usr/bin/script", "bsdutils") {
        return;
    }
    let bed = Bed::new("keys").with_terminal();
    // script gives virtc a terminal of its own, in whose foreground it is.
    let virtc = bed.virtc(&["run", &bed.plan_file()]);
    let status = bed.path("status");
    let mut line = format!("trap : INT; {}", virtc.get_program().to_string_lossy());
    for word in virtc.get_args() {
        line.push(' ');
        line.push_str(&word.to_string_lossy());
    }
    // virtc's own status: script has been seen to end with another one.
    line.push_str(&format!("; echo $? >{status}"));
    let mut command = std::process::Command::new("/usr/bin/script");
    command.args(["-qefc", &line, "/dev/null"]).envs(virtc.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("script runs");
    let mut output = child.stdout.take().expect("a pipe");
    let mut seen = String::new();
    let mut wait_for = |text: &str| {
        while !seen.contains(text) {
            let mut buffer = [0; 256];
            let read = output.read(&mut buffer).expect("output");
            assert!(read > 0, "{text:?} is not in {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    };
    wait_for("test=1");
    let mut keys = child.stdin.take().expect("a pipe");
    // A key reaches the guest at once, without a line end; it echoes it, and nobody else does.
    keys.write_all(b"x").expect("typed");
    wait_for("x");
    keys.write_all(b"\x03").expect("typed");
    wait_for(image::FAREWELL);
    wait_for("powered off");
    // The rest, to the end: script must not wait for a reader, and a failure is to show everything.
    output.read_to_string(&mut seen).expect("output");
    child.wait().expect("it ends");
    assert!(!seen.contains("xx"), "{seen:?}");
    assert_eq!(std::fs::read_to_string(status).expect("virtc's status"), "0\n", "{seen:?}");
    bed.assert_nothing_left();
}

/// A machine whose guest has greeted, with these lifecycle actions.
fn machine(poweroff: &str, reboot: &str, crash: &str) -> Bed {
    let mut bed = Bed::new("life").with_serial_socket().with(&["-device", "pvpanic"]);
    bed.plan.lifecycle.on_poweroff = poweroff.to_string().into();
    bed.plan.lifecycle.on_reboot = reboot.to_string().into();
    bed.plan.lifecycle.on_crash = crash.to_string().into();
    bed.start();
    bed.await_guest();
    bed
}

/// Waits until the runner has ended by itself.
fn await_end(bed: &Bed) -> String {
    until("the end", || bed.ok(&["list", "--names"]).is_empty().then_some(()));
    bed.assert_nothing_left();
    std::fs::read_to_string(bed.path("reg/.log/life.log")).expect("a log")
}

#[test]
fn power_off() {
    if !has_qemu() {
        return;
    }
    let bed = machine("destroy", "restart", "destroy");
    bed.type_letter("q");
    assert!(await_end(&bed).contains("PoweredOff"));

    let bed = machine("restart", "restart", "destroy");
    bed.type_letter("q");
    bed.await_serial(image::GREETING, 2);
    assert_eq!(bed.state(), "running");
    bed.ok(&["stop", "--force", "life"]);
    bed.assert_nothing_left();

    let bed = machine("preserve", "restart", "destroy");
    bed.type_letter("q");
    until("shutdown", || (bed.state() == "shutdown").then_some(()));
    bed.ok(&["stop", "--timeout", "1", "life"]);
    bed.assert_nothing_left();
}

#[test]
fn reboot() {
    if !has_qemu() {
        return;
    }
    let bed = machine("destroy", "restart", "destroy");
    bed.type_letter("r");
    bed.await_serial(image::GREETING, 2);
    bed.ok(&["stop", "--force", "life"]);
    bed.assert_nothing_left();

    let bed = machine("destroy", "destroy", "destroy");
    bed.type_letter("r");
    assert!(await_end(&bed).contains("Rebooted"));
    assert_eq!(bed.serial().matches(image::GREETING).count(), 1);
}

#[test]
fn crash() {
    if !has_qemu() {
        return;
    }
    let bed = machine("destroy", "restart", "destroy");
    bed.type_letter("p");
    assert!(await_end(&bed).contains("VC1213"));

    let bed = machine("destroy", "restart", "restart");
    bed.type_letter("p");
    bed.await_serial(image::GREETING, 2);
    assert_eq!(bed.state(), "running");
    bed.ok(&["stop", "--force", "life"]);
    bed.assert_nothing_left();

    let bed = machine("destroy", "restart", "preserve");
    bed.type_letter("p");
    until("guest-panicked", || (bed.state() == "guest-panicked").then_some(()));
    bed.ok(&["stop", "--force", "life"]);
    bed.assert_nothing_left();

    let bed = machine("destroy", "restart", "coredump-destroy");
    bed.type_letter("p");
    await_end(&bed);
    let dump = std::fs::read(bed.path("reg/life.core")).expect("a dump");
    assert_eq!(&dump[..4], b"\x7fELF");
}

#[test]
fn qemus_own_words_are_told() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("bad").with(&["-device", "no-such-device"]);
    for args in [vec!["run"], vec!["run", "-d"]] {
        let plan = bed.plan_file();
        let args: Vec<&str> = args.into_iter().chain([plan.as_str()]).collect();
        let err = bed.fails(4, &args);
        assert!(err.contains("VC1201") && err.contains("'no-such-device' is not a valid device model name"), "{err}");
        assert!(err.contains("--caps"), "no help: {err}");
        bed.assert_nothing_left();
    }
    let missing = "-drive";
    let bed = Bed::new("bad").with(&[missing, "file=/nonexistent/image.qcow2,if=virtio"]);
    let err = bed.fails(4, &["run", &bed.plan_file()]);
    assert!(err.contains("/nonexistent/image.qcow2") && err.contains("check --here"), "{err}");
    bed.assert_nothing_left();
}

#[test]
fn what_cannot_start_is_told_before() {
    let mut bed = Bed::new("none");
    bed.qemu().program = "/nonexistent/qemu-system-x86_64".to_string();
    let err = bed.fails(4, &["run", &bed.plan_file()]);
    assert!(err.contains("VC1202") && err.contains("qemu-system-x86"), "{err}");
    bed.assert_nothing_left();

    let mut bed = Bed::new("native");
    bed.plan.target = virtc::plan::Target::LIBVIRT;
    let err = bed.fails(4, &["run", &bed.plan_file()]);
    assert!(err.contains("VC1214") && err.contains("standalone"), "{err}");
    assert!(!Path::new(&bed.path("run")).exists());

    let mut bed = Bed::new("dots");
    bed.plan.directories[0].path = format!("{}/../run", bed.path("run"));
    let err = bed.fails(4, &["run", &bed.plan_file()]);
    assert!(err.contains("VC1214") && err.contains("/../run"), "{err}");

    let bed = Bed::new("nothing");
    std::fs::write(bed.path("broken.json"), "{\"version\": 1").expect("written");
    bed.fails(1, &["run", &bed.path("broken.json")]);
}

#[test]
fn one_machine_of_a_name() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("twin").with_serial_file();
    bed.start();
    let err = bed.fails(4, &["run", &bed.plan_file()]);
    assert!(err.contains("VC1204") && err.contains(&bed.runner_pid().to_string()), "{err}");
    bed.await_guest();
    assert_eq!(bed.state(), "running");
    bed.ok(&["stop", "--force", "c7a5fdbd-edaf-9455-926a-d65c16db1809"]);
    bed.assert_nothing_left();
}
