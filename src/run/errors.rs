//! Faults of the runner, and what QEMU's own words mean.

use crate::diag::{Code, Diagnostic, Severity, Span};

/// Why something did not work, as a diagnostic without a place in the source.
pub type Fault = Box<Diagnostic>;

/// A fault with this code and message.
pub fn fault(code: &'static Code, message: impl Into<String>) -> Fault {
    Box::new(Diagnostic {
        code,
        severity: Severity::Error,
        span: Span::NONE,
        message: message.into(),
        related: Vec::new(),
        elsewhere: Vec::new(),
        help: None,
        edits: Vec::new(),
        lacks: Vec::new(),
    })
}

/// The same fault with a help text.
pub(super) trait WithHelp {
    /// Adds what to do about it.
    fn with_help(self, text: impl Into<String>) -> Self;
}

impl WithHelp for Fault {
    fn with_help(mut self, text: impl Into<String>) -> Fault {
        self.help = Some(text.into());
        self
    }
}

/// A few words of QEMU's messages, in lower case, and what a person can do about it. The first that
/// fits counts; all words of a row have to be there. Observed with QEMU 7.2 to 10.0.
const MEANINGS: &[(&[&str], &str)] = &[
    (
        &["failed to set msr"],
        "KVM refuses a CPU register that this CPU model sets: the KVM module of this host cannot run it. Disable the feature behind it \
         (MSR 0x10a is <feature policy='disable' name='arch-capabilities'/>), choose a named model (<cpu mode='custom'><model>qemu64</model></cpu>), \
         or emulate with <domain type='qemu'>",
    ),
    (
        &["kvm_buf_set_msrs"],
        "KVM refuses a CPU register that this CPU model sets: add <feature policy='disable' name='arch-capabilities'/>, choose a named model, \
         or emulate with <domain type='qemu'>",
    ),
    (
        &["could not access kvm kernel module"],
        "KVM is not usable here (is /dev/kvm there, and may the machine's user open it?); emulate with <domain type='qemu'>",
    ),
    (&["failed to initialize kvm"], "KVM does not work here; emulate with <domain type='qemu'>"),
    (&["kvm", "not a cpu"], "KVM does not work here; emulate with <domain type='qemu'>"),
    (&["host doesn't support requested feature"], "the CPU model asks for a feature that this host does not have"),
    (
        &["failed to get", "lock"],
        "another process uses this image: is the machine running elsewhere? <shareable/> or <readonly/> allow sharing",
    ),
    (
        &["cannot set up guest memory", "cannot allocate"],
        "there is not enough free memory for <memory>; make it smaller, or free some",
    ),
    (
        &["unable to map backing store for guest ram"],
        "there are not enough free huge pages: see /proc/sys/vm/nr_hugepages, or remove <hugepages/>",
    ),
    (
        &["could not open", "permission denied"],
        "the machine's user may not open this file; `virtc check --here` names the directory that forbids it",
    ),
    (
        &["failed to bind socket", "permission denied"],
        "the machine's user may not make a socket there: give it the directory, or leave the path out for one in the \
         machine's own directory",
    ),
    (
        &["could not create", "permission denied"],
        "the machine's user may not write this file: give it the file (chown), or name another",
    ),
    (&["could not open", "no such file"], "the file is not there; `virtc check --here` lists all that are missing"),
    (
        &["is not a valid device model name"],
        "this QEMU does not have the device; compile with `--caps` of this QEMU (`virtc probe qemu`)",
    ),
    (
        &["unsupported machine type"],
        "this QEMU does not know the machine type; `qemu-system-… -machine help` lists its own",
    ),
    (&["address already in use"], "another program listens on the port; choose another, or autoport='yes'"),
    (
        &["could not configure /dev/net/tun"],
        "a tap needs root, or a tap that was made for this user: `virtc check --here` gives the commands",
    ),
    (&["vhost", "could not open"], "load the module vhost_net (modprobe vhost_net), or <driver name='qemu'/>"),
];

/// What the messages of a QEMU that died mean, if known. The last error is the one it died of; a warning is none.
pub(super) fn meaning(messages: &str) -> Option<&'static str> {
    let text = messages.to_lowercase();
    let of_line = |line: &str| MEANINGS.iter().find(|(words, _)| words.iter().all(|w| line.contains(w)));
    let errors = text.lines().filter(|line| !line.contains("warning:"));
    errors.rev().find_map(of_line).map(|(_, help)| *help)
}

#[cfg(test)]
mod tests {
    #[test]
    fn msr_refusal_is_explained() {
        let text = "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x0\nqemu-system-x86_64: kvm_buf_set_msrs: Assertion failed.";
        assert!(super::meaning(text).is_some_and(|h| h.contains("arch-capabilities")));
        assert_eq!(super::meaning("all is well"), None);
    }

    #[test]
    fn a_warning_is_not_what_it_died_of() {
        let warning =
            "qemu-system-x86_64: warning: host doesn't support requested feature: CPUID.01H:ECX.vmx [bit 5]\n";
        let died = format!("{warning}qemu-system-x86_64: -device virtoi: 'virtoi' is not a valid device model name\n");
        assert!(super::meaning(&died).is_some_and(|h| h.contains("does not have the device")));
        assert_eq!(super::meaning(warning), None);
        let cpu = format!("{warning}qemu-system-x86_64: Host doesn't support requested features");
        assert!(super::meaning(&cpu).is_some_and(|h| h.contains("CPU model")));
    }
}
