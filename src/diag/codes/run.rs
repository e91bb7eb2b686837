//! VC12xx: running and probing.
super::codes! {
    /// Codes of the runner.
    run {
        FAILED = "VC1201" "qemu-failed" "QEMU did not start, or died while the machine ran. The message holds QEMU's own words; where virtc knows what they mean, the help says what to do.\n\nTo see the whole command line: `virtc argv FILE --format shell`.";
        NO_PROGRAM = "VC1202" "program-missing" "A program that the machine needs (QEMU, swtpm, virtiofsd, passt, …) is not on this host, or not executable.\n\nInstall it, or name another with <emulator> or in the host facts:\n\n    <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>";
        NO_KVM = "VC1203" "kvm-unusable" "The domain's type is kvm, but KVM does not work here: /dev/kvm is missing, may not be opened, or creates no virtual CPU. virtc does not fall back to emulation silently, because the guest would be ten times slower and see another CPU.\n\nBefore: <domain type='kvm'>\nAfter, to emulate: <domain type='qemu'>";
        RUNNING = "VC1204" "already-running" "A machine of this name runs already in this instance. Stop it (`virtc stop NAME`), or give the new one another <name> and <uuid>.";
        NOT_RUNNING = "VC1205" "not-running" "No machine of this name was started by `virtc run` in this instance. `virtc list` shows those that are. Machines of root and of a user's session are told apart by --connect qemu:///system and qemu:///session.";
        MONITOR = "VC1206" "monitor-failed" "The machine's QMP monitor could not be reached, did not answer in time, or refused the command.";
        PREPARE = "VC1207" "cannot-prepare" "A directory or a file that the machine needs could not be made. The message names the path and the operating system's reason.";
        NO_SECRET = "VC1208" "secret-missing" "The domain uses a secret (for an encrypted disk, iSCSI, RBD, …) whose value is not at hand. Values are never part of the domain XML or the command line.\n\nPut the value into a file named like the secret's UUID (or its usage, with `/` written as `%2F`) in the directory that `--secrets` names; by default /etc/virtc/secrets, or $XDG_CONFIG_HOME/virtc/secrets for a session. Mode 0600.";
        NO_LINK = "VC1209" "link-missing" "A network interface or bridge that the machine needs is not there, and virtc may not create it. The help holds the commands to run as root.";
        HELPER = "VC1210" "helper-failed" "A program that serves the machine beside QEMU (swtpm, virtiofsd, passt, …) did not get ready, or ended while the machine ran.";
        ORPHAN = "VC1211" "without-runner" "The machine's QEMU still runs, but the `virtc run` that started it is gone (killed, for example). `virtc stop NAME` shuts the guest down and tidies up; `virtc clean` ends all such machines at once.";
        CRASHED = "VC1213" "guest-crashed" "The guest reported a crash (panic), and <on_crash> says to end it.";
        NOT_RUNNABLE = "VC1214" "not-for-running" "This plan cannot be run as it stands: it was made for `--target libvirt`, whose command line needs descriptors that only libvirt passes, or it holds no QEMU, or a newer virtc wrote it. Compile the domain for the standalone target.";
        OWNER = "VC1215" "owner-or-label" "The owner or the label of a file could not be set for the machine. virtc changes them through a descriptor, never through a symbolic link, and gives them back when the machine stops.\n\n`<seclabel model='dac' relabel='no'/>` leaves owners as they are.";
        HOST = "VC1216" "host-not-ready" "`virtc check --here` found that this host cannot run the machine as it is. The help says which command puts it right.";
        TRANSPORT = "VC1217" "transport-not-supported" "`--connect` takes qemu:///system, qemu:///session, qemu+unix:///system and qemu+ssh://[user@]host[:port]/system. Others (tls, tcp, libssh, ext) are protocols of libvirt's daemon; virtc has none. Use qemu+ssh, which needs only sshd and virtc on the other side.";
        NOT_APPLIED = "VC1218" "limit-not-applied" "`virtc run` starts the machine without this limit or confinement, which the systemd unit of `virtc build` sets. Use the unit where it counts.";
        LEFT_OVER = "VC1219" "left-over" "Something of a machine that ended badly could not be removed. `virtc clean` tries again.";
        USAGE = "VC1220" "wrong-request" "The request to a running machine is not understood: `virtc monitor NAME COMMAND [KEY=VALUE…]`, or a JSON object with `execute`.";
    }
}
