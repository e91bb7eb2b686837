//! Limits that the runner sets itself: control groups, CPUs, scheduling, bandwidth.

use super::bed::{Bed, cause, kill, until};
use crate::common::{self, has, has_qemu, has_tun, is_root};
use std::path::{Path, PathBuf};
use virtc::plan::{Limits, Link, LinkKind, ThreadCpus, ThreadSchedule};

/// Root, on a host whose groups it may change.
fn may_limit() -> bool {
    let root = rustix::process::geteuid().is_root();
    let writable = |path: &str| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    let groups = writable("/sys/fs/cgroup/cgroup.subtree_control") || writable("/sys/fs/cgroup/cpu");
    common::given(root && groups, "control groups that may be changed")
}

/// The folder of the group in which a process (or a thread: `PID/task/TID`) is, for a controller.
fn group(task: &str, controller: &str) -> PathBuf {
    let text = std::fs::read_to_string(format!("/proc/{task}/cgroup")).expect("groups");
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        if names.split(',').any(|n| n == controller) {
            return Path::new("/sys/fs/cgroup").join(controller).join(path.trim_start_matches('/'));
        }
    }
    let path = text.lines().find_map(|l| l.strip_prefix("0::/")).unwrap_or_default();
    Path::new("/sys/fs/cgroup").join(path)
}

/// The value of the file of version 1 or 2, whichever is there.
fn value(group: &Path, files: [&str; 2]) -> String {
    let text = files.iter().find_map(|f| std::fs::read_to_string(group.join(f)).ok());
    text.unwrap_or_else(|| panic!("{}: none of {files:?}", group.display())).trim().to_string()
}

fn limited() -> Bed {
    let mut bed = Bed::new("tame").with_serial_file().with(&["-object", "iothread,id=iothread1"]);
    bed.plan.limits = Limits {
        vcpus: 1,
        cpu_shares: Some(2048),
        cpu_bandwidth: vec![("vcpu".into(), Some(100_000), Some(60_000)), ("emulator".into(), None, Some(50_000))],
        memory_hard: Some(512 << 20),
        pins: vec![ThreadCpus { thread: "vcpu0".into(), cpus: [0].into_iter().collect(), cause: cause() }],
        schedules: vec![ThreadSchedule { thread: "vcpu0-3".into(), policy: "batch".into(), priority: None }],
        ..Limits::default()
    };
    bed
}

/// The thread of the first virtual CPU: `PID/task/TID`.
fn vcpu(bed: &Bed) -> String {
    let reply = bed.ok(&["monitor", "tame", "query-cpus-fast"]);
    let cpus: serde_json::Value = serde_json::from_str(&reply).expect("JSON");
    format!("{}/task/{}", bed.qemu_pid(), cpus[0]["thread-id"])
}

#[test]
fn limits_are_in_force_and_gone_after_it() {
    if !has_qemu() || !may_limit() || !has("/usr/bin/chrt", "util-linux") {
        return;
    }
    let bed = limited();
    let out = bed.call(&["run", "-d", &bed.plan_file()]);
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && !err.contains("not in force"), "{err}");
    let pid = bed.qemu_pid();
    let whole = group(&pid.to_string(), "memory");
    assert_eq!(value(&whole, ["memory.limit_in_bytes", "memory.max"]), (512 << 20).to_string());
    let vcpu = vcpu(&bed);
    let of_vcpu = group(&vcpu, "cpu");
    assert!(of_vcpu.ends_with("vcpu0"), "{}", of_vcpu.display());
    assert!(["60000", "60000 100000"].contains(&&*value(&of_vcpu, ["cpu.cfs_quota_us", "cpu.max"])));
    assert!(group(&pid.to_string(), "cpu").ends_with("emulator"));
    let shares = value(of_vcpu.parent().expect("a group above"), ["cpu.shares", "cpu.weight"]);
    assert!(["2048", "200"].contains(&&*shares), "{shares}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", vcpu)).expect("a status");
    assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
    let scheduling = std::fs::read_to_string(format!("/proc/{}/stat", vcpu)).expect("scheduling");
    // Field 41 is the policy; 3 is SCHED_BATCH.
    let after = scheduling.rsplit_once(')').expect("a name").1;
    assert_eq!(after.split_whitespace().nth(38), Some("3"), "{scheduling}");
    bed.await_guest();
    bed.ok(&["stop", "tame"]);
    bed.assert_nothing_left();
    assert!(!whole.exists() && !of_vcpu.exists());
}

#[test]
fn groups_of_a_killed_runner_are_cleaned() {
    if !has_qemu() || !may_limit() {
        return;
    }
    let bed = limited();
    bed.start();
    let whole = group(&bed.qemu_pid().to_string(), "memory");
    kill(bed.runner_pid(), "KILL");
    until("the runner's end", || bed.state().contains("without runner").then_some(()));
    bed.ok(&["clean"]);
    bed.assert_nothing_left();
    assert!(!whole.exists());
}

#[test]
fn what_is_not_in_force_is_told() {
    if !has_qemu() || !may_limit() {
        return;
    }
    let mut bed = limited();
    bed.plan.limits.io_devices.push(virtc::plan::BlockDeviceLimit {
        path: "/dev/null".to_string(),
        read_iops: Some(10),
        ..Default::default()
    });
    bed.plan.limits.schedules.push(ThreadSchedule {
        thread: "iothread7".into(),
        policy: "idle".into(),
        priority: None,
    });
    let out = bed.call(&["run", "-d", &bed.plan_file()]);
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    // Under systemd it is systemd that refuses the device.
    if out.status.success() {
        assert!(err.contains("not in force") && err.contains("/dev/null is no block device"), "{err}");
        assert!(err.contains("there is no iothread7"), "{err}");
        bed.ok(&["stop", "--force", "tame"]);
    }
    bed.assert_nothing_left();
}

#[test]
fn bandwidth_is_shaped() {
    if !has_qemu() || !is_root() || !has_tun(false) || !has("/usr/sbin/tc", "iproute2") {
        return;
    }
    let mut bed = Bed::new("slow").with_serial_file();
    let name = format!("vb{}", std::process::id());
    bed.plan.links.push(Link {
        kind: LinkKind::Tap,
        name: name.clone(),
        over: None,
        mode: None,
        mac: "52:54:00:12:34:57".to_string(),
        mtu: None,
        managed: true,
        queues: 1,
        vhost: false,
        bandwidth: Some([[1000, 2000, 64], [0; 3]]),
        up: true,
        cause: cause(),
    });
    let netdev = format!("tap,id=n0,ifname={name},script=no,downscript=no");
    let bed = bed.with(&["-netdev", &netdev, "-device", "e1000,netdev=n0"]);
    let out = bed.call(&["run", "-d", &bed.plan_file()]);
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{err}");
    let class = std::process::Command::new("tc").args(["class", "show", "dev", &name]).output().expect("tc");
    let class = String::from_utf8_lossy(&class.stdout).into_owned();
    // A kernel without the shaper has a note instead.
    assert!(class.contains("rate 8Mbit ceil 16Mbit") || err.contains("<bandwidth>"), "{class}{err}");
    bed.ok(&["stop", "--force", "slow"]);
    bed.assert_nothing_left();
}

#[test]
fn a_machine_of_the_system_opens_only_its_devices() {
    if !has_qemu() || !may_limit() {
        return;
    }
    if !common::given(!common::is_bare_root(), "root that may change the system") {
        return;
    }
    let one = rustix::fs::access("/sys/fs/cgroup/devices/devices.allow", rustix::fs::Access::WRITE_OK).is_ok();
    if !one && !Path::new("/run/systemd/system").exists() {
        return common::skip("systemd, or control groups of version 1");
    }
    let random = |path: &str| ["-object".to_string(), format!("rng-random,id=rng0,filename={path}")];
    let machine = |name: &str, path: &str| {
        let [switch, value] = random(path);
        let device = ["-device", "virtio-rng-pci,rng=rng0"];
        let mut bed = Bed::new(name).with_serial_file().with(&[&switch, &value, device[0], device[1]]);
        bed.plan.instance = virtc::plan::Instance::System;
        bed
    };
    // Every program may read this one.
    let bed = machine("modest", "/dev/urandom");
    bed.start();
    if one {
        let list = value(&group(&bed.qemu_pid().to_string(), "devices"), ["devices.list", "devices.list"]);
        assert!(list.contains("c 1:9 rw") && !list.contains("a *:*") && !list.contains("c 5:1 "), "{list}");
    }
    bed.ok(&["stop", "--force", "modest"]);
    bed.assert_nothing_left();
    // Nothing in the Plan asks for the console.
    let bed = machine("greedy", "/dev/console");
    let err = bed.fails(4, &["run", "-d", &bed.plan_file()]);
    assert!(err.contains("VC1201") && err.contains("/dev/console"), "{err}");
    bed.assert_nothing_left();
}
