//! Device rules of QEMU: as properties of its scope, or as lines of a group of version 1. Version 2 has no file for them; only
//! systemd loads a filter there for us.

use crate::emit::devices::{Device, DeviceRule, rules};
use crate::plan::Plan;
use crate::vocab::nodes::Class;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

fn of_qemu(plan: &Plan) -> Vec<DeviceRule<'_>> {
    let Some(qemu) = plan.qemu() else { return Vec::new() };
    let mut all = rules(plan, qemu);
    if qemu.descriptors.iter().any(|d| d.link.is_some()) {
        // It is opened for QEMU in its group.
        all.push(DeviceRule { device: Device::of(Class::Macvtap), perms: "rw", cause: qemu.cause.clone() });
    }
    all
}

/// The rules as properties of a unit; `systemd-run` ends a path at the first blank.
pub(super) fn properties(plan: &Plan) -> Vec<String> {
    let named = |rule: &DeviceRule<'_>| {
        let name = match rule.device {
            Device::Known { path, .. } => path,
            Device::Class { name, .. } => name,
            Device::Path { path, .. } if path.starts_with("/dev/") && !path.contains(char::is_whitespace) => path,
            Device::Path { .. } => return None,
        };
        Some(format!("DeviceAllow={name} {}", rule.perms))
    };
    let allowed = of_qemu(plan);
    std::iter::once("DevicePolicy=strict".to_string()).chain(allowed.iter().filter_map(named)).collect()
}

/// The rules as lines for `devices.allow`. What is not on this host needs none.
pub(super) fn lines(plan: &Plan) -> Vec<String> {
    let drivers = std::fs::read_to_string("/proc/devices").unwrap_or_default();
    let line = |rule: &DeviceRule<'_>| {
        let device = match rule.device {
            Device::Known { number: (major, minor), .. } => format!("c {major}:{minor}"),
            Device::Class { major: Some(major), .. } => format!("c {major}:*"),
            Device::Class { name, major: None } => format!("c {}:*", major_of(&drivers, name)?),
            Device::Path { path, .. } => {
                let meta = std::fs::metadata(path).ok()?;
                let kind = match meta.file_type() {
                    kind if kind.is_block_device() => 'b',
                    kind if kind.is_char_device() => 'c',
                    _ => return None,
                };
                format!("{kind} {}:{}", rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()))
            }
        };
        Some(format!("{device} {}", rule.perms))
    };
    of_qemu(plan).iter().filter_map(line).collect()
}

/// The major number that the kernel has given to a driver of character devices.
fn major_of(drivers: &str, name: &str) -> Option<u32> {
    let name = name.strip_prefix("char-")?;
    let characters = drivers.lines().take_while(|line| !line.starts_with("Block"));
    characters.filter_map(|line| line.trim().split_once(' ')).find(|(_, n)| *n == name)?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Access, Cause, LabelRole, OwnerRule, PathKind, Perms, Process, Role, Sharing, Use};

    #[test]
    fn rules_of_both_kinds() {
        let access = |path: &str| Access {
            process: "qemu".into(),
            usage: Use::Disk,
            path: path.into(),
            kind: PathKind::CharDevice,
            perms: Perms::READ,
            resolved: None,
            sharing: Sharing::Shared,
            label: LabelRole::Keep,
            restore_label: false,
            owner: OwnerRule::Keep,
            optional: false,
            cause: Cause::default(),
        };
        let qemu = Process { role: Role::Qemu, id: "qemu".into(), ..Process::default() };
        let access = ["/dev/tty", "/dev/a b", "/srv/node", "/dev/kvm"].map(access).to_vec();
        let plan = Plan { processes: vec![qemu], access, ..Plan::default() };
        let properties = properties(&plan);
        assert_eq!(properties[0], "DevicePolicy=strict");
        let has = |text: &str| properties.iter().any(|p| p == text);
        assert!(has("DeviceAllow=/dev/null rw") && has("DeviceAllow=/dev/tty r") && has("DeviceAllow=/dev/kvm r"));
        assert!(!properties.iter().any(|p| p.contains("a b") || p.contains("/srv/")), "{properties:?}");
        let lines = lines(&plan);
        assert!(lines.contains(&"c 5:0 r".to_string()) && lines.contains(&"c 10:232 r".to_string()), "{lines:?}");
    }

    #[test]
    fn drivers_have_numbers() {
        let drivers = "Character devices:\n  1 mem\n236 macvtap\n\nBlock devices:\n  7 loop\n";
        assert_eq!(major_of(drivers, Class::Macvtap.name()), Some(236));
        assert_eq!((major_of(drivers, "char-loop"), major_of(drivers, "char-mac")), (None, None));
    }
}
