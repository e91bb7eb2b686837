//! What is made before the start and given back after the stop: owners, secrets, helpers, interfaces.

use super::bed::{Bed, cause, finish, kill, until};
use crate::common::{has, has_qemu, has_tun, is_root, skip};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use virtc::plan::{
    Access, Arg, Confinement, Form, LabelRole, Link, LinkKind, NewFile, OwnerRule, PathKind, Perms, Process, Props,
    Ready, Role, Secret, Sharing, Socket, SocketRole, Use,
};

fn disk_access(path: &str) -> Access {
    Access {
        process: "qemu".to_string(),
        usage: Use::Disk,
        path: path.to_string(),
        resolved: None,
        kind: PathKind::File,
        perms: Perms::READ_WRITE,
        sharing: Sharing::Exclusive,
        restore_label: false,
        label: LabelRole::Image,
        owner: OwnerRule::Domain { restore: true },
        optional: false,
        cause: cause(),
    }
}

/// A machine that runs as another user, with a disk behind a symbolic link that belongs to a third one.
pub fn confined(name: &str) -> Bed {
    let bed = Bed::new(name).with_serial_file();
    std::fs::set_permissions(bed.path("."), std::fs::Permissions::from_mode(0o711)).expect("permissions");
    std::fs::set_permissions(bed.path("kernel"), std::fs::Permissions::from_mode(0o644)).expect("permissions");
    std::fs::set_permissions(bed.path("disk"), std::fs::Permissions::from_mode(0o600)).expect("permissions");
    std::os::unix::fs::chown(bed.path("disk"), Some(1234), Some(2345)).expect("chown");
    std::fs::write(bed.path("serial"), "").expect("written");
    std::fs::set_permissions(bed.path("serial"), std::fs::Permissions::from_mode(0o666)).expect("permissions");
    symlink(bed.path("disk"), bed.path("link")).expect("linked");
    let drive = format!("file={},format=raw,if=virtio", bed.path("link"));
    let mut bed = bed.with(&["-drive", &drive]);
    let link = bed.path("link");
    bed.plan.access.push(disk_access(&link));
    bed.plan.confinement = Confinement {
        user: Some("+65123".to_string()),
        group: Some("+65124".to_string()),
        dynamic_ownership: true,
        ..Confinement::default()
    };
    bed
}

fn owner(path: String) -> (u32, u32) {
    let meta = std::fs::metadata(path).expect("the file");
    (meta.uid(), meta.gid())
}

#[test]
fn owners_are_given_and_taken_back() {
    if !has_qemu() || !is_root() {
        return;
    }
    let bed = confined("own");
    bed.start();
    bed.await_guest();
    assert_eq!(owner(bed.path("disk")), (65123, 65124));
    assert_eq!(owner(format!("/proc/{}", bed.qemu_pid())).0, 65123);
    let status = std::fs::read_to_string(format!("/proc/{}/status", bed.qemu_pid())).expect("a status");
    for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    bed.ok(&["stop", "own"]);
    assert_eq!(owner(bed.path("disk")), (1234, 2345));
    bed.assert_nothing_left();
}

#[test]
fn owners_are_taken_back_after_sigkill() {
    if !has_qemu() || !is_root() {
        return;
    }
    let bed = confined("own");
    bed.start();
    kill(bed.runner_pid(), "KILL");
    until("the runner's end", || bed.state().contains("without runner").then_some(()));
    assert_eq!(owner(bed.path("disk")), (65123, 65124));
    bed.ok(&["clean"]);
    assert_eq!(owner(bed.path("disk")), (1234, 2345));
    bed.assert_nothing_left();
}

/// Whether the account of `confined` may write a file.
fn account_writes(path: &str) -> bool {
    use std::os::unix::process::CommandExt;
    std::process::Command::new("test").args(["-w", path]).uid(65123).gid(65124).status().expect("test runs").success()
}

#[test]
fn a_shared_file_goes_back_with_the_last_machine() {
    if !has_qemu() || !is_root() {
        return;
    }
    let mut bed = confined("own");
    for access in &mut bed.plan.access {
        access.sharing = Sharing::Shared;
    }
    bed.qemu().args.retain(|a| a.switch != "-drive");
    let drive = format!("file={},format=raw,if=virtio,file.locking=off", bed.path("link"));
    let mut bed = bed.with(&["-drive", &drive]);
    bed.start();
    // A second machine beside it, with directories of its own.
    let text = serde_json::to_string(&bed.plan).expect("JSON").replace(&bed.path("run"), &bed.path("run2"));
    let first = std::mem::replace(&mut bed.plan, serde_json::from_str(&text).expect("a plan"));
    bed.plan.name = "own2".to_string();
    bed.plan.uuid = "d7a5fdbd-edaf-9455-926a-d65c16db1809".to_string();
    bed.start();
    assert_eq!(bed.ok(&["list", "--names"]), "own\nown2\n");
    // A file that several write belongs to none of them: the account has an entry in its access list.
    bed.ok(&["stop", "--force", "own"]);
    assert!(account_writes(&bed.path("disk")), "the second machine still needs it");
    assert_eq!(owner(bed.path("disk")), (1234, 2345));
    bed.ok(&["stop", "--force", "own2"]);
    assert!(!account_writes(&bed.path("disk")));
    bed.plan = first;
    bed.assert_nothing_left();
}

#[test]
fn secrets_come_from_files_and_go_again() {
    if !has_qemu() {
        return;
    }
    let mut bed = Bed::new("hush").with_serial_file();
    let path = bed.path("run/secret0");
    let object = format!("secret,id=sec0,file={path},format=base64");
    bed = bed.with(&["-object", &object]);
    let mut props = Props::new();
    props.bare("secret").set("id", "sec1").set("file", path.clone()).set("format", "base64");
    bed.qemu().args.push(Arg::props("-object", props, Form::Options, cause()));
    bed.plan.secrets.push(Secret {
        id: "sec1".to_string(),
        path: path.clone(),
        source: "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f".to_string(),
        base64: true,
        cause: cause(),
    });
    let err = bed.fails(4, &["run", "--secrets", &bed.path("secrets"), &bed.plan_file()]);
    assert!(err.contains("VC1208") && err.contains("0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f"), "{err}");
    bed.assert_nothing_left();
    std::fs::create_dir(bed.path("secrets")).expect("made");
    std::fs::write(bed.path("secrets/0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f"), "letmein").expect("written");
    bed.ok(&["run", "-d", "--secrets", &bed.path("secrets"), &bed.plan_file()]);
    assert_eq!(std::fs::read_to_string(&path).expect("the secret"), "bGV0bWVpbg==");
    assert_eq!(std::fs::metadata(&path).expect("the secret").permissions().mode() & 0o777, 0o600);
    bed.ok(&["stop", "--force", "hush"]);
    bed.assert_nothing_left();
}

#[test]
fn secrets_of_the_host_facts_serve_a_domain() {
    if !has_qemu() || !has("/usr/bin/qemu-img", "qemu-utils") {
        return;
    }
    let bed = Bed::new("locked");
    let uuid = "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f";
    let image = bed.path("locked.qcow2");
    let make = || {
        std::process::Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "--object", "secret,id=s,data=letmein"])
            .args(["-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=200", &image, "1M"])
            .output()
            .expect("qemu-img")
    };
    // qemu-img measures how fast the processor is to choose the number of its rounds, and on a busy one gives up.
    until("qemu-img to measure", || {
        let made = make();
        let words = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success() || words.contains("accurate CPU usage"), "{words}");
        made.status.success().then_some(())
    });
    let xml = format!(
        "<domain type='qemu'><name>locked{}</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>\
         <memory unit='MiB'>16</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>\
         <devices><emulator>/usr/bin/qemu-system-x86_64</emulator><disk type='file' device='disk'>\
         <driver name='qemu' type='qcow2'/><source file='{image}'><encryption format='luks'>\
         <secret type='passphrase' uuid='{uuid}'/></encryption></source><target dev='vda' bus='virtio'/></disk>\
         </devices></domain>",
        std::process::id()
    );
    let name = format!("locked{}", std::process::id());
    std::fs::write(bed.path("vm.xml"), xml).expect("written");
    let facts = |value: &str| {
        let text =
            format!("host-facts version=1\nmachine {{\n    arch \"x86_64\"\n}}\nsecret \"{uuid}\" value=\"{value}\"\n");
        std::fs::write(bed.path("host.kdl"), text).expect("written");
    };
    let run = ["run", "-d", "--allow-root", "--host", &bed.path("host.kdl"), &bed.path("vm.xml")];
    facts("wrong");
    assert!(bed.fails(4, &run).contains("Invalid password"));
    facts("letmein");
    bed.ok(&run);
    assert!(bed.ok(&["monitor", &name, "query-block"]).contains("\"encrypted\": true"));
    bed.ok(&["stop", "--force", &name]);
    assert!(!Path::new(&format!("/run/virtc/{name}")).exists());
}

#[test]
fn variable_stores_are_made_once() {
    if !has_qemu() {
        return;
    }
    let mut bed = Bed::new("nvram").with_serial_file();
    std::fs::write(bed.path("template"), "variables").expect("written");
    let path = bed.path("state/nvram/own_VARS.fd");
    let file = NewFile { path: path.clone(), usage: Use::Nvram, template: Some(bed.path("template")), cause: cause() };
    bed.plan.files.push(file);
    bed.start();
    bed.ok(&["stop", "--force", "nvram"]);
    assert_eq!(std::fs::read_to_string(&path).expect("the store"), "variables");
    std::fs::write(&path, "changed").expect("written");
    bed.start();
    bed.ok(&["stop", "--force", "nvram"]);
    assert_eq!(std::fs::read_to_string(&path).expect("the store"), "changed");
    // What a power cut leaves.
    std::fs::write(&path, "").expect("written");
    bed.start();
    bed.ok(&["stop", "--force", "nvram"]);
    assert_eq!(std::fs::read_to_string(&path).expect("the store"), "variables");
    bed.plan.files[0] =
        NewFile { path: bed.path("x"), usage: Use::Nvram, template: Some("/nonexistent".to_string()), cause: cause() };
    assert!(bed.fails(4, &["run", &bed.plan_file()]).contains("/nonexistent"));
    bed.assert_nothing_left();
}

/// A machine with a TPM that swtpm emulates.
fn with_tpm() -> Bed {
    let mut bed = Bed::new("tpm").with_serial_file();
    std::fs::create_dir(bed.path("tpmstate")).expect("made");
    let socket = bed.path("run/swtpm.sock");
    let text = |value: String| Arg::text(value, String::new(), cause());
    let mut swtpm = Process {
        role: Role::Swtpm,
        id: "swtpm-tpm0".to_string(),
        program: "/usr/bin/swtpm".to_string(),
        ready: Ready::Socket(socket.clone()),
        ..Process::default()
    };
    for word in ["socket", "--tpm2", "--ctrl"] {
        swtpm.args.push(Arg { value: virtc::plan::ArgValue::None, ..text(word.to_string()) });
    }
    for word in
        [format!("type=unixio,path={socket}"), "--tpmstate".to_string(), format!("dir={}", bed.path("tpmstate"))]
    {
        swtpm.args.push(Arg { value: virtc::plan::ArgValue::None, ..text(word) });
    }
    bed.plan.processes.insert(0, swtpm);
    bed.plan.sockets.push(Socket {
        role: SocketRole::Helper,
        path: socket.clone(),
        process: "swtpm-tpm0".to_string(),
        cause: cause(),
    });
    let chardev = format!("socket,id=chrtpm,path={socket}");
    bed.with(&["-chardev", &chardev, "-tpmdev", "emulator,id=tpm0,chardev=chrtpm", "-device", "tpm-tis,tpmdev=tpm0"])
}

#[test]
fn helpers_start_first_and_end_last() {
    if !has_qemu() || !has("/usr/bin/swtpm", "swtpm") {
        return;
    }
    let bed = with_tpm();
    bed.start();
    assert!(bed.ok(&["monitor", "tpm", "query-tpm"]).contains("\"id\": \"tpm0\""));
    assert_eq!(bed.processes().len(), 3, "runner, swtpm, QEMU");
    bed.ok(&["stop", "--force", "tpm"]);
    bed.assert_nothing_left();
}

#[test]
fn a_helper_that_fails_is_told() {
    if !has_qemu() || !has("/usr/bin/swtpm", "swtpm") {
        return;
    }
    let bed = with_tpm();
    std::fs::remove_dir(bed.path("tpmstate")).expect("removed");
    let mut bed = bed;
    if let Some(swtpm) = bed.plan.processes.first_mut() {
        swtpm.args.push(Arg::switch("--no-such-option", cause()));
    }
    let err = bed.fails(4, &["run", &bed.plan_file()]);
    assert!(err.contains("VC1210") && err.contains("no-such-option"), "{err}");
    bed.assert_nothing_left();
}

/// Kills the helper of this program.
fn kill_helper(bed: &Bed, program: &str) {
    let comm = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    // Just started, it is still virtc, which becomes the program.
    let helper = until("the helper", || bed.processes().into_iter().find(|pid| comm(*pid).trim() == program));
    kill(helper, "KILL");
    until("the helper's end", || (!bed.processes().contains(&helper)).then_some(()));
}

#[test]
fn a_device_that_dies_powers_the_guest_off() {
    if !has_qemu() || !has("/usr/bin/swtpm", "swtpm") {
        return;
    }
    let bed = with_tpm();
    let child = bed.foreground();
    bed.await_guest();
    until("running", || (bed.state() == "running").then_some(()));
    kill_helper(&bed, "swtpm");
    let (status, _, err) = finish(child);
    assert_eq!(status, Some(4), "{err}");
    assert!(err.contains("VC1210") && err.contains("swtpm-tpm0") && err.contains("SIGKILL"), "{err}");
    assert!(bed.serial().contains(crate::image::FAREWELL), "the guest was not asked: {err}");
    bed.assert_nothing_left();
}

/// A helper of this role that only sleeps.
fn with_sleeper(role: Role) -> Bed {
    let mut bed = Bed::new("sleeper").with_serial_file();
    let mut helper = Process { role, id: "helper0".to_string(), program: "/bin/sleep".into(), ..Process::default() };
    helper.args.push(Arg::switch("1000", cause()));
    bed.plan.processes.insert(0, helper);
    bed
}

#[test]
fn root_runs_no_machine_whose_account_is_missing() {
    if !has_qemu() || !is_root() {
        return;
    }
    let mut bed = Bed::new("nobodys").with_serial_file();
    bed.plan.confinement.user = Some("virtc-no-such-account".to_string());
    bed.plan.confinement.own_account = true;
    let err = bed.fails(4, &["run", &bed.plan_file()]);
    assert!(err.contains("VC1902") && err.contains("useradd") && err.contains("--allow-root"), "{err}");
    bed.ok(&["run", "-d", "--allow-root", &bed.plan_file()]);
    bed.ok(&["stop", "--force", "nobodys"]);
    bed.assert_nothing_left();
}

#[test]
fn root_runs_no_program_that_others_can_change() {
    if !is_root() {
        return;
    }
    let mut bed = Bed::new("planted");
    let path = bed.path("qemu-system-x86_64");
    std::fs::write(&path, "#!/bin/sh\ntouch \"$0.ran\"\n").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    std::os::unix::fs::chown(&path, Some(12345), Some(12345)).expect("given away");
    bed.qemu().program = path.clone();
    let err = bed.fails(4, &["run", &bed.plan_file()]);
    assert!(err.contains("VC1903") && err.contains("12345"), "{err}");
    assert!(!Path::new(&format!("{path}.ran")).exists(), "it was executed");
    bed.assert_nothing_left();
}

#[test]
fn a_network_that_dies_is_told_while_the_guest_goes_on() {
    if !has_qemu() {
        return;
    }
    let bed = with_sleeper(Role::Passt);
    let child = bed.foreground();
    bed.await_guest();
    until("running", || (bed.state() == "running").then_some(()));
    kill_helper(&bed, "sleep");
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(bed.state(), "running");
    bed.ok(&["stop", "sleeper"]);
    let (status, _, err) = finish(child);
    assert_eq!(status, Some(0), "{err}");
    assert!(err.contains("helper0") && err.contains("SIGKILL"), "{err}");
    bed.assert_nothing_left();
}

#[test]
fn a_helper_to_which_qemu_connects_again_is_started_again() {
    if !has_qemu() {
        return;
    }
    let bed = with_sleeper(Role::PrHelper);
    let child = bed.foreground();
    bed.await_guest();
    until("running", || (bed.state() == "running").then_some(()));
    // The sixth time within a minute is one too many.
    for round in 0..6 {
        kill_helper(&bed, "sleep");
        if round < 5 {
            until("a new helper", || (bed.processes().len() == 3).then_some(()));
        }
    }
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!((bed.state().as_str(), bed.processes().len()), ("running", 2));
    bed.ok(&["stop", "sleeper"]);
    let (status, _, err) = finish(child);
    assert_eq!(status, Some(0), "{err}");
    assert!(err.contains("started again") && err.contains("could not be started again"), "{err}");
    bed.assert_nothing_left();
}

#[test]
fn taps_are_made_and_removed_or_the_commands_are_told() {
    if !has_qemu() {
        return;
    }
    let mut bed = Bed::new("net").with_serial_file();
    let name = format!("vt{}", std::process::id());
    let link = Link {
        kind: LinkKind::Tap,
        name: name.clone(),
        over: None,
        mode: None,
        mac: "52:54:00:12:34:56".to_string(),
        mtu: Some(1400),
        managed: true,
        queues: 1,
        vhost: false,
        bandwidth: None,
        up: true,
        cause: cause(),
    };
    bed.plan.links.push(link);
    let netdev = format!("tap,id=n0,ifname={name},script=no,downscript=no");
    let mut bed = bed.with(&["-netdev", &netdev, "-device", "e1000,netdev=n0"]);
    let may = is_root() && has_tun(false) && has("/usr/sbin/ip", "iproute2");
    if may {
        bed.start();
        let device = format!("/sys/class/net/{name}");
        assert!(Path::new(&device).exists());
        assert_eq!(std::fs::read_to_string(format!("{device}/mtu")).expect("the MTU").trim(), "1400");
        assert_eq!(
            std::fs::read_to_string(format!("{device}/address")).expect("the address").trim(),
            "fe:54:00:12:34:56"
        );
        kill(bed.runner_pid(), "KILL");
        until("the runner's end", || bed.state().contains("without runner").then_some(()));
        bed.ok(&["clean"]);
        assert!(!Path::new(&device).exists(), "the tap is left");
        bed.assert_nothing_left();
    }
    bed.plan.links[0].managed = false;
    let err = bed.fails(4, &["run", &bed.plan_file()]);
    assert!(err.contains("VC1209") && err.contains(&format!("ip tuntap add dev {name} mode tap")), "{err}");
    bed.assert_nothing_left();
}

#[test]
fn a_session_has_its_own_directories() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("mine");
    let xml = "<domain type='qemu'><name>mine</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>\
               <memory unit='MiB'>16</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>\
               <devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices></domain>";
    std::fs::write(bed.path("vm.xml"), xml).expect("written");
    let virtc = |args: &[&str]| {
        let mut command = bed.virtc(args);
        command.args(["--connect", "qemu:///session"]).env_remove("VIRTC_RUNTIME_DIR");
        command.env("XDG_RUNTIME_DIR", bed.path("xdg")).env("XDG_STATE_HOME", bed.path("state"));
        let out = command.output().expect("virtc runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    virtc(&["run", "-d", &bed.path("vm.xml")]);
    assert!(Path::new(&bed.path("xdg/virtc/mine/monitor.sock")).exists());
    assert!(virtc(&["list"]).contains("running"));
    virtc(&["stop", "--force", "mine"]);
    assert_eq!(virtc(&["list", "--names"]), "");
    assert!(!Path::new(&bed.path("xdg/virtc/mine")).exists());
}

#[test]
fn kvm_that_may_not_be_used_is_told() {
    use std::os::unix::process::CommandExt;
    if !has_qemu() || !is_root() {
        return;
    }
    let mut bed = Bed::new("kvm");
    bed.plan.accelerator = virtc::plan::Accelerator::Kvm;
    let plan = bed.plan_file();
    std::fs::set_permissions(bed.path("."), std::fs::Permissions::from_mode(0o777)).expect("permissions");
    std::fs::set_permissions(&plan, std::fs::Permissions::from_mode(0o644)).expect("permissions");
    // A copy, because a stranger may not reach the folder of the build; by another process, because what one of ours has
    // open for writing at the moment when another test starts a process cannot be executed.
    let program = bed.path("virtc");
    let copied = std::process::Command::new("cp").args([env!("CARGO_BIN_EXE_virtc"), &program]).status();
    assert!(copied.is_ok_and(|status| status.success()));
    let stranger = |args: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command.args(args).env("VIRTC_RUNTIME_DIR", bed.path("reg")).uid(65123).gid(65123);
        command.output().expect("virtc runs")
    };
    let out = stranger(&["run", &plan]);
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(4), "{err}");
    assert!(err.contains("VC1203") && err.contains("/dev/kvm") && err.contains("<domain type='qemu'>"), "{err}");
    let left = stranger(&["list", "--names"]);
    assert!(left.status.success() && left.stdout.is_empty() && bed.processes().is_empty(), "{left:?}");
    // Root believes no journal of a stranger.
    assert!(bed.fails(4, &["list"]).contains("VC1904"));
}

#[test]
fn what_kvm_refuses_is_explained() {
    use std::io::Write;
    // A program that ends as QEMU 7.2 does when a KVM module lacks a register of the CPU model.
    let mut bed = Bed::new("msr");
    let path = bed.path("qemu");
    let mut file = std::fs::File::create(&path).expect("made");
    file.write_all(
        b"#!/bin/sh\necho 'qemu: error: failed to set MSR 0x10a to 0x8000000' >&2\n\
          echo 'qemu: kvm_buf_set_msrs: Assertion failed.' >&2\nkill -ABRT $$\n",
    )
    .expect("written");
    drop(file);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    bed.qemu().program = path;
    let err = bed.fails(4, &["run", &bed.plan_file()]);
    assert!(err.contains("VC1201") && err.contains("MSR 0x10a") && err.contains("SIGABRT"), "{err}");
    assert!(err.contains("arch-") && err.contains("<domain type='qemu'>"), "{err}");
    bed.assert_nothing_left();
}

#[test]
fn what_others_have_open_does_not_reach_the_guest() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("fds").with_serial_file();
    let secret = bed.path("secret-of-others");
    std::fs::write(&secret, "").expect("written");
    let virtc = bed.virtc(&[]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "exec 9<\"$1\"; shift; exec \"$@\"", "sh", &secret]).arg(virtc.get_program());
    command.args(["run", "-d", &bed.plan_file()]).envs(virtc.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let out = command.output().expect("sh runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let open = std::fs::read_dir(format!("/proc/{}/fd", bed.qemu_pid())).expect("its descriptors");
    let open: Vec<_> = open.flatten().filter_map(|e| std::fs::read_link(e.path()).ok()).collect();
    assert!(open.len() > 3 && !open.contains(&PathBuf::from(&secret)), "{open:?}");
    bed.ok(&["stop", "--force", "fds"]);
    bed.assert_nothing_left();
}

#[test]
fn folders_of_others_are_covered() {
    if !has_qemu() || !is_root() {
        return;
    }
    let unshare = ["--mount", "--propagation", "private", "--", "true"];
    if !std::process::Command::new("/usr/bin/unshare").args(unshare).status().is_ok_and(|status| status.success()) {
        skip("root that may make namespaces of mounts");
        return;
    }
    // Something to see, in a folder that is there everywhere.
    let secret = tempfile::Builder::new().prefix("virtc-secret-").tempfile_in("/root").expect("root's own folder");
    let bed = confined("cover");
    bed.start();
    let root = format!("/proc/{}/root", bed.qemu_pid());
    assert!(Path::new(&format!("{root}/root")).is_dir());
    let seen = format!("{root}{}", secret.path().display());
    assert!(secret.path().exists() && !Path::new(&seen).exists(), "{seen} is seen");
    assert!(Path::new(&format!("{root}{}", bed.path("disk"))).exists(), "what it needs is there");
    bed.ok(&["stop", "--force", "cover"]);
    bed.assert_nothing_left();
}
