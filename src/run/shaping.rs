//! `<bandwidth>` of interfaces, with the kernel's traffic control.
//!
//! What goes to the guest (inbound) leaves the host through the tap, and is shaped there; what comes from it
//! (outbound) enters the host, where it can only be dropped above its rate.

use super::errors::Fault;
use super::journal::{Entry, Journal};
use super::links::{as_text, run};
use crate::plan::{Link, Plan};

/// The commands that shape a link, each as its words. Rates are in units of 1000 bytes a second, sizes in KiB:
/// that is what libvirt makes of the format's numbers, too.
pub(super) fn commands(link: &Link) -> Vec<Vec<String>> {
    let Some([inbound, outbound]) = link.bandwidth else { return Vec::new() };
    let dev = link.name.as_str();
    let words = |text: String| Vec::from_iter(text.split(' ').map(str::to_string));
    let mut all = Vec::new();
    let [average, peak, burst] = inbound;
    if average > 0 {
        let mut class = format!("tc class add dev {dev} parent 1: classid 1:1 htb rate {average}kbps");
        if peak > 0 {
            class.push_str(&format!(" ceil {peak}kbps"));
        }
        if burst > 0 {
            class.push_str(&format!(" burst {burst}kb"));
        }
        all.push(words(format!("tc qdisc add dev {dev} root handle 1: htb default 1")));
        all.push(words(class));
    }
    let [average, _, burst] = outbound;
    if average > 0 {
        let burst = if burst > 0 { burst } else { average };
        all.push(words(format!("tc qdisc add dev {dev} ingress")));
        all.push(words(format!(
            "tc filter add dev {dev} parent ffff: protocol all u32 match u32 0 0 police rate {average}kbps burst {burst}kb mtu 64kb drop flowid :1"
        )));
    }
    all
}

/// Shapes the links of the plan. A limit that is not in force is told with its commands; the machine runs without.
pub(super) fn apply(plan: &Plan, journal: &mut Journal, notes: &mut Vec<String>) -> Result<(), Fault> {
    let root = rustix::process::geteuid().is_root();
    for link in plan.links.iter().filter(|l| l.bandwidth.is_some()) {
        let commands = commands(link);
        if commands.is_empty() {
            continue;
        }
        if link.name.is_empty() {
            notes.push(format!("<bandwidth> of the interface {} is not in force: its link has no name", link.mac));
            continue;
        }
        if !root {
            notes.push(format!(
                "<bandwidth> of the interface {} is not in force; as root:\n{}",
                link.mac,
                as_text(&commands)
            ));
            continue;
        }
        // On a link that goes at the end, so does this. What a killed runner left is removed first.
        journal.add(Entry::Shaping(link.name.clone()))?;
        remove(&link.name);
        for words in &commands {
            if let Err(why) = run(words) {
                let why = why.lines().next().unwrap_or_default();
                notes.push(format!(
                    "<bandwidth> of the interface {} is not in force: {} ({why})",
                    link.mac,
                    words.join(" ")
                ));
                break;
            }
        }
    }
    Ok(())
}

/// Removes what shapes a link. One that is gone took it along.
pub(super) fn remove(name: &str) {
    for which in ["root", "ingress"] {
        let _ = run(&["tc", "qdisc", "del", "dev", name, which].map(str::to_string));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Cause, LinkKind};

    #[test]
    fn both_directions() {
        let link = Link {
            kind: LinkKind::Tap,
            name: "vnet0".to_string(),
            over: None,
            mode: None,
            mac: "52:54:00:00:00:01".to_string(),
            mtu: None,
            managed: true,
            queues: 1,
            vhost: false,
            bandwidth: Some([[1000, 5000, 1024], [128, 256, 0]]),
            up: true,
            cause: Cause::default(),
        };
        let text = as_text(&commands(&link));
        assert!(text.contains("htb rate 1000kbps ceil 5000kbps burst 1024kb"), "{text}");
        assert!(text.contains("police rate 128kbps burst 128kb"), "{text}");
        assert!(commands(&Link { bandwidth: Some([[0; 3]; 2]), ..link }).is_empty());
    }
}
