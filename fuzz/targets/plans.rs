//! What a built tree holds, read back: a Plan and a manifest that a stranger wrote, through every emitter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use virtc::diag::Diagnostics;
use virtc::emit::manifest::Manifest;
use virtc::emit::{Extras, Templates, all, argv, plan_json};
use virtc::plan::Plan;

static TEMPLATES: LazyLock<Templates> = LazyLock::new(Templates::built_in);

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::read(bytes) {
        for path in manifest.files.keys() {
            assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."), "{path}");
        }
    }
    let Ok(plan) = Plan::read(bytes) else { return };
    let json = plan_json(&plan);
    assert_eq!(Plan::read(json.as_bytes()).map(|read| plan_json(&read)).ok(), Some(json));
    for process in &plan.processes {
        argv::tokens(process);
    }
    for file in all(&plan, &Extras::default(), &TEMPLATES, &mut Diagnostics::new()) {
        assert!(!file.path.starts_with('/') && !file.path.split('/').any(|part| part == ".."), "{}", file.path);
    }
});
