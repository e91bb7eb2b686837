use super::super::{Around, Line, command_lines};
use crate::diag::Diagnostics;

fn read(text: &str) -> (Vec<Line>, Vec<String>) {
    let around = Around { name: "start.sh", base: "/srv/vm", environment: &[] };
    let mut diags = Diagnostics::new();
    let lines = command_lines(text.as_bytes(), &around, &mut diags);
    let told = diags.iter().map(|d| d.message.clone()).collect();
    (lines, told)
}

fn one(text: &str) -> Vec<String> {
    let (lines, told) = read(text);
    assert_eq!(lines.len(), 1, "{text}: {told:?}");
    lines[0].words().map(str::to_string).collect()
}

#[test]
fn a_command_with_quotes_comments_and_continued_lines() {
    let text = "#!/bin/sh\nsudo LC_ALL=C qemu-kvm -name 'a b' \\\n  -append \"x=\\\"1\\\" y\" -m 1\\ G # the end\n";
    assert_eq!(one(text), ["LC_ALL=C", "qemu-kvm", "-name", "a b", "-append", "x=\"1\" y", "-m", "1 G"]);
}

#[test]
fn variables_arrays_and_defaults() {
    let text = "RAM=4096; args=(-m \"$RAM\"\n # a comment\n -smp ${CPUS:-2})\nargs+=(-usb)\nqemu-system-x86_64 \"${args[@]}\" \"$@\" 2>/dev/null &";
    assert_eq!(one(text), ["qemu-system-x86_64", "-m", "4096", "-smp", "2", "-usb"]);
    assert_eq!(
        one("X='-m 1G -s'\nQ=qemu-system-arm\n$Q $X ${0%/*}/a"),
        ["qemu-system-arm", "-m", "1G", "-s", "/srv/vm/a"]
    );
    assert_eq!(one("N=$((4 * 1024))\nkvm -m $N"), ["kvm", "-m", "4096"]);
}

#[test]
fn what_starts_the_program_is_none_of_its_words() {
    for head in [
        "timeout 60",
        "systemd-run --scope -p MemoryMax=2G",
        "ip netns exec a taskset -c 1-2 nice -n 5",
        "exec sudo -E",
    ] {
        assert_eq!(one(&format!("{head} qemu-system-x86_64 -s -m 1G")), ["qemu-system-x86_64", "-s", "-m", "1G"]);
    }
    assert_eq!(one("sh -c 'qemu-system-x86_64 -m 1G'"), ["qemu-system-x86_64", "-m", "1G"]);
}

#[test]
fn other_commands_are_told() {
    let (lines, told) = read("set -e\nmodprobe kvm\nqemu-img create a 1G\nqemu-system-x86_64 -hda a\n");
    assert_eq!(lines.len(), 1);
    assert!(told.iter().any(|t| t.contains("modprobe, qemu-img")), "{told:?}");
    let (lines, _) = read("which qemu-system-x86_64 || exit 1\necho qemu-system-x86_64 -m 1\n");
    assert!(lines.is_empty());
}

#[test]
fn conditions_that_can_be_decided_are() {
    let text = "if [ \"${1}\" = serial ]; then A=-nographic; else A='-serial stdio'; fi\nqemu-system-x86_64 $A";
    assert_eq!(one(text), ["qemu-system-x86_64", "-serial", "stdio"]);
    assert_eq!(one("[ -z \"$1\" ] && M=512\nkvm -m $M"), ["kvm", "-m", "512"]);
    let (lines, told) = read("A=x\nif [ -e /dev/kvm ]; then A=y; fi\nqemu-system-x86_64 -name $A");
    assert!(lines.len() == 1 && told.iter().any(|t| t.contains("whether 'A' gets another value")), "{told:?}");
}

#[test]
fn functions_are_read_where_they_are_called() {
    assert_eq!(one("run() { qemu-system-x86_64 -m $1; }\nM=7\nrun $M"), ["qemu-system-x86_64", "-m", "7"]);
    assert_eq!(one("run() { qemu-system-x86_64 \"$@\" -s; }\nrun -m 7"), ["qemu-system-x86_64", "-m", "7", "-s"]);
}

#[test]
fn a_case_is_what_its_word_is() {
    let text = "A=arm\ncase $A in\n x86*|amd64) Q=kvm ;;\n a*) Q=qemu-system-arm ;;\n *) Q=x ;;\nesac\n$Q -m 7";
    assert_eq!(one(text), ["qemu-system-arm", "-m", "7"]);
    // A word that nobody knows: each arm may be run.
    assert_eq!(
        one("case \"$1\" in\n start) qemu-system-arm -m 7 ;;\n stop) kill 1 ;;\nesac"),
        ["qemu-system-arm", "-m", "7"]
    );
    assert_eq!(one("case a in a) case b in b) M=7;; esac;; esac; kvm -m $M"), ["kvm", "-m", "7"]);
}

#[test]
fn arguments_are_shifted_away() {
    assert_eq!(
        one("run() { local d=$1; shift; qemu-system-x86_64 -hda $d \"$@\"; }\nrun a.img -m 7"),
        ["qemu-system-x86_64", "-hda", "a.img", "-m", "7"]
    );
}

#[test]
fn programs_that_work_on_names_are_known() {
    assert_eq!(
        one("D=/srv/x/a.img\nkvm -hda $(dirname \"$D\")/b -name $(basename $D .img)")[1..],
        ["-hda", "/srv/x/b", "-name", "a"]
    );
    assert_eq!(one("cd /srv\nkvm -hda $(realpath a.img)")[1..], ["-hda", "/srv/a.img"]);
}

#[test]
fn what_only_a_shell_knows_is_refused_in_its_place() {
    for (text, what) in [
        ("qemu-system-x86_64 -hda $DISK", "'DISK' is not set"),
        ("qemu-system-x86_64 -smp $(nproc)", "only a shell can tell"),
        ("for i in 1 2; do qemu-system-x86_64 -name $i; done", "changes with each round"),
        ("qemu-system-x86_64 -hda 'x", "this quote is not closed"),
    ] {
        let (_, told) = read(text);
        assert!(told.iter().any(|t| t.contains(what)), "{text}: {told:?}");
    }
}

#[test]
fn other_forms() {
    let words = ["/usr/bin/kvm", "-m", "512"];
    assert_eq!(one("/usr/bin/kvm\x00-m\x00512\x00"), words);
    assert_eq!(one("root  12 ?  Sl  0:35 /usr/bin/kvm -m 512"), words);
    assert_eq!(one("  PID TTY TIME CMD\n 12 ? 00:01:02 /usr/bin/kvm -append a b -m 512")[2], "a b");
    assert_eq!(one(r#"["/usr/bin/kvm", "-m", "512"]"#), words);
    assert_eq!(
        one(
            "2024-01-01 00:00:00.000+0000: starting up libvirt version: 11 (x)\n/usr/bin/kvm \\\n-m \\\n512\nchar device (x)\n"
        ),
        words
    );
    let unit = "[Unit]\nDescription=x\n[Service]\nEnvironment=MEM=512\nExecStart=-/usr/bin/kvm -m ${MEM}\n";
    assert_eq!(one(unit), words);
    assert_eq!(one("services:\n  vm:\n    command:\n      - /usr/bin/kvm\n      - -m\n      - \"512\"\n"), words);
    assert_eq!(one("services:\n  vm:\n    command: [\"/usr/bin/kvm\", \"-m\", \"512\"]\n"), words);
    assert_eq!(one("INFO - Running /opt/qemu-system-x86_64 -m 512")[0], "/opt/qemu-system-x86_64");
}
