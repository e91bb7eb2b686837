//! Processor, memory, and the kind of instance.

use super::Source;
use crate::host::*;
use crate::vocab::Arch;

/// Fills in the architecture, the CPUs, memory and the instance.
pub fn probe(source: &Source, host: &mut Host, remarks: &mut Vec<String>) {
    if let Some(arch) = crate::probe::qemu::native_arch() {
        host.machine.arch = arch;
    }
    if source.is_here() {
        host.machine.page_size = rustix::param::page_size() as u64;
    }
    if let Some(size) = source.number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size") {
        host.machine.transparent_hugepage_size = size;
    }
    let cpuinfo = source.text("/proc/cpuinfo").unwrap_or_default();
    host.machine.physical_address_bits = address_bits(&cpuinfo, host.machine.arch);
    host.machine.cpu = cpu(&cpuinfo).filter(|_| host.machine.arch.is_x86());
    if !source.exists("/dev/vhost-net") {
        host.machine.vhost_net = VhostNetPolicy::Never;
        remarks.push("there is no /dev/vhost-net: load the module vhost_net to speed up network cards".to_string());
    }
    if !source.exists("/dev/kvm") {
        remarks.push("there is no /dev/kvm: domains of type 'kvm' will not run here".to_string());
    }
    host.numa = numa(source);
    host.hugepages = hugepages(source);
    host.mounts = mounts(source);
    instance(source, host);
}

/// Model and topology of the processors; none where the kernel names no features of x86.
fn cpu(cpuinfo: &str) -> Option<HostCpu> {
    if !cpuinfo.lines().any(|line| line.starts_with("flags")) {
        return None;
    }
    let (model, vendor, features) = crate::cpu::of_cpuinfo(cpuinfo)?;
    let all = |key: &str| {
        let lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_string()).collect::<Vec<_>>()
    };
    let number = |key: &str| all(key).first().and_then(|n| n.parse::<u32>().ok()).filter(|n| *n > 0);
    let mut sockets = all("physical id");
    sockets.sort_unstable();
    sockets.dedup();
    let processors = all("processor").len().max(1) as u32;
    let sockets = sockets.len().max(1) as u32;
    let cores = number("cpu cores").unwrap_or(processors / sockets).max(1);
    let threads = number("siblings").map_or(1, |siblings| (siblings / cores).max(1));
    Some(HostCpu {
        model: model.to_string(),
        vendor: vendor.map(str::to_string),
        sockets,
        cores,
        threads,
        features: features.into_iter().map(str::to_string).collect(),
    })
}

/// The width of a physical address, from a line such as `address sizes : 39 bits physical, …`.
fn address_bits(cpuinfo: &str, arch: Arch) -> u32 {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("address sizes"));
    let bits = line.and_then(|rest| rest.trim_start_matches([' ', '\t', ':']).split(' ').next());
    bits.filter(|_| arch.is_x86()).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// A line of `/proc/meminfo` or of a node's `meminfo`, in bytes.
fn meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains(key))?;
    let number = line.split_once(key)?.1.trim_start_matches(':').trim().strip_suffix("kB")?;
    number.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn numa(source: &Source) -> Numa {
    let base = "/sys/devices/system/node";
    let mut nodes: Vec<NumaNode> = Vec::new();
    for name in source.list(base) {
        let Some(id) = name.strip_prefix("node").and_then(|n| n.parse().ok()) else { continue };
        let text = source.text(&format!("{base}/{name}/meminfo")).unwrap_or_default();
        let mut pages = vec![];
        for pool in source.list(&format!("{base}/{name}/hugepages")) {
            let size = pool.strip_prefix("hugepages-").and_then(|n| n.strip_suffix("kB"));
            pages.extend(size.and_then(|n| n.parse::<u64>().ok()).map(|kib| kib * 1024));
        }
        if source.is_here() {
            pages.push(rustix::param::page_size() as u64);
        }
        pages.sort_unstable();
        nodes.push(NumaNode {
            id,
            cpus: source.text(&format!("{base}/{name}/cpulist")).and_then(|list| parse_numbers(&list)),
            memory: meminfo(&text, "MemTotal"),
            // How much is free now says nothing about the time when a guest starts.
            free: None,
            pages,
        });
    }
    if nodes.is_empty() {
        return Numa::default();
    }
    nodes.sort_by_key(|n| n.id);
    // A node without CPUs has an empty list, which is not "all".
    for node in &mut nodes {
        node.cpus.get_or_insert_default();
    }
    Numa { nodes, placement_advice: None }
}

fn hugepages(source: &Source) -> Vec<HugepageMount> {
    let usual = meminfo(&source.text("/proc/meminfo").unwrap_or_default(), "Hugepagesize");
    let mut mounts: Vec<HugepageMount> = Vec::new();
    for line in source.text("/proc/mounts").unwrap_or_default().lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(path), Some("hugetlbfs"), Some(options)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let size = options.split(',').find_map(|option| option.strip_prefix("pagesize="));
        let size = match size {
            Some(text) => crate::vocab::parse_iec(&format!("{text}iB")),
            None => usual,
        };
        let Some(page_size) = size else { continue };
        if mounts.iter().all(|m| m.page_size != page_size) {
            mounts.push(HugepageMount { path: unescape(path), page_size, default: Some(page_size) == usual });
        }
    }
    mounts
}

/// File systems whose files have no SELinux labels of their own.
fn mounts(source: &Source) -> Vec<Mount> {
    const KINDS: &[&str] = &["nfs", "nfs4", "cifs", "smb3", "9p", "vfat", "exfat", "ntfs", "ntfs3", "fuse", "fuseblk"];
    let mut mounts = Vec::new();
    for line in source.text("/proc/mounts").unwrap_or_default().lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(path), Some(kind), Some(options)) = (fields.next(), fields.next(), fields.next()) else { continue };
        // The kernel says `seclabel` where files have labels of their own. What /run/user and /proc have is no file of guests.
        let system = ["/run/", "/sys/", "/proc/", "/dev/"].iter().any(|place| path.starts_with(place));
        let without = KINDS.contains(&kind) || kind.starts_with("fuse.");
        if without && !system && path.starts_with('/') && options.split(',').all(|o| o != "seclabel") {
            mounts.push(Mount { path: unescape(path), kind: kind.to_string(), labels: false });
        }
    }
    mounts
}

/// The octal escapes of `/proc/mounts`.
fn unescape(path: &str) -> String {
    path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

fn instance(source: &Source, host: &mut Host) {
    if source.text("/sys/module/apparmor/parameters/enabled").as_deref() == Some("Y") {
        host.instance.security_driver = SecurityDriver::Apparmor;
    }
    if source.exists("/sys/fs/selinux/enforce") {
        host.instance.security_driver = SecurityDriver::Selinux;
        selinux(source, &mut host.security.selinux);
    }
    if !source.is_here() {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        // Where the files of a user are. What else a login has set is no fact about the host.
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
            if let Ok(value) = std::env::var(name) {
                host.set_env(name, &value);
            }
        }
        session(host);
    }
}

/// The contexts that the policy in use has for guests (libselinux: `virtual_domain_context`, `virtual_image_context`).
fn selinux(source: &Source, policy: &mut SelinuxPolicy) {
    let config = source.text("/etc/selinux/config").unwrap_or_default();
    let Some(name) = config.lines().find_map(|l| l.trim().strip_prefix("SELINUXTYPE=")) else { return };
    let contexts = |file: &str| -> Vec<String> {
        let text = source.text(&format!("/etc/selinux/{}/contexts/{file}", name.trim())).unwrap_or_default();
        text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_string).collect()
    };
    let domains = contexts("virtual_domain_context");
    if let Some(process) = domains.first() {
        policy.process = process.clone();
        // Without a second line, what emulates has the type of what does not.
        policy.tcg_process = domains.get(1).unwrap_or(process).clone();
    }
    if let [image, content, ..] = contexts("virtual_image_context").as_slice() {
        (policy.image, policy.content) = (image.clone(), content.clone());
    }
}

/// The instance of a user: the directories are the user's own.
fn session(host: &mut Host) {
    host.instance.mode = InstanceMode::Session;
    // A user's processes cannot be given to another account.
    host.security.dynamic_ownership = false;
    let Some(home) = host.env("HOME").map(str::to_string) else { return };
    let config = match host.env("XDG_CONFIG_HOME") {
        Some(dir) if !dir.is_empty() => format!("{dir}/libvirt/qemu"),
        _ => format!("{home}/.config/libvirt/qemu"),
    };
    let run = match host.env("XDG_RUNTIME_DIR") {
        Some(dir) if !dir.is_empty() => format!("{dir}/libvirt/qemu/run"),
        _ => format!("{home}/.cache/libvirt/qemu/run"),
    };
    host.directories = Directories {
        lib: format!("{config}/lib"),
        channel_target: format!("{run}/channel"),
        memory_backing: format!("{config}/ram"),
        nvram: format!("{config}/nvram"),
        varstore: format!("{config}/varstore"),
        passt: format!("{run}/passt"),
        dbus: format!("{run}/dbus"),
        rdp: format!("{run}/rdp"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_texts_are_understood() {
        let cpuinfo = "processor\t: 0\naddress sizes\t: 39 bits physical, 48 bits virtual\n";
        assert_eq!(address_bits(cpuinfo, Arch::X86_64), 39);
        assert_eq!(address_bits(cpuinfo, Arch::S390x), 0);
        assert_eq!(address_bits("", Arch::X86_64), 0);
        assert_eq!(meminfo("Node 0 MemTotal:        7956684 kB\n", "MemTotal"), Some(7_956_684 * 1024));
        assert_eq!(meminfo("MemTotal: much\n", "MemTotal"), None);
        assert_eq!(unescape("/mnt/a\\040b"), "/mnt/a b");
    }
}
