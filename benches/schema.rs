//! How long checking against the format takes: one small domain, and all examples and fixtures together.
//! VIRTC_CORPUS adds a folder of domains.

// A benchmark touches the machine, and stops where something is wrong.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use virtc::diag::Diagnostics;
use virtc::{schema, xml};

const MINIMAL: &str = "<domain type='kvm'><name>vm</name><memory unit='GiB'>2</memory><vcpu>2</vcpu>\
    <os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='file' device='disk'>\
    <driver name='qemu' type='qcow2'/><source file='/srv/vm.qcow2'/><target dev='vda' bus='virtio'/></disk>\
    <interface type='user'><model type='virtio'/></interface><console type='pty'/></devices></domain>";

fn texts() -> Vec<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("examples"), root.join("tests/schema/valid")];
    folders.extend(std::env::var("VIRTC_CORPUS").unwrap_or_default().split(':').map(|f| Path::new(f).to_path_buf()));
    let files = folders.iter().filter_map(|f| std::fs::read_dir(f).ok()).flatten().flatten().map(|e| e.path());
    files.filter(|p| p.extension().is_some_and(|e| e == "xml")).filter_map(|p| std::fs::read(p).ok()).collect()
}

fn check(bytes: &[u8]) -> usize {
    let mut diags = Diagnostics::new();
    let doc = xml::parse(bytes, &mut diags);
    schema::validate(&doc, schema::Grade::Strict, &mut diags);
    diags.iter().count()
}

fn benches(c: &mut Criterion) {
    let mut diags = Diagnostics::new();
    let doc = xml::parse(MINIMAL.as_bytes(), &mut diags);
    c.bench_function("validate a minimal domain", |b| {
        b.iter(|| schema::validate(black_box(&doc), schema::Grade::Strict, &mut diags).is_empty())
    });
    c.bench_function("parse and validate a minimal domain", |b| b.iter(|| check(black_box(MINIMAL.as_bytes()))));
    let all = texts();
    c.bench_function(&format!("parse and validate {} files", all.len()), |b| {
        b.iter(|| all.iter().map(|t| check(black_box(t))).sum::<usize>())
    });
}

criterion_group!(schema_benches, benches);
criterion_main!(schema_benches);
