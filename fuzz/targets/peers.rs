//! What the other side sends and what lies in a file: a monitor that says anything, the header of an image.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use virtc::host::Host;
use virtc::plan::{Access, Cause, LabelRole, OwnerRule, PathKind, Perms, Plan, Sharing, Use};
use virtc::run::qmp::Qmp;

/// Where images of the fuzzer lie: in memory.
const IMAGE: &str = "/dev/shm/virtc-fuzz";

fuzz_target!(|bytes: &[u8]| { if bytes.first().is_some_and(|b| *b == b'{') { monitor(bytes) } else { image(bytes) } });

/// A greeting stands before it, two times out of three.
fn monitor(bytes: &[u8]) {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    let mut sent = Vec::new();
    if bytes.len() % 3 != 0 {
        sent.extend_from_slice(
            b"{\"QMP\":{\"version\":{\"qemu\":{\"major\":9}},\"capabilities\":[]}}\n{\"return\":{},\"id\":1}\n",
        );
    }
    sent.extend_from_slice(&bytes[..bytes.len().min(32 << 10)]);
    theirs.write_all(&sent).expect("a small text");
    theirs.shutdown(std::net::Shutdown::Write).expect("a socket");
    let began = Instant::now();
    let limit = Duration::from_millis(50);
    if let Ok(mut qmp) = Qmp::new(ours, limit) {
        let _ = qmp.human("info status");
        while let Ok(Some(_)) = qmp.event(Some(limit)) {}
    }
    assert!(began.elapsed() < Duration::from_secs(5), "it waits for a peer that has gone");
}

fn image(bytes: &[u8]) {
    let path = format!("{IMAGE}-{}", std::process::id());
    std::fs::write(&path, bytes).expect("a file");
    let mut plan = Plan::default();
    plan.access.push(Access {
        process: "qemu".to_string(),
        usage: Use::Disk,
        path: path.clone(),
        resolved: None,
        kind: PathKind::File,
        perms: Perms::READ,
        sharing: Sharing::ReadOnly,
        label: LabelRole::Keep,
        restore_label: false,
        owner: OwnerRule::Keep,
        optional: false,
        cause: Cause::default(),
    });
    let mut host = Host::default();
    virtc::probe::images::look(&plan, &mut host);
    assert!(host.images.len() < 300 && host.links.len() < 300);
    let _ = std::fs::remove_file(&path);
}
