//! Ports, displays, sound and input as a standalone machine has them: no descriptors of a parent, sockets by
//! path, passwords by file; and what the format derives from older forms.

use crate::common;
use std::io::Write;
use std::process::Stdio;

/// Runs virtc on a domain with these devices; gives standard output and standard error.
fn virtc(command: &str, devices: &str, options: &[&str]) -> (String, String) {
    let xml = format!(
        "<domain type='qemu'><name>t</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{devices}</devices></domain>"
    );
    let mut child = common::virtc()
        .arg(command)
        .arg("-")
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("virtc starts");
    child.stdin.take().expect("piped").write_all(xml.as_bytes()).expect("virtc reads");
    let output = child.wait_with_output().expect("virtc ends");
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn argv(devices: &str) -> String {
    let (out, err) = virtc("argv", devices, &["--format", "lines"]);
    assert!(!out.is_empty(), "{err}");
    out
}

#[test]
fn sockets_are_named_and_no_descriptor_is_expected() {
    let out = argv(
        "<serial type='unix'><source mode='bind' path='/tmp/s'/></serial>\
         <serial type='file'><source path='/tmp/f' append='on'/><log file='/tmp/l' append='off'/></serial>\
         <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
    );
    assert!(out.contains("socket,id=charserial0,path=/tmp/s,server=on,wait=off"), "{out}");
    assert!(out.contains("file,id=charserial1,path=/tmp/f,append=on,logfile=/tmp/l,logappend=off"), "{out}");
    assert!(out.contains("/channel/org.qemu.guest_agent.0,server=on,wait=off"), "{out}");
    assert!(!out.contains("fd=") && !out.contains("-add-fd"), "{out}");
}

#[test]
fn a_password_never_stands_in_the_command_line() {
    let out = argv("<graphics type='vnc' passwd='hay-need'><listen type='socket'/></graphics>");
    assert!(!out.contains("hay-need"), "{out}");
    assert!(out.contains("password-secret=vnc-password0"), "{out}");
}

#[test]
fn the_first_console_and_the_first_serial_port_are_one_device() {
    for devices in ["<console type='pty'/>", "<serial type='pty'/>"] {
        let (out, err) = virtc("normalize", devices, &[]);
        assert_eq!(out.matches("<serial type='pty'>").count(), 1, "{out}{err}");
        assert!(out.contains("<target type='serial' port='0'/>"), "{out}");
        assert_eq!(argv(devices).matches("isa-serial").count(), 1);
    }
}

#[test]
fn what_qemu_cannot_do_is_refused_with_the_reason() {
    for (devices, reason) in [
        ("<serial type='file'/>", "<source path> of a char device is missing"),
        ("<serial type='tcp'><source mode='connect' host='h' service='1'/><protocol type='tls'/></serial>", "'tls'"),
        ("<audio id='1' type='pipewire'/>", "QEMU 8.1"),
        ("<serial type='pty'><target type='isa-serial' port='4'/></serial>", "ISA has at most 4 serial ports"),
        ("<input type='tablet' bus='ps2'/>", "ps2"),
        ("<graphics type='sdl'/><graphics type='egl-headless'/>", "egl-headless"),
        ("<smartcard mode='host-certificates'><certificate>a</certificate></smartcard>", "of which there are 3"),
        ("<channel type='spicevmc'><target type='virtio' name='other'/></channel>", "'other'"),
        ("<video><model type='none'/></video><video><model type='vga'/></video>", "'none'"),
    ] {
        let (_, err) = virtc("check", devices, &["--caps", "qemu-7.2"]);
        // The terminal's rendering breaks long lines.
        let words: Vec<&str> = err.split_whitespace().filter(|w| *w != "│").collect();
        assert!(words.join(" ").contains(reason), "{devices}: {err}");
    }
}
