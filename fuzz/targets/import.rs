//! Command lines, one word a line, and domains in KDL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use virtc::diag::Diagnostics;

fuzz_target!(|text: &str| {
    let words: Vec<String> = text.lines().map(String::from).collect();
    let imported = virtc::import::domain(&words, "/srv");
    let mut faults = Diagnostics::new();
    virtc::xml::parse(imported.xml.as_bytes(), &mut faults);
    assert!(!faults.has_errors(), "no XML: {}", imported.xml);
    let mut faults = Diagnostics::new();
    if let Some(xml) = virtc::import::domain_of_kdl(text, &mut faults) {
        let mut faults = Diagnostics::new();
        virtc::xml::parse(xml.as_bytes(), &mut faults);
        assert!(!faults.has_errors(), "no XML: {xml}");
    }
});
