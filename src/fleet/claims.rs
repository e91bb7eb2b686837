//! What a domain has for itself alone.

use crate::plan::{Arg, ArgValue, Cause, PathKind, Plan, Process, Prop, Props, Role, Sharing};

/// Calls `f` for everything that a domain claims for itself: what kind, which one, why.
pub fn claim<'a>(plan: &'a Plan, f: &mut dyn FnMut(&'static str, String, &'a Cause)) {
    let Some(qemu) = plan.qemu() else { return };
    f("name", plan.name.clone(), &qemu.cause);
    f("UUID", plan.uuid.clone(), &qemu.cause);
    accesses(plan, f);
    for socket in &plan.sockets {
        f("socket", socket.path.clone(), &socket.cause);
    }
    for link in plan.links.iter().filter(|l| !l.name.is_empty()) {
        f("network interface", link.name.clone(), &link.cause);
    }
    arguments(qemu, f);
}

fn accesses<'a>(plan: &'a Plan, f: &mut dyn FnMut(&'static str, String, &'a Cause)) {
    let is_tpm = |id: &str| plan.processes.iter().any(|p| p.role == Role::Swtpm && p.id == id);
    for access in plan.access.iter().filter(|a| a.perms.write && a.sharing == Sharing::Exclusive) {
        let what = access.cause.what.as_ref();
        let kind = match access.kind {
            PathKind::File | PathKind::BlockDevice if what.starts_with("disk") => "writable disk",
            PathKind::File | PathKind::BlockDevice if what.starts_with("nvram") || what == "varstore" => {
                "firmware variable store"
            }
            PathKind::File | PathKind::BlockDevice => "written file",
            PathKind::CharDevice => "host device",
            PathKind::Pipe => "pipe",
            // Folders are often shared, but no state of a TPM.
            PathKind::Tree | PathKind::Directory if is_tpm(&access.process) => "TPM state",
            // Those that somebody listens on are listed apart; any number may connect.
            _ => continue,
        };
        f(kind, access.path.clone(), &access.cause);
    }
}

fn arguments<'a>(qemu: &'a Process, f: &mut dyn FnMut(&'static str, String, &'a Cause)) {
    for arg in &qemu.args {
        let Arg { switch, value: ArgValue::Props(props, _), cause } = arg else { continue };
        match &**switch {
            "-device" => {
                if let Some(mac) = props.text("mac") {
                    f("MAC address", mac.to_ascii_lowercase(), cause);
                }
                if let Some(cid) = number(props, "guest-cid") {
                    f("vsock address", cid.to_string(), cause);
                }
                if let Some(device) = host_device(props) {
                    f("host device", device, cause);
                }
            }
            "-blockdev" if props.text("driver") == Some("nvme") => {
                if let Some(device) = props.text("device") {
                    f("host device", device.to_string(), cause);
                }
            }
            _ => {}
        }
    }
}

/// The device of the host behind a `-device`, named so that two ways to name it meet. Nodes below `/dev` are
/// accesses already.
fn host_device(props: &Props) -> Option<String> {
    let driver = props.text("driver")?;
    if driver.starts_with("vfio-") {
        let mdev = || props.text("sysfsdev").and_then(|path| path.rsplit('/').next());
        return props.text("host").or_else(mdev).map(str::to_string);
    }
    if driver == "usb-host" {
        if let (Some(bus), Some(device)) = (number(props, "hostbus"), number(props, "hostaddr")) {
            return Some(format!("/dev/bus/usb/{bus:03}/{device:03}"));
        }
        let (vendor, product) = (number(props, "vendorid")?, number(props, "productid")?);
        return Some(format!("USB {vendor:04x}:{product:04x}"));
    }
    if driver.starts_with("vhost-scsi") {
        return props.text("wwpn").map(str::to_string);
    }
    None
}

fn number(props: &Props, key: &str) -> Option<u64> {
    match props.get(key)? {
        Prop::Number(n) => u64::try_from(*n).ok(),
        Prop::Unsigned(n) => Some(*n),
        Prop::Text(text) => text.parse().ok(),
        _ => None,
    }
}
