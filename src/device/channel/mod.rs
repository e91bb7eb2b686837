//! Channels: private lines between a program on the host and one in the guest.

pub(crate) mod family;

use super::chardev::ChardevSource;
use super::info::{DeviceInfo, device};
use crate::bind::model;
pub use crate::schema::words::{ChannelState, ChannelTargetType};

model! {
    /// `<target>` of a channel.
    pub struct ChannelTarget = "target" {
        need kind: ChannelTargetType = "type",
        attr address: String = "address",
        attr port: u32 = "port",
        attr name: String = "name",
        attr state: ChannelState = "state",
    }
}

model! {
    /// `<channel>`
    pub struct Channel = "channel" {
        part source: ChardevSource,
        child target: ChannelTarget,
        part info: DeviceInfo,
    }
}

device!(Channel, "channel");

/// The name that the guest's agent of SPICE looks for.
const SPICE_AGENT: &str = "com.redhat.spice.0";

impl Channel {
    /// What the guest sees.
    pub fn target_type(&self) -> Option<ChannelTargetType> {
        self.target.as_ref().and_then(|t| t.kind)
    }

    /// `<target name='…'>`
    pub fn name(&self) -> Option<&str> {
        self.target.as_ref().and_then(|t| t.name.as_deref())
    }
}

/// Whether libvirt generated this path for a channel: in one of its directories for channels, in a folder
/// of the domain (`7-name/`, in older versions `target/domain-name/` or `target/name.`), named like the channel.
fn is_generated(path: &str, dir: &str, name: Option<&str>) -> bool {
    let Some(name) = name else { return false };
    let homes = [dir, "/run/libvirt/qemu/channel", "/var/run/libvirt/qemu/channel", "/var/lib/libvirt/qemu/channel"];
    let Some(rest) = homes.iter().find_map(|d| path.strip_prefix(d)?.strip_prefix('/')) else { return false };
    let Some(front) = rest.strip_suffix(name) else { return false };
    let one_folder = |text: &str| text.len() > 1 && text.find('/') == Some(text.len() - 1);
    match front.strip_prefix("target/") {
        Some(front) => {
            front.strip_prefix("domain-").is_some_and(one_folder)
                || (front.len() > 1 && front.ends_with('.') && !front.contains('/'))
        }
        None => front.split_once('-').is_some_and(|(number, folder)| {
            !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && one_folder(folder)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::is_generated;

    #[test]
    fn generated_sockets_are_told_from_the_users() {
        let dir = "/srv/channel";
        let generated = |path: &str| is_generated(path, dir, Some("agent.0"));
        assert!(generated("/srv/channel/3-vm/agent.0"));
        assert!(generated("/run/libvirt/qemu/channel/12-vm/agent.0"));
        assert!(generated("/var/lib/libvirt/qemu/channel/target/domain-vm/agent.0"));
        assert!(generated("/var/lib/libvirt/qemu/channel/target/vm.agent.0"));
        assert!(!generated("/srv/channel/vm/agent.0"));
        assert!(!generated("/srv/channel/3-vm/agent.1"));
        assert!(!generated("/tmp/channel/3-vm/agent.0"));
        assert!(!generated("/var/lib/libvirt/qemu/channel/target/vm/agent.0"));
        assert!(!is_generated("/srv/channel/3-vm/agent.0", dir, None));
    }
}
