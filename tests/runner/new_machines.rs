//! What `virtc new` writes boots, as it is, on a machine that QEMU emulates.

use super::bed::{Bed, until};
use crate::common::has_qemu;
use crate::image;
use std::io::Read;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

/// Makes a machine of a kind from the tiny guest, starts it in the foreground, and holds until the guest has greeted on the serial
/// console, which is the terminal.
fn boots(kind: &str, option: &str) {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new(kind);
    let (name, file) = (format!("new-{kind}-{}", std::process::id()), bed.path("new.xml"));
    let image = if option == "--kernel" { bed.path("kernel") } else { bed.path("disk.raw") };
    if option == "--disk" {
        std::fs::write(&image, image::disk()).expect("written");
    }
    let key = bed.path("key.pub");
    std::fs::write(&key, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE you@here\n").expect("written");
    let mut words = vec!["new", kind, &name, "--emulated", "--terminal", "-o", &file, option, &image];
    if kind == "cloud" {
        // Its seed is made with it.
        words.extend(["--ssh-key", &key]);
    }
    bed.ok(&words);
    let mut child = bed
        .virtc(&["run", "--connect", "qemu:///session", &file])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("virtc runs");
    let said = Arc::new(Mutex::new(String::new()));
    let mut out = child.stdout.take().expect("a pipe");
    let heard = Arc::clone(&said);
    let listener = std::thread::spawn(move || {
        let mut chunk = [0; 256];
        while let Ok(read @ 1..) = out.read(&mut chunk) {
            heard.lock().expect("whole").push_str(&String::from_utf8_lossy(&chunk[..read]));
        }
    });
    until(&format!("{kind} greets"), || {
        if let Some(status) = child.try_wait().expect("a child") {
            let mut why = String::new();
            child.stderr.take().expect("a pipe").read_to_string(&mut why).expect("text");
            panic!("{kind} ended with {status}: {why}");
        }
        said.lock().expect("whole").contains(image::GREETING).then_some(())
    });
    bed.ok(&["stop", "--connect", "qemu:///session", "--force", &name]);
    child.wait().expect("it ends");
    listener.join().expect("it ends");
}

#[test]
fn a_new_server_boots_its_disk() {
    boots("server", "--disk");
}

#[test]
fn a_new_cloud_machine_boots_its_image() {
    boots("cloud", "--disk");
}

#[test]
fn a_new_machine_boots_its_kernel() {
    boots("kernel", "--kernel");
}

#[test]
fn a_new_microvm_boots_its_kernel() {
    boots("microvm", "--kernel");
}
