//! Addresses of random sets of devices: no two devices share one, a device added at the end moves no
//! other, and a real QEMU has every device where the Plan says.

use crate::common::{self, Dice};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use virtc::compile::{Until, compile};
use virtc::device::Devices;
use virtc::host::Host;
use virtc::plan::{Arg, ArgValue, Process, Target};
use virtc::stage::Options;

/// Devices to choose from.
const POOL: &[&str] = &[
    "<interface type='user'><model type='virtio'/></interface>",
    "<interface type='user'><model type='e1000'/></interface>",
    "<interface type='user'><model type='e1000e'/></interface>",
    "<controller type='scsi' model='virtio-scsi'/>",
    "<controller type='virtio-serial'/>",
    "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
    "<controller type='usb' model='qemu-xhci'/>",
    "<input type='tablet' bus='virtio'/>",
    "<sound model='ac97'/>",
];

fn xml(machine: &str, devices: &[&str]) -> String {
    format!(
        "<domain type='qemu'><name>addresses</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>\
         <memory unit='MiB'>128</memory><os><type arch='x86_64' machine='{machine}'>hvm</type></os>\
         <devices>{}</devices></domain>",
        devices.concat()
    )
}

/// Compiles; gives the devices and QEMU's arguments.
fn plan(machine: &str, devices: &[&str]) -> (Devices, Vec<Arg>) {
    let arch = virtc::vocab::Arch::X86_64;
    let caps = virtc::caps::profiles::named("qemu-7.2", arch).or_else(|| virtc::caps::profiles::default(arch));
    let caps = caps.expect("an embedded profile");
    let host = Host::default();
    let options = Options { target: Target::Standalone, ..Options::default() };
    let text = xml(machine, devices);
    let compiled = compile(text.as_bytes(), &host, &caps, &options, Until::Planned);
    let faults: Vec<_> = compiled.diags.iter().map(|d| d.message.clone()).collect();
    let plan = compiled.plan.unwrap_or_else(|| panic!("{text}\n{faults:?}"));
    let args = plan.qemu().expect("a QEMU process").args.clone();
    (compiled.domain.and_then(|d| d.devices).unwrap_or_default(), args)
}

/// Id and PCI address of each device.
fn addresses(devices: &Devices) -> Vec<(String, String)> {
    let mut all = Vec::new();
    devices.each(&mut |d| {
        if let Some(at) = d.info().pci() {
            all.push((d.info().id.clone(), at.to_string()));
        }
    });
    all
}

fn sets(machine: &str, seed: u64, mut check: impl FnMut(&[&str])) {
    let mut dice = Dice(seed);
    for _ in 0..60 {
        let count = 1 + dice.roll(if machine == "pc" { 24 } else { 40 });
        let devices: Vec<&str> = (0..count).map(|_| POOL[dice.roll(POOL.len())]).collect();
        check(&devices);
    }
}

#[test]
fn no_two_devices_share_an_address() {
    for machine in ["pc", "q35"] {
        sets(machine, 7, |devices| {
            let (all, _) = plan(machine, devices);
            let addresses = addresses(&all);
            let distinct: BTreeSet<_> = addresses.iter().map(|(_, at)| at).collect();
            assert_eq!(distinct.len(), addresses.len(), "{machine}: {addresses:?}");
        });
    }
}

#[test]
fn a_device_added_at_the_end_moves_no_other() {
    // Behind all others in libvirt's order, and without need of a bridge, which would come before them.
    let last = "<vsock model='virtio'><cid auto='no' address='3'/></vsock>";
    for machine in ["pc", "q35"] {
        sets(machine, 11, |devices| {
            let before = addresses(&plan(machine, devices).0);
            let mut more = devices.to_vec();
            more.push(last);
            let after = addresses(&plan(machine, &more).0);
            for (id, at) in before.iter().filter(|(id, _)| !id.starts_with("pci")) {
                assert!(after.contains(&(id.clone(), at.clone())), "{machine}: {id} was at {at}: {after:?}");
            }
        });
    }
}

/// Slot and function of every device with an id, as QEMU has them.
type Found = BTreeMap<String, (u64, u64)>;

fn collect(devices: &Value, found: &mut Found) {
    for device in devices.as_array().into_iter().flatten() {
        let number = |key: &str| device[key].as_u64().unwrap_or(u64::MAX);
        if let Some(id) = device["qdev_id"].as_str().filter(|id| !id.is_empty()) {
            found.insert(id.to_string(), (number("slot"), number("function")));
        }
        collect(&device["pci_bridge"]["devices"], found);
    }
}

/// Asks a QEMU that has only the devices of the plan where it has them; none without a QEMU.
fn query_pci(machine: &str, args: Vec<Arg>) -> Option<Found> {
    let process = Process { args, ..Process::default() };
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", &format!("{machine},usb=off"), "-nodefaults", "-display", "none", "-S", "-qmp", "stdio"]);
    command.args(virtc::emit::argv::tokens(&process).into_iter().filter(|t| !t.is_empty()));
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        common::skip("qemu-system-x86_64 (apt-get install qemu-system-x86)");
        return None;
    };
    let talk = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-pci\"}\n{\"execute\":\"quit\"}\n";
    child.stdin.take()?.write_all(talk.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found = Found::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let answer: Value = serde_json::from_str(line).unwrap_or_default();
        for bus in answer["return"].as_array().into_iter().flatten() {
            collect(&bus["devices"], &mut found);
        }
    }
    Some(found)
}

/// The backend of main memory belongs to `-machine`, which the test makes itself.
fn is_memory(arg: &Arg) -> bool {
    match &arg.value {
        ArgValue::Props(props, _) => props.text("qom-type").is_some_and(|t| t.starts_with("memory-backend")),
        _ => false,
    }
}

#[test]
fn qemu_has_every_device_where_the_plan_says() {
    for machine in ["pc", "q35"] {
        let mut dice = Dice(23);
        for _ in 0..4 {
            let devices: Vec<&str> = (0..12).map(|_| POOL[dice.roll(POOL.len())]).collect();
            let (all, args) = plan(machine, &devices);
            let relevant = args
                .into_iter()
                .filter(|a| matches!(&*a.switch, "-device" | "-netdev" | "-object" | "-audiodev") && !is_memory(a))
                .collect();
            let Some(found) = query_pci(machine, relevant) else { return };
            let mut checked = 0;
            all.each(&mut |d| {
                // Devices of the board have no id of ours in QEMU.
                let (Some(at), Some(place)) = (d.info().pci(), found.get(&d.info().id)) else { return };
                assert_eq!((u64::from(at.slot), u64::from(at.function)), *place, "{machine}: {}", d.info().id);
                checked += 1;
            });
            // Before the firmware has run, QEMU lists no device behind a port; that it has taken their
            // addresses is then the proof.
            assert!(checked > 0, "{machine}: QEMU has {found:?}");
        }
    }
}
