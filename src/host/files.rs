//! Files of the described machine whose contents the compiler needs.

use super::{Host, InstanceMode};

/// A descriptor file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescriptorFile {
    /// Its path on the described machine.
    pub path: String,
    /// Its contents.
    pub text: String,
}

/// The descriptors of firmware and vhost-user helpers, in the order in which they are tried: by file
/// name over all directories, namesakes replaced, masked ones left out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostFiles {
    /// Firmware descriptors.
    pub firmware: Vec<DescriptorFile>,
    /// Descriptors of vhost-user helpers.
    pub vhost_user: Vec<DescriptorFile>,
}

/// The directories of the described machine from which `*.json` files are needed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NeededFiles {
    /// Of firmware descriptors, lowest precedence first.
    pub firmware: Vec<String>,
    /// Of vhost-user descriptors, lowest precedence first.
    pub vhost_user: Vec<String>,
}

/// Which directories the loader has to read. A session instance has the user's own directory on top;
/// a system instance must not read it.
pub fn files_needed(host: &Host) -> NeededFiles {
    let own = |what: &str| match host.instance.mode {
        InstanceMode::System => None,
        InstanceMode::Session => match (host.env("XDG_CONFIG_HOME"), host.env("HOME")) {
            (Some(config), _) if !config.is_empty() => Some(format!("{config}/qemu/{what}")),
            (_, Some(home)) if !home.is_empty() => Some(format!("{home}/.config/qemu/{what}")),
            _ => None,
        },
    };
    let with_own = |dirs: &[String], what| dirs.iter().cloned().chain(own(what)).collect();
    NeededFiles {
        firmware: with_own(&host.firmware.descriptors, "firmware"),
        vhost_user: with_own(&host.vhost_user.descriptors, "vhost-user"),
    }
}

/// Puts the files of several directories (lowest precedence first) in order: by name; a file of a
/// later directory replaces its namesake, an empty one takes it away.
pub fn in_order(directories: Vec<Vec<DescriptorFile>>) -> Vec<DescriptorFile> {
    let mut by_name = std::collections::BTreeMap::new();
    for file in directories.into_iter().flatten() {
        let name = file.path.rsplit('/').next().unwrap_or_default().to_string();
        by_name.insert(name, file);
    }
    by_name.into_values().filter(|file| !file.text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> DescriptorFile {
        DescriptorFile { path: path.to_string(), text: text.to_string() }
    }

    #[test]
    fn later_directories_replace_and_mask() {
        let low = vec![file("/usr/60-b.json", "old"), file("/usr/50-a.json", "a"), file("/usr/92-m.json", "m")];
        let high = vec![file("/etc/60-b.json", "new"), file("/etc/92-m.json", ""), file("/etc/10-z.json", "z")];
        let texts: Vec<_> = in_order(vec![low, high]).into_iter().map(|f| f.text).collect();
        assert_eq!(texts, ["z", "a", "new"]);
    }

    #[test]
    fn only_a_session_reads_the_home_directory() {
        let mut host = Host::default();
        host.set_env("HOME", "/home/user");
        assert_eq!(files_needed(&host).firmware, ["/usr/share/qemu/firmware", "/etc/qemu/firmware"]);
        host.instance.mode = InstanceMode::Session;
        assert_eq!(files_needed(&host).firmware[2], "/home/user/.config/qemu/firmware");
        assert_eq!(files_needed(&host).vhost_user[2], "/home/user/.config/qemu/vhost-user");
    }
}
