//! Scripts, units, logs and lists with command lines, and domains in KDL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use virtc::diag::Diagnostics;

fuzz_target!(|text: &str| {
    let around = virtc::import::Around { name: "script.sh", base: "/srv", environment: &[] };
    let mut faults = Diagnostics::new();
    for line in virtc::import::command_lines(text.as_bytes(), &around, &mut faults) {
        let imported = virtc::import::domain(&line, "/srv", &|_| None);
        let mut faults = Diagnostics::new();
        virtc::xml::parse(imported.xml.as_bytes(), &mut faults);
        assert!(!faults.has_errors(), "no XML: {}", imported.xml);
    }
    let mut faults = Diagnostics::new();
    if let Some(xml) = virtc::import::domain_of_kdl(text, &mut faults) {
        let mut faults = Diagnostics::new();
        virtc::xml::parse(xml.as_bytes(), &mut faults);
        assert!(!faults.has_errors(), "no XML: {xml}");
    }
});
