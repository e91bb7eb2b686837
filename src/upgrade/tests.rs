use super::*;
use crate::plan::{Arg, Form, Process, Props};

fn plan(drivers: &[&str]) -> Plan {
    let args =
        drivers.iter().map(|d| Arg::props("-device", Props::driver((*d).to_string()), Form::Json, Cause::default()));
    let process = Process { id: "qemu".into(), args: args.collect(), ..Process::default() };
    Plan { processes: vec![process], ..Plan::default() }
}

#[test]
fn only_what_the_machine_has_changes() {
    let names = |drivers: &[&str]| {
        let changes = changes(&plan(drivers), "pc-q35-7.1", "pc-q35-7.2").expect("known machine types");
        changes.into_iter().map(|c| format!("{}.{}", c.device, c.property)).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), [""; 0]);
    // 7.2 gave the rng interrupts, and all of virtio a reset of queues.
    assert_eq!(names(&["virtio-rng-pci"]), ["virtio-device.queue_reset", "virtio-rng-pci.vectors"]);
    assert_eq!(names(&["virtio-blk-pci"]), ["virtio-device.queue_reset"]);
    assert_eq!(names(&["e1000"]), [""; 0]);
}

#[test]
fn the_newest_type_that_changes_nothing() {
    assert_eq!(changes(&plan(&[]), "pc-q35-7.1", "pc-q35-7.2"), Some(vec![]));
    let to = unchanged(&plan(&[]), "pc-q35-7.1", "pc-q35-11.1").expect("one");
    assert!(changes(&plan(&[]), "pc-q35-7.1", to).is_some_and(|c| c.is_empty()), "{to}");
    assert_eq!(changes(&plan(&[]), "pc-q35-7.1", "virt-11.1"), None);
}

#[test]
fn values_go_back_and_forth() {
    let there = changes(&plan(&["e1000e"]), "pc-q35-7.2", "pc-q35-11.1").expect("known");
    let back = changes(&plan(&["e1000e"]), "pc-q35-11.1", "pc-q35-7.2").expect("known");
    assert!(there.len() > 3);
    for (one, other) in there.iter().zip(&back) {
        assert_eq!((&one.before, &one.after), (&other.after, &other.before), "{one:?}");
    }
    let timer = there.iter().find(|c| c.property == "migrate-timadj").expect("it was off in 7.2");
    assert_eq!(
        (timer.before.as_deref(), timer.keep.as_deref()),
        (Some("off"), Some("-global e1000e.migrate-timadj=off"))
    );
}

#[test]
fn machine_types_retire_by_the_rule_and_not_before_it() {
    let of = |name| {
        retires(name).map(|r| (crate::caps::retirement::short(r.deprecated), crate::caps::retirement::short(r.removed)))
    };
    assert_eq!(of("pc-q35-7.2"), Some(("10.2".into(), "13.2".into())));
    assert_eq!(of("pc-q35-2.4"), Some(("5.4".into(), "10.1".into())));
    assert_eq!(of("q35"), None);
    // Those that QEMU 11.1 has and 10.0 had agree.
    for machine in Compat::pc().versions("pc-q35") {
        assert!(retires(machine).is_some_and(|r| r.removed > Version::new(10, 0, 99)), "{machine}");
    }
}

#[test]
fn arm_has_versions_too() {
    let changes = changes(&plan(&["virtio-net-pci"]), "virt-10.0", "virt-11.1").expect("known machine types");
    let tunnels: Vec<&str> = changes.iter().filter(|c| c.device == "virtio-net-device").map(|c| &*c.property).collect();
    assert_eq!(tunnels, ["guest_tunnel", "guest_tunnel_csum", "host_tunnel", "host_tunnel_csum"]);
    assert_eq!(newest("virt-7.2", Version::new(10, 2, 0)), Some("virt-10.2"));
    let cpu = Compat::arm().lineage(&Compat::arm().cpu("cortex-a72"));
    assert!(cpu.iter().any(|name| name == "arm-cpu"), "{cpu:?}");
}

#[test]
fn mainframes_and_pseries_have_versions_too() {
    let changed = |plan: &Plan, from: &str, to: &str| {
        let changes = changes(plan, from, to).expect("known machine types");
        changes.into_iter().map(|c| format!("{}.{}", c.device, c.property)).collect::<Vec<_>>()
    };
    // The card of a mainframe carries the same device as one of PCI.
    let disk = plan(&["virtio-blk-ccw"]);
    let found = changed(&disk, "s390-ccw-virtio-7.1", "s390-ccw-virtio-7.2");
    assert_eq!(found, ["virtio-device.queue_reset"]);
    let found = changed(&plan(&["virtio-net-pci"]), "pseries-10.0", "pseries-11.1");
    assert!(found.contains(&"virtio-net-device.host_tunnel".to_string()), "{found:?}");
    assert_eq!(newest("s390-ccw-virtio-7.2", Version::new(10, 2, 0)), Some("s390-ccw-virtio-10.2"));
    assert_eq!(newest("pseries-7.2", Version::new(11, 1, 0)), Some("pseries-11.1"));
    assert_eq!(super::changes(&disk, "s390-ccw-virtio-7.1", "pc-q35-7.2"), None);
}
