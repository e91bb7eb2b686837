//! What somebody probably meant.

use crate::vocab::Arch;

/// What people write who know it from another tool, and the word of the format; first come, first served.
const ELSEWHERE: &[(&str, &str)] = &[
    // Architectures, hypervisors, buses, formats.
    ("amd64", "x86_64"),
    ("x64", "x86_64"),
    ("arm64", "aarch64"),
    ("i386", "i686"),
    ("x86", "i686"),
    ("virtualbox", "vbox"),
    ("kvm", "hvm"),
    ("ceph", "rbd"),
    ("img", "raw"),
    ("hdd", "disk"),
    ("iso", "cdrom"),
    // The format of an image stands in <driver type='…'>, in <disk> how it is reached.
    ("qcow2", "file"),
    ("raw", "file"),
    ("img", "file"),
    ("iso", "file"),
    ("lvm", "block"),
    ("zvol", "block"),
    ("lv", "block"),
    ("rdm", "block"),
    ("dvd", "cdrom"),
    ("cd", "cdrom"),
    ("optical", "cdrom"),
    ("ahci", "sata"),
    ("harddisk", "hd"),
    ("disk", "hd"),
    ("pxe", "network"),
    ("tcg", "qemu"),
    ("vtd", "intel"),
    ("hda", "ich6"),
    ("intel-hda", "ich6"),
    ("swtpm", "emulator"),
    ("emulated", "emulator"),
    ("tpm2.0", "tpm-crb"),
    ("hypervtimer", "hypervclock"),
    ("pl011", "system-serial"),
    ("touchpad", "tablet"),
    ("touchscreen", "tablet"),
    ("dmi", "smbios"),
    ("manufacturer", "vendor"),
    ("gpu", "pci"),
    ("kernel", "kvm"),
    // Networks and sockets.
    ("nat", "network"),
    ("tap", "ethernet"),
    ("macvtap", "direct"),
    ("sriov", "hostdev"),
    ("sr-iov", "hostdev"),
    ("vf", "hostdev"),
    ("portgroup", "bridge"),
    ("vrde", "rdp"),
    ("socket", "unix"),
    ("slirp", "user"),
    ("passt", "user"),
    ("listen", "bind"),
    // What is done.
    ("gmt", "utc"),
    ("local", "localtime"),
    ("off", "none"),
    ("on", "unmap"),
    ("passthru", "passthrough"),
    ("deny", "forbid"),
    ("dynamic", "auto"),
    ("shutdown", "destroy"),
    ("poweroff", "destroy"),
    ("reset", "restart"),
    ("stop", "pause"),
    ("no", "none"),
    ("reboot", "reset"),
    ("reboot", "restart"),
    ("prealloc", "immediate"),
    ("bind", "strict"),
    // Elements.
    ("cpus", "vcpu"),
    ("cpu", "vcpu"),
    ("cores", "vcpu"),
    ("ram", "memory"),
    ("mem", "memory"),
    ("nic", "interface"),
    ("ethernet", "interface"),
    ("hdd", "disk"),
    ("harddisk", "disk"),
    ("drive", "disk"),
    ("cdrom", "disk"),
    ("floppy", "disk"),
    ("display", "graphics"),
    ("screen", "graphics"),
    ("monitor", "graphics"),
    ("vnc", "graphics"),
    ("spice", "graphics"),
    ("gpu", "video"),
    ("vga", "video"),
    ("keyboard", "input"),
    ("mouse", "input"),
    ("tablet", "input"),
    ("balloon", "memballoon"),
    ("random", "rng"),
    ("soundcard", "sound"),
    ("tty", "serial"),
    ("initramfs", "initrd"),
    ("append", "cmdline"),
    ("swap_limit", "swap_hard_limit"),
    ("board", "baseBoard"),
    // Attributes.
    ("port", "service"),
    ("netmask", "prefix"),
    ("file", "path"),
    ("path", "file"),
    ("path", "dir"),
    ("ip", "address"),
    ("size", "unit"),
];

/// The architecture that is named, or was probably meant.
pub fn architecture(word: &str) -> Option<Arch> {
    let words = || Arch::ALL.iter().map(|arch| arch.as_str());
    Arch::parse(word).or_else(|| match meant(word, words()).as_slice() {
        [one] => Arch::parse(one),
        _ => None,
    })
}

/// What was probably meant by `word`, best first: nothing, one, or a few that are as likely.
pub fn meant<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let all: Vec<&str> = candidates.into_iter().filter(|c| !c.is_empty() && *c != word).collect();
    let lower = word.to_lowercase();
    let those = |fits: &dyn Fn(&str) -> bool| -> Vec<&'a str> {
        let found: Vec<&str> = all.iter().copied().filter(|c| fits(&c.to_lowercase())).collect();
        if found.len() > 3 { Vec::new() } else { found }
    };
    let close = |limit: usize| {
        nearest(word, all.iter().copied()).filter(|c| distance(&lower, &c.to_lowercase(), limit) <= limit)
    };
    let same = those(&|c| c == lower);
    if !same.is_empty() {
        return same;
    }
    // `xhci` for `qemu-xhci`.
    // `v3` for a version.
    let version = lower.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if let Some(version) = version.and_then(|rest| all.iter().copied().find(|c| *c == rest)) {
        return vec![version];
    }
    let part = those(&|c| lower.len() > 2 && c.split(['-', '_', '.']).any(|part| part == lower));
    if !part.is_empty() {
        return part;
    }
    if let Some(near) = close(1) {
        return vec![near];
    }
    let known = ELSEWHERE.iter().filter(|(other, _)| *other == lower);
    if let Some(known) = known.filter_map(|(_, ours)| all.iter().copied().find(|c| c == ours)).next() {
        return vec![known];
    }
    // `addr` for `address`, `hostname` for `name`.
    let begins = |long: &str, short: &str| short.len() > 2 && long.starts_with(short);
    let ends = |long: &str, short: &str| short.len() > 3 && long.ends_with(short);
    let kin = those(&|c| begins(c, &lower) || begins(&lower, c) || ends(c, &lower) || ends(&lower, c));
    if !kin.is_empty() {
        return kin;
    }
    close(3).into_iter().collect()
}

/// The candidate nearest to `word`: the same but for case, or a slip or two of the keyboard away.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    // A short word may differ in one place only, or everything resembles everything.
    let limit = match word.chars().count() {
        0 => return None,
        1..=4 => 1,
        5..=11 => 2,
        _ => 3,
    };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate.is_empty() || candidate == word {
            continue;
        }
        let meant = candidate.to_lowercase();
        // In a word of three letters, another first letter makes another word.
        if lower.len() < 4 && lower.chars().next() != meant.chars().next() {
            continue;
        }
        let d = distance(&lower, &meant, limit);
        if d <= limit && d < candidate.chars().count() && best.is_none_or(|(least, _)| d < least) {
            best = Some((d, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`; `limit + 1`
/// stands for anything beyond the limit.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > limit || a.len() > 64 {
        return limit + 1;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// The word of a set that says what a switch written another way says: `true` for `on` or `yes`.
pub fn switch<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = match word.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "enable" | "enabled" => ["on", "yes", "enabled"],
        "false" | "0" | "no" | "off" | "disable" | "disabled" => ["off", "no", "disabled"],
        _ => return None,
    };
    candidates.into_iter().find(|c| wanted.contains(c))
}

/// The unit of size that somebody meant by `gigabytes`, `Gb` or `mb`.
pub fn size_unit(word: &str) -> Option<&'static str> {
    const SHORT: &str = "kmgtpe";
    const LONG: [&str; 6] = ["kilo", "mega", "giga", "tera", "peta", "exa"];
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let word = word.trim().to_lowercase();
    let long = LONG.iter().position(|l| word.starts_with(l));
    let short =
        || SHORT.find(word.get(..1)?).filter(|_| ["b", "ib", "bit", "byte", "bytes", "ig", "eg"].contains(&&word[1..]));
    UNITS.get(long.or_else(short)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let words = ["disk", "controller", "interface", "emulator", "rng"];
        assert_eq!(nearest("dsik", words), Some("disk"));
        assert_eq!(nearest("Interface", words), Some("interface"));
        assert_eq!(nearest("contrler", words), Some("controller"));
        assert_eq!(nearest("ring", words), Some("rng"));
        assert_eq!(nearest("turbo", words), None);
        assert_eq!(nearest("", words), None);
        assert_eq!(meant("xhci", ["ehci", "nec-xhci", "qemu-xhci"]), ["nec-xhci", "qemu-xhci"]);
        assert_eq!(meant("addr", ["address", "type"]), ["address"]);
        assert_eq!(meant("hostname", ["transport", "name"]), ["name"]);
        assert_eq!(meant("img", ["raw", "dmg"]), ["raw"]);
        assert_eq!(meant("turbo", words), [""; 0]);
        assert_eq!(size_unit("Gigabytes"), Some("GiB"));
        assert_eq!(size_unit("gb"), Some("GiB"));
        assert_eq!(size_unit("mole"), None);
        assert_eq!(switch("True", ["on", "off"]), Some("on"));
        assert_eq!(switch("0", ["yes", "no"]), Some("no"));
    }
}
