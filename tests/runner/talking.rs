//! `virtc monitor` and `virtc attach`.

use super::bed::{Bed, kill, until};
use crate::common::{QEMU, has_qemu};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

#[test]
fn commands_in_every_form() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("talk").with_serial_file();
    bed.start();
    let status = bed.ok(&["monitor", "talk", "query-status"]);
    assert!(status.contains("\"status\": \"running\""), "{status}");
    assert!(bed.ok(&["monitor", "talk", "{\"execute\": \"query-name\"}"]).contains("\"name\": \"talk\""));
    assert!(bed.ok(&["monitor", "talk", "--hmp", "info", "status"]).contains("VM status: running"));
    let list = bed.ok(&["monitor", "talk", "qom-list", "path=/machine"]);
    assert!(list.contains("\"peripheral\""), "{list}");
    let err = bed.fails(4, &["monitor", "talk", "no-such-command"]);
    assert!(err.contains("VC1206") && err.contains("no-such-command"), "{err}");
    bed.fails(2, &["monitor", "talk", "query-status", "nonsense"]);
    assert!(bed.fails(4, &["monitor", "nobody", "query-status"]).contains("there are: talk"));
    bed.ok(&["stop", "--force", "talk"]);
    bed.assert_nothing_left();
}

#[test]
fn events_reach_every_listener() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("news").with_serial_file();
    bed.start();
    let listen = || {
        let mut child = bed.virtc(&["monitor", "news", "--events"]).stdout(Stdio::piped()).spawn().expect("virtc runs");
        let reader = BufReader::new(child.stdout.take().expect("a pipe"));
        (child, reader)
    };
    let (mut first, first_lines) = listen();
    let (mut second, second_lines) = listen();
    // Both are connected once the socket has two peers; a command of a third one works meanwhile.
    std::thread::sleep(std::time::Duration::from_millis(300));
    bed.ok(&["monitor", "news", "stop"]);
    bed.ok(&["monitor", "news", "cont"]);
    bed.ok(&["stop", "--force", "news"]);
    for lines in [first_lines, second_lines] {
        let names: Vec<String> = lines
            .lines()
            .map_while(Result::ok)
            .map(|l| serde_json::from_str::<serde_json::Value>(&l).expect("JSON")["event"].to_string())
            .collect();
        assert!(names.starts_with(&["\"STOP\"".to_string(), "\"RESUME\"".to_string()]), "{names:?}");
        assert!(names.contains(&"\"SHUTDOWN\"".to_string()), "{names:?}");
    }
    assert!(first.wait().expect("it ends").success());
    assert!(second.wait().expect("it ends").success());
    bed.assert_nothing_left();
}

#[test]
fn a_console_at_this_terminal() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("talker").with_serial_socket().with(&[
        "-chardev",
        "pty,id=charserial1",
        "-serial",
        "chardev:charserial1",
    ]);
    bed.start();
    bed.await_guest();
    // The socket has a name that is no console's, the pseudo-terminal is one: it is found without being named.
    let mut child =
        bed.virtc(&["console", "talker"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("virtc");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(child.try_wait().expect("a child").is_none(), "it ends with its input");
    drop(child.stdin.take());
    assert!(child.wait().expect("it ends").success());
    // What is typed at the socket reaches the guest, which panics at a `p`.
    let mut child =
        bed.virtc(&["console", "talker", "s0"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("virtc");
    child.stdin.take().expect("a pipe").write_all(b"r").expect("written");
    child.wait().expect("it ends");
    bed.await_serial(crate::image::GREETING, 2);
    let err = bed.fails(4, &["console", "talker", "serial9"]);
    assert!(err.contains("VC1803") && err.contains("there are: ") && err.contains("serial1"), "{err}");
    bed.fails(4, &["console", "nobody"]);
    bed.ok(&["stop", "--force", "talker"]);
    bed.assert_nothing_left();
}

#[test]
fn a_picture_of_what_is_shown() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("seen").with_serial_file().with(&["-device", "VGA,id=video0"]);
    bed.start();
    bed.await_guest();
    let map = bed.path("seen.ppm");
    bed.ok(&["screenshot", "seen", "-o", &map]);
    let picture = std::fs::read(&map).expect("a picture");
    // Its head, and three bytes for each of its points.
    let head = picture.get(..15).map(String::from_utf8_lossy).expect("a head").into_owned();
    let numbers: Vec<usize> = head.split_whitespace().skip(1).take(3).filter_map(|n| n.parse().ok()).collect();
    assert!(head.starts_with("P6") && numbers.len() == 3, "{head}");
    assert_eq!(
        picture.len(),
        format!("P6\n{} {}\n{}\n", numbers[0], numbers[1], numbers[2]).len() + numbers[0] * numbers[1] * 3
    );
    assert!(!std::path::Path::new(&bed.path("run/screen")).exists(), "it is taken away");
    let output = bed.virtc(&["screenshot", "seen", "-o", "-", "--device", "video0"]).output().expect("virtc");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    // A QEMU without libpng says so.
    assert!(output.stdout.starts_with(b"\x89PNG") || words.contains("FILE.ppm"), "{words}");
    let err = bed.fails(4, &["screenshot", "seen", "-o", &map, "--device", "video7"]);
    assert!(err.contains("VC1806") && err.contains("video7"), "{err}");
    bed.fails(4, &["screenshot", "nobody"]);
    bed.ok(&["stop", "--force", "seen"]);
    bed.assert_nothing_left();
}

#[test]
fn a_machine_of_a_unit_is_found_by_its_run_time_directory() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("unit").with_serial_file();
    std::fs::create_dir_all(bed.path("reg/unit")).expect("made");
    let socket = bed.path("reg/unit/monitor.sock");
    let start = || {
        Command::new(QEMU)
            .args(["-name", "unit", "-machine", "pc,accel=tcg", "-m", "16", "-display", "none", "-nodefaults"])
            .args(["-kernel", &bed.path("kernel"), "-qmp", &format!("unix:{socket},server=on,wait=off")])
            .args(["-serial", &format!("file:{}", bed.path("serial"))])
            .spawn()
            .expect("QEMU")
    };
    let mut qemu = start();
    until("the machine", || bed.state().contains("under systemd").then_some(()));
    assert_eq!(bed.qemu_pid(), qemu.id() as i32);
    assert!(bed.ok(&["monitor", "unit", "query-status"]).contains("running"));
    bed.ok(&["clean"]);
    bed.await_guest();
    bed.ok(&["stop", "unit"]);
    assert!(qemu.wait().expect("a child").success());
    // What ExecStop= of the unit says.
    std::fs::remove_file(bed.path("serial")).expect("removed");
    let mut qemu = start();
    bed.await_guest();
    bed.ok(&["stop", "--socket", &socket]);
    assert!(bed.serial().contains(crate::image::FAREWELL));
    assert!(qemu.wait().expect("a child").success());
    assert!(bed.fails(4, &["stop", "--socket", &socket]).contains("VC1205"));
}

#[test]
fn a_qemu_started_by_hand_is_adopted() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("hand");
    let socket = bed.path("qmp.sock");
    let mut qemu = Command::new(QEMU)
        .args(["-name", "byhand", "-machine", "pc,accel=tcg", "-m", "16", "-display", "none", "-nodefaults"])
        .args(["-kernel", &bed.path("kernel"), "-qmp", &format!("unix:{socket},server=on,wait=off")])
        .args(["-serial", &format!("file:{}", bed.path("serial"))])
        .spawn()
        .expect("QEMU");
    until("the socket", || std::path::Path::new(&socket).exists().then_some(()));
    bed.ok(&["attach", "-d", &socket]);
    assert_eq!(bed.qemu_pid(), qemu.id() as i32);
    assert!(bed.ok(&["monitor", "byhand", "query-status"]).contains("running"));
    // A runner that is killed leaves the QEMU alone, and so does the next clean.
    kill(bed.runner_pid(), "KILL");
    until("the runner's end", || bed.state().contains("without runner").then_some(()));
    bed.ok(&["clean"]);
    assert!(qemu.try_wait().expect("a child").is_none(), "clean ended a QEMU that is not ours");
    bed.await_guest();
    bed.ok(&["attach", "-d", &socket, "--name", "other"]);
    bed.ok(&["stop", "other"]);
    assert!(qemu.wait().expect("a child").success());
    assert_eq!(bed.ok(&["list", "--names"]), "");
}
