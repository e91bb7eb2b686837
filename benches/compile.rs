//! How long each stage takes, side by side, for a minimal domain and for one with 105 disks.
//!
//! Budgets: text to command line in 60 µs for the minimal domain, in 0.5 ms for the large one.

// A benchmark touches the machine, and stops where something is wrong.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use std::fmt::Write;
use std::hint::black_box;
use virtc::caps::profiles;
use virtc::compile::{Until, compile};
use virtc::diag::Diagnostics;
use virtc::emit::argv::{Format, write};
use virtc::host::Host;
use virtc::stage::{Cx, Env, Options};
use virtc::vocab::Arch;

const MINIMAL: &str = "<domain type='qemu'>
  <name>minimal</name>
  <uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>
  <memory unit='KiB'>219136</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>
</domain>
";

/// A domain with 105 virtio disks.
fn many_disks() -> String {
    let mut disks = String::new();
    for i in 0..105u8 {
        let name = match i {
            0..26 => format!("vd{}", char::from(b'a' + i)),
            _ => format!("vd{}{}", char::from(b'a' + i / 26 - 1), char::from(b'a' + i % 26)),
        };
        let _ = write!(
            disks,
            "<disk type='file' device='disk'><driver name='qemu' type='raw'/>\
             <source file='/var/lib/libvirt/images/{name}.img'/><target dev='{name}' bus='virtio'/></disk>"
        );
    }
    MINIMAL.replace("</devices>", &format!("{disks}</devices>"))
}

fn stages(c: &mut Criterion) {
    let (host, caps, options) =
        (Host::default(), profiles::default(Arch::X86_64).expect("an embedded profile"), Options::default());
    for (name, text) in [("minimal", MINIMAL.to_string()), ("105 disks", many_disks())] {
        let mut group = c.benchmark_group(name);
        group.bench_function("1 xml", |b| {
            b.iter(|| virtc::xml::parse(black_box(text.as_bytes()), &mut Diagnostics::new()))
        });
        let mut diags = Diagnostics::new();
        let doc = virtc::xml::parse(text.as_bytes(), &mut diags);
        group.bench_function("2 schema", |b| {
            b.iter(|| virtc::schema::validate(black_box(&doc), virtc::schema::Grade::Strict, &mut Diagnostics::new()))
        });
        group.bench_function("3 bind", |b| {
            b.iter(|| virtc::domain::bind(black_box(&doc), &|_| false, &mut Diagnostics::new()))
        });
        let domain = virtc::domain::bind(&doc, &|_| false, &mut diags).expect("the text is a domain");
        let env = Env { host: &host, caps: &caps, flags: caps.flags, options: &options };
        group.bench_function("4 resolve", |b| {
            b.iter(|| {
                let mut domain = domain.clone();
                let mut diags = Diagnostics::new();
                virtc::resolve::resolve(&mut domain, &mut Cx { env, doc: &doc, diags: &mut diags });
                domain
            })
        });
        let plan = compile(text.as_bytes(), &host, &caps, &options, Until::Planned).plan.expect("the domain compiles");
        group.bench_function("6 argv", |b| {
            b.iter(|| {
                let mut out = String::new();
                write(&mut out, black_box(&plan.processes[0]), Format::Lines);
                out
            })
        });
        group.bench_function("text to argv", |b| {
            b.iter(|| {
                let compiled = compile(black_box(text.as_bytes()), &host, &caps, &options, Until::Planned);
                let mut out = String::new();
                if let Some(qemu) = compiled.plan.as_ref().and_then(|p| p.qemu()) {
                    write(&mut out, qemu, Format::Lines);
                }
                out
            })
        });
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
