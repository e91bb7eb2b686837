//! Everything that is read beside domains: host facts, capabilities in both forms, qemu.conf, audit records.
#![no_main]

use libfuzzer_sys::fuzz_target;
use virtc::diag::Diagnostics;
use virtc::host::{self, Host};

fuzz_target!(|text: &str| {
    let diags = || Diagnostics::new();
    let mut faults = diags();
    let read = host::read(text, &mut faults);
    if !faults.has_errors() {
        // What is written reads as the same facts.
        let written = host::write(&read, "a host");
        let mut faults = diags();
        let again = host::read(&written, &mut faults);
        assert!(!faults.has_errors(), "{written}");
        assert_eq!(host::write(&again, "a host"), written);
    }
    host::qemu_conf::import(text, Host::default(), &|_| true, &mut diags());
    if let Some(caps) = virtc::caps::read(text.as_bytes(), &mut diags()) {
        let written = virtc::caps::compact_write::write(&caps);
        let again = virtc::caps::compact::read(&written, &mut diags()).expect("what was written can be read");
        assert_eq!(virtc::caps::compact_write::write(&again), written);
    }
    virtc::denial::records(text);
});
