//! `<bandwidth>` of interfaces, with the kernel's traffic control.
//!
//! What goes to the guest (inbound) leaves the host through the tap, and is shaped there; what comes from it
//! (outbound) enters the host, where it can only be dropped above its rate.

use crate::plan::Link;

/// The commands that shape a link, each as its words. Rates are in units of 1000 bytes a second, sizes in KiB:
/// that is what libvirt makes of the format's numbers, too.
pub(crate) fn commands(link: &Link) -> Vec<Vec<String>> {
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
        let text = Vec::from_iter(commands(&link).iter().map(|words| words.join(" "))).join("\n");
        assert!(text.contains("htb rate 1000kbps ceil 5000kbps burst 1024kb"), "{text}");
        assert!(text.contains("police rate 128kbps burst 128kb"), "{text}");
        assert!(commands(&Link { bandwidth: Some([[0; 3]; 2]), ..link }).is_empty());
    }
}
