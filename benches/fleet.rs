//! A fleet of ten thousand generated domains: from text to command lines on all cores, and its conflicts.
//!
//! Budget: command lines in 3 s on two cores. `VIRTC_FLEET_DIR=DIR` also writes the domains there, to be given to the program.

// A benchmark touches the machine, and stops where something is wrong.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use rayon::prelude::*;
use std::fmt::Write;
use std::time::Instant;
use virtc::caps::profiles;
use virtc::compile::{Until, compile};
use virtc::emit::argv::{Format, write};
use virtc::fleet::{Member, conflicts};
use virtc::host::Host;
use virtc::stage::Options;
use virtc::vocab::Arch;

const DOMAINS: u32 = 10_000;

/// A server of common size: one to four disks, one or two NICs, a console, an agent, VNC, a random number source.
fn domain(n: u32) -> String {
    let mut devices = String::new();
    for disk in 0..1 + n % 4 {
        let name = char::from(b'a' + disk as u8);
        let _ = writeln!(
            devices,
            "<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none' discard='unmap'/>\
             <source file='/var/lib/libvirt/images/vm{n}-{disk}.qcow2'/><target dev='vd{name}' bus='virtio'/></disk>"
        );
    }
    for nic in 0..1 + n % 2 {
        let [_, a, b, c] = (n * 2 + nic).to_be_bytes();
        let _ = writeln!(
            devices,
            "<interface type='bridge'><mac address='52:54:00:{a:02x}:{b:02x}:{c:02x}'/><source bridge='br{}'/>\
             <model type='virtio'/></interface>",
            n % 8
        );
    }
    format!(
        "<domain type='kvm'>\n<name>vm{n}</name>\n<uuid>5a1b0c9d-2e3f-4a5b-8c6d-{n:012x}</uuid>\n\
         <memory unit='GiB'>{}</memory>\n<vcpu>{}</vcpu>\n\
         <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os>\n\
         <features><acpi/><apic/></features>\n<cpu mode='custom'><model>qemu64</model></cpu>\n<clock offset='utc'/>\n<devices>\n\
         <emulator>/usr/bin/qemu-system-x86_64</emulator>\n{devices}\
         <serial type='pty'/><console type='pty'/>\n\
         <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>\n\
         <graphics type='vnc' autoport='yes' listen='127.0.0.1'/><video><model type='virtio'/></video>\n\
         <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>\n\
         </devices>\n</domain>\n",
        1 + n % 16,
        1 + n % 8
    )
}

fn main() {
    let texts: Vec<String> = (0..DOMAINS).map(domain).collect();
    if let Some(folder) = std::env::var_os("VIRTC_FLEET_DIR") {
        for (n, text) in texts.iter().enumerate() {
            std::fs::write(std::path::Path::new(&folder).join(format!("vm{n}.xml")), text).expect("a file");
        }
    }
    let (host, caps, options) =
        (Host::default(), profiles::default(Arch::X86_64).expect("an embedded profile"), Options::default());
    let start = Instant::now();
    let plans: Vec<_> = texts
        .par_iter()
        .map(|text| {
            let compiled = compile(text.as_bytes(), &host, &caps, &options, Until::Planned);
            compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diags))
        })
        .collect();
    let compiled = start.elapsed();
    let bytes: usize = plans
        .par_iter()
        .map(|plan| {
            let mut out = String::new();
            plan.qemu().inspect(|qemu| write(&mut out, qemu, Format::Lines));
            out.len()
        })
        .sum();
    let written = start.elapsed();
    let members: Vec<Member<'_>> = plans.iter().map(|plan| Member { file: "vm.xml", plan, there: None }).collect();
    let faults: usize = conflicts(&members).iter().map(|d| d.iter().count()).sum();
    println!("threads             {}", rayon::current_num_threads());
    println!("{DOMAINS} Plans         {compiled:?}");
    println!("with command lines  {written:?} ({} MB)", bytes / 1_000_000);
    println!("with conflicts      {:?} ({faults} found)", start.elapsed());
}
