//! What QEMU says of itself, held against the Plan. All differences are told, not only the first.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use virtc::plan::{Arg, ArgValue, Plan, Prop, Props, Requests};
use virtc::run::qmp::Qmp;

pub type Monitor = Qmp<UnixStream>;

pub fn props<'a>(plan: &'a Plan, switch: &'a str) -> impl Iterator<Item = &'a Props> {
    plan.qemu().into_iter().flat_map(|q| &q.args).filter_map(move |arg| match arg {
        Arg { switch: s, value: ArgValue::Props(props, _), .. } if s == switch => Some(props),
        _ => None,
    })
}

/// How much was compared.
#[derive(Default, Debug)]
pub struct Count {
    pub devices: usize,
    pub properties: usize,
    pub nodes: usize,
    pub chardevs: usize,
    pub objects: usize,
}

pub fn compare(plan: &Plan, qmp: &mut Monitor, faults: &mut Vec<String>) -> Count {
    let mut count = Count::default();
    devices(plan, qmp, &mut count, faults);
    pci(plan, qmp, faults);
    blocks(plan, qmp, &mut count, faults);
    chardevs(plan, qmp, &mut count, faults);
    let mut listed = |path: &str| -> BTreeSet<String> {
        let reply = qmp.execute("qom-list", json!({ "path": path })).unwrap_or_default();
        names(&reply, "name")
    };
    let objects = listed("/objects");
    for object in props(plan, "-object") {
        let id = object.text("id").unwrap_or_default();
        count.objects += 1;
        if !objects.contains(id) {
            faults.push(format!("there is no object {id}: {objects:?}"));
        }
    }
    memory(plan, qmp, faults);
    histograms(plan, qmp, faults);
    count
}

/// What QEMU counts of the times of requests, by the bins of the Plan.
fn histograms(plan: &Plan, qmp: &mut Monitor, faults: &mut Vec<String>) {
    let reply = qmp.execute("query-blockstats", Value::Null).unwrap_or_default();
    let disks = reply.as_array().map(Vec::as_slice).unwrap_or_default();
    for histogram in &plan.histograms {
        let of_disk = disks.iter().find(|d| d["qdev"].as_str().is_some_and(|q| q.ends_with(&histogram.device)));
        let kinds: &[&str] = match histogram.requests {
            // A histogram of its own goes before that of all.
            Requests::All if plan.histograms.iter().filter(|h| h.device == histogram.device).count() > 1 => &["wr"],
            Requests::All => &["rd", "wr", "flush"],
            Requests::Read => &["rd"],
            Requests::Write => &["wr"],
            Requests::Zone => &["zap"],
            Requests::Flush => &["flush"],
        };
        for kind in kinds {
            let counted = of_disk.map(|d| d["stats"][format!("{kind}_latency_histogram")]["boundaries"].clone());
            if counted != Some(json!(histogram.boundaries)) {
                faults
                    .push(format!("{} counts {kind} by {counted:?}, not {:?}", histogram.device, histogram.boundaries));
            }
        }
    }
}

fn names(list: &Value, key: &str) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(|v| v[key].as_str().map(str::to_string)).collect()
}

/// Properties that a device does not give back, or not as they were given: what they mean is compared below.
const NOT_COMPARED: [&str; 5] = ["driver", "id", "bus", "addr", "drive"];

fn devices(plan: &Plan, qmp: &mut Monitor, count: &mut Count, faults: &mut Vec<String>) {
    let reply = qmp.execute("qom-list", json!({ "path": "/machine/peripheral" })).unwrap_or_default();
    let present = names(&reply, "name");
    for device in props(plan, "-device") {
        let Some(id) = device.text("id") else { continue };
        count.devices += 1;
        if !present.contains(id) {
            faults.push(format!("there is no device {id}: {present:?}"));
            continue;
        }
        let path = format!("/machine/peripheral/{id}");
        let mut get = |property: &str| qmp.execute("qom-get", json!({ "path": path, "property": property })).ok();
        if let (Some(Value::String(driver)), Some(wanted)) = (get("type"), device.text("driver").or(device.text(""))) {
            // Some are named by an alias: lsi is lsi53c895a.
            if !driver.starts_with(wanted) {
                faults.push(format!("{id} is a {driver}, and should be a {wanted}"));
            }
        }
        for (key, wanted) in &device.0 {
            if NOT_COMPARED.contains(&key.as_ref()) || key.is_empty() {
                continue;
            }
            // Some properties can only be set.
            let Some(found) = get(key) else { continue };
            count.properties += 1;
            if !same(wanted, &found) {
                faults.push(format!("{id}: {key} is {found}, and should be {wanted:?}"));
            }
        }
        if let (Some(bus), Some(Value::String(found))) = (device.text("bus"), get("parent_bus"))
            && found.rsplit('/').next() != Some(bus)
        {
            faults.push(format!("{id} is on {found}, and should be on {bus}"));
        }
    }
}

/// Whether a value that QEMU gives is the one that it was given.
fn same(wanted: &Prop, found: &Value) -> bool {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    match (wanted, found) {
        (Prop::Bool(wanted), Value::Bool(found)) => wanted == found,
        (Prop::Bool(wanted), Value::String(found)) => found == if *wanted { "on" } else { "off" },
        (Prop::Number(wanted), Value::Number(found)) => found.as_i64() == Some(*wanted),
        (Prop::Number(wanted), Value::Bool(found)) => (*wanted != 0) == *found,
        (Prop::Unsigned(wanted), Value::Number(found)) => found.as_u64() == Some(*wanted),
        (Prop::Text(wanted), Value::Bool(found)) => wanted == if *found { "on" } else { "off" },
        (Prop::Text(wanted), Value::Number(found)) => number(wanted).is_some() && number(wanted) == found.as_i64(),
        (Prop::Text(wanted), Value::String(found)) => {
            // A link to an object gives its path.
            wanted.eq_ignore_ascii_case(found) || found.ends_with(&format!("/{wanted}"))
        }
        (Prop::Number(wanted), Value::String(found)) => number(found) == Some(*wanted),
        (Prop::List(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(w, f)| same(w, f))
        }
        _ => false,
    }
}

/// Every device of a PCI bus, and those behind its bridges: id, slot, function.
fn pci_devices(buses: &Value, found: &mut BTreeSet<(String, u64, u64)>) {
    for bus in buses.as_array().into_iter().flatten() {
        for device in bus["devices"].as_array().into_iter().flatten() {
            let id = device["qdev_id"].as_str().unwrap_or("").to_string();
            found.insert((id, device["slot"].as_u64().unwrap_or(99), device["function"].as_u64().unwrap_or(99)));
            pci_devices(&json!([{ "devices": device["pci_bridge"]["devices"] }]), found);
        }
    }
}

fn pci(plan: &Plan, qmp: &mut Monitor, faults: &mut Vec<String>) {
    let number = |hex: &str| u64::from_str_radix(hex.trim_start_matches("0x"), 16).unwrap_or(99);
    let place = |device: &Props| {
        let (id, addr) = (device.text("id")?, device.text("addr")?);
        let (slot, function) = addr.split_once('.').unwrap_or((addr, "0x0"));
        Some((id.to_string(), number(slot), number(function)))
    };
    let wanted: BTreeSet<_> = props(plan, "-device").filter_map(place).collect();
    // QEMU lists what is behind a bridge once the firmware has numbered the buses; what is below an expander
    // bus is not behind a bridge that query-pci follows, so its address is asked of the device.
    let until = Instant::now() + Duration::from_secs(40);
    loop {
        let mut found = BTreeSet::new();
        pci_devices(&qmp.execute("query-pci", Value::Null).unwrap_or_default(), &mut found);
        let missing: Vec<_> = wanted.difference(&found).collect();
        if missing.is_empty() {
            return;
        }
        if Instant::now() > until {
            faults.push(format!("query-pci has no {missing:?}: {found:?}"));
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn blocks(plan: &Plan, qmp: &mut Monitor, count: &mut Count, faults: &mut Vec<String>) {
    let reply = qmp.execute("query-block", Value::Null).unwrap_or_default();
    let drives: Vec<(&str, &str)> = reply
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|b| Some((b["qdev"].as_str()?, b["inserted"]["node-name"].as_str().unwrap_or(""))))
        .collect();
    for device in props(plan, "-device") {
        let (Some(id), Some(node)) = (device.text("id"), device.text("drive")) else { continue };
        if !drives.iter().any(|(qdev, n)| *n == node && (*qdev == id || qdev.split('/').any(|part| part == id))) {
            faults.push(format!("query-block has no {id} with {node}: {drives:?}"));
        }
    }
    let reply = qmp.execute("query-named-block-nodes", json!({ "flat": true })).unwrap_or_default();
    let nodes: Vec<&Value> = reply.as_array().into_iter().flatten().collect();
    for wanted in props(plan, "-blockdev") {
        count.nodes += 1;
        let name = wanted.text("node-name").unwrap_or_default();
        let Some(node) = nodes.iter().find(|n| n["node-name"] == name) else {
            faults.push(format!("there is no block node {name}"));
            continue;
        };
        if node["drv"].as_str() != wanted.text("driver") {
            faults.push(format!("{name} has driver {}, and should have {:?}", node["drv"], wanted.text("driver")));
        }
        let readonly = wanted.get("read-only").is_some_and(|p| *p == Prop::Bool(true));
        if wanted.get("auto-read-only").is_none() && node["ro"] != readonly {
            faults.push(format!("{name}: read-only is {}", node["ro"]));
        }
        if let Some(Prop::Object(cache)) = wanted.get("cache") {
            for key in ["direct", "no-flush"] {
                if let Some(Prop::Bool(on)) = cache.get(key)
                    && node["cache"][key] != *on
                {
                    faults.push(format!("{name}: cache.{key} is {}", node["cache"][key]));
                }
            }
        }
    }
}

fn chardevs(plan: &Plan, qmp: &mut Monitor, count: &mut Count, faults: &mut Vec<String>) {
    let reply = qmp.execute("query-chardev", Value::Null).unwrap_or_default();
    let list: Vec<(&str, &str)> = reply
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|c| Some((c["label"].as_str()?, c["filename"].as_str()?)))
        .collect();
    for wanted in props(plan, "-chardev") {
        count.chardevs += 1;
        let id = wanted.text("id").unwrap_or_default();
        let Some((_, filename)) = list.iter().find(|(label, _)| *label == id) else {
            faults.push(format!("query-chardev has no {id}: {list:?}"));
            continue;
        };
        let kind = wanted.text("").unwrap_or_default();
        let fits = match kind {
            "pty" => filename.starts_with("pty:"),
            "udp" => filename.starts_with("udp"),
            "socket" => ["unix:", "tcp:", "telnet:", "tls:", "disconnected:"].iter().any(|p| filename.starts_with(p)),
            // The others are named by nothing but their kind, or their module.
            _ => !filename.is_empty(),
        };
        if !fits {
            faults.push(format!("{id} is {filename}, and should be a {kind}"));
        }
    }
}

fn memory(plan: &Plan, qmp: &mut Monitor, faults: &mut Vec<String>) {
    let reply = qmp.execute("query-memdev", Value::Null).unwrap_or_default();
    for object in props(plan, "-object") {
        let (Some(kind), Some(id)) = (object.text("qom-type"), object.text("id")) else { continue };
        let Some(Prop::Number(size)) = object.get("size").filter(|_| kind.starts_with("memory-backend")) else {
            continue;
        };
        let found = reply.as_array().into_iter().flatten().find(|m| m["id"] == id);
        if found.is_none_or(|m| m["size"] != *size) {
            faults.push(format!("query-memdev: {id} should have {size}: {found:?}"));
        }
    }
    let iothreads = names(&qmp.execute("query-iothreads", Value::Null).unwrap_or_default(), "id");
    for object in props(plan, "-object").filter(|o| o.text("qom-type") == Some("iothread")) {
        let id = object.text("id").unwrap_or_default();
        if !iothreads.contains(id) {
            faults.push(format!("there is no I/O thread {id}"));
        }
    }
}
