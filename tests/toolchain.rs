//! The release of Rust that Cargo.toml asks for is the truth: no dependency asks for a newer one, and the README says
//! the same. (That our own code uses nothing newer is a lint of clippy's.)

use crate::common::root;
use serde_json::Value;
use std::process::Command;

/// `1.95` or `1.95.0` as numbers.
fn release(text: &str) -> (u32, u32) {
    let mut numbers = text.split('.').map(|n| n.parse().expect("a number"));
    (numbers.next().expect("a major version"), numbers.next().expect("a minor version"))
}

/// Name and asked release of every package in the build, by cargo itself.
fn packages() -> Vec<(String, Option<String>)> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform=x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |package: &Value, key: &str| package[key].as_str().map(str::to_string);
    let packages = metadata["packages"].as_array().expect("packages");
    packages.iter().map(|p| (text(p, "name").expect("a name"), text(p, "rust_version"))).collect()
}

#[test]
fn no_dependency_needs_a_newer_rust() {
    let packages = packages();
    let own = packages.iter().find(|(name, _)| name == "virtc").and_then(|(_, asked)| asked.clone());
    let own = own.expect("virtc says which Rust it needs");
    let newer = |asked: &str| release(asked) > release(&own);
    let too_new: Vec<_> = packages.iter().filter(|(_, asked)| asked.as_deref().is_some_and(newer)).collect();
    assert!(packages.len() > 50 && too_new.is_empty(), "rust-version is {own}, but {too_new:?}");
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    assert!(readme.contains(&format!("With Rust ({own} or newer)")), "the README names another Rust than {own}");
}
