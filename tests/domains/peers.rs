//! The programs that a domain talks to: block servers, an entropy gatherer, a user-space switch.

use super::place::run;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Everything that was started for one domain; it ends with this.
#[derive(Default)]
pub struct Peers {
    children: Vec<Child>,
    loops: Vec<String>,
}

impl Peers {
    fn start(&mut self, program: &str, args: &[&str], socket: &str) {
        let child = Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        self.children.push(child.unwrap_or_else(|e| panic!("{program}: {e}")));
        let until = Instant::now() + Duration::from_secs(20);
        while !Path::new(socket).exists() {
            assert!(Instant::now() < until, "{program} does not open {socket}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn nbd(&mut self, socket: &str, export: &str, image: &str) {
        self.start("qemu-nbd", &["--persistent", "-f", "raw", "-x", export, "-k", socket, image], socket);
    }

    pub fn vhost_user_blk(&mut self, socket: &str, image: &str) {
        let node = format!("file,filename={image},node-name=node");
        let export = format!("vhost-user-blk,id=export,node-name=node,addr.type=unix,addr.path={socket},writable=on");
        self.start("qemu-storage-daemon", &["--blockdev", &node, "--export", &export], socket);
    }

    pub fn loop_device(&mut self, device: String) {
        self.loops.push(device);
    }

    /// Somebody who listens and says nothing.
    pub fn listener(&mut self, socket: &str) {
        let listener = UnixListener::bind(socket).expect("bound");
        std::thread::spawn(move || {
            let kept: Vec<_> = listener.incoming().take(1).collect();
            std::thread::sleep(Duration::from_secs(60));
            drop(kept);
        });
    }

    /// A switch that agrees to all and forwards nothing.
    pub fn vhost_user_net(&mut self, socket: &str) {
        let listener = UnixListener::bind(socket).expect("bound");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || agree(stream));
            }
        });
    }
}

/// Answers the messages of the vhost-user protocol that want an answer (QEMU, docs/interop/vhost-user.rst):
/// a request, flags, the size of the payload, the payload; numbers are little-endian.
fn agree(mut stream: UnixStream) {
    /// VIRTIO_F_VERSION_1, VHOST_USER_F_PROTOCOL_FEATURES.
    const FEATURES: u64 = 1 << 32 | 1 << 30;
    /// VHOST_USER_PROTOCOL_F_MQ.
    const PROTOCOL: u64 = 1;
    let mut head = [0; 12];
    while stream.read_exact(&mut head).is_ok() {
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let mut payload = vec![0; word(8) as usize];
        if stream.read_exact(&mut payload).is_err() {
            return;
        }
        let answer: u64 = match word(0) {
            1 => FEATURES,
            15 => PROTOCOL,
            // VHOST_USER_GET_QUEUE_NUM
            17 => 2,
            // VHOST_USER_GET_VRING_BASE: the same index, its state 0.
            11 => u64::from(payload[0]),
            _ => continue,
        };
        let mut reply = word(0).to_le_bytes().to_vec();
        // Version 1, reply.
        reply.extend(5u32.to_le_bytes());
        reply.extend(8u32.to_le_bytes());
        reply.extend(answer.to_le_bytes());
        if stream.write_all(&reply).is_err() {
            return;
        }
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        for device in &self.loops {
            run("losetup", &["--detach", device]);
        }
    }
}
