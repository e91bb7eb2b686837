//! SELinux labels of small domains, and how labels are made.

use super::pack::{self, Surroundings};
use super::{labels, ratchet};
use std::time::Duration;

#[test]
fn selinux_cases() {
    let Some(pack) = pack::folder() else { return };
    let _lock = ratchet::lock();
    let surroundings = Surroundings::new(&pack);
    let cases = pack::json(&pack.join("selinux-cases/cases.json"));
    let results = pack::each(cases["cases"].as_array().expect("a list"), "id", |case| {
        let input = pack.join("selinux-cases").join(case["xml"].as_str().unwrap_or_default());
        let outcome = surroundings.build(&input, Duration::from_secs(20));
        match (case["expect"].as_str(), outcome.plan) {
            (Some("reject"), None) if outcome.status == Some(1) => Ok(()),
            (Some("reject"), _) => Err("not refused".to_string()),
            (_, Some(plan)) => labels::compare(case, &plan),
            (_, None) => Err(format!("not compiled: {}", outcome.said.lines().find(|l| l.contains('×')).unwrap_or(""))),
        }
    });
    ratchet::judge("selinux", &results);
}
