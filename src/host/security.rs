//! Host facts about confinement: the node `security`.

use super::kdl::{self, Reader, Times::*};
use ::kdl::KdlNode;

/// How the host confines its guests. In brackets: the key of libvirt's qemu.conf.
#[derive(Clone, PartialEq, Debug)]
pub struct Security {
    /// Account that system machines run as (user); none: one for each machine, which the tree brings along.
    pub user: Option<String>,
    /// Its group (group); none: the group of the same name.
    pub group: Option<String>,
    /// Whether files are given to the account before the start (dynamic_ownership).
    pub dynamic_ownership: bool,
    /// Whether domains without a label are confined (security_default_confined).
    pub default_confined: bool,
    /// Whether domains that refuse a label are refused (security_require_confined).
    pub require_confined: bool,
    /// The contexts of the host's SELinux policy.
    pub selinux: SelinuxPolicy,
    /// Paths that guests may have although they belong to the system.
    pub allow_paths: Vec<String>,
    /// Programs, or folders of programs, that domains may name although no package of the host has installed them.
    pub allow_programs: Vec<String>,
    /// Whether generated AppArmor profiles only report what they would refuse.
    pub apparmor_complain: bool,
    /// Whether static labels may name unconfined types and the root user.
    pub allow_unconfined: bool,
}

/// Contexts of a SELinux policy (its files `virtual_domain_context` and `virtual_image_context`) and the
/// range that guests' categories are taken from.
#[derive(Clone, PartialEq, Debug)]
pub struct SelinuxPolicy {
    /// Of QEMU with KVM.
    pub process: String,
    /// Of QEMU that emulates; Debian's policy has none, then it is that with KVM.
    pub tcg_process: String,
    /// Of images that are written.
    pub image: String,
    /// Of what is only read.
    pub content: String,
    /// `s0-s0:c0.c1023`: level and categories.
    pub range: String,
}

impl Default for Security {
    fn default() -> Security {
        Security {
            user: None,
            group: None,
            dynamic_ownership: true,
            default_confined: true,
            require_confined: false,
            selinux: SelinuxPolicy {
                process: "system_u:system_r:svirt_t:s0".to_string(),
                tcg_process: "system_u:system_r:svirt_tcg_t:s0".to_string(),
                image: "system_u:object_r:svirt_image_t:s0".to_string(),
                content: "system_u:object_r:virt_content_t:s0".to_string(),
                range: Categories::ALL.to_string(),
            },
            allow_paths: Vec::new(),
            allow_programs: Vec::new(),
            apparmor_complain: false,
            allow_unconfined: false,
        }
    }
}

/// Reads the node `security`.
pub(super) fn read(r: &mut Reader, node: &KdlNode, security: &mut Security) {
    let table = &[
        ("user", Once),
        ("group", Once),
        ("dynamic-ownership", Once),
        ("default-confined", Once),
        ("require-confined", Once),
        ("selinux", Once),
        ("apparmor", Once),
        ("allow-path", Many),
        ("allow-program", Many),
        ("allow-unconfined", Once),
    ];
    for child in r.block(node, table) {
        match child.name().value() {
            "user" => r.option(child, &mut security.user),
            "group" => r.option(child, &mut security.group),
            "dynamic-ownership" => r.value(child, &mut security.dynamic_ownership),
            "default-confined" => r.value(child, &mut security.default_confined),
            "require-confined" => r.value(child, &mut security.require_confined),
            "allow-unconfined" => r.value(child, &mut security.allow_unconfined),
            "allow-path" => paths(r, child, &mut security.allow_paths),
            "allow-program" => paths(r, child, &mut security.allow_programs),
            "apparmor" => {
                let mut e = r.entries(child);
                e.set("complain", &mut security.apparmor_complain);
                e.finish();
                r.no_children(child);
            }
            "selinux" => selinux(r, child, &mut security.selinux),
            _ => {}
        }
    }
}

/// Paths, added to those of earlier nodes of the name.
fn paths(r: &mut Reader, node: &KdlNode, to: &mut Vec<String>) {
    let mut paths: Vec<super::facts::Path> = Vec::new();
    r.list(node, &mut paths);
    to.extend(paths.into_iter().map(|p| p.0));
}

fn selinux(r: &mut Reader, node: &KdlNode, policy: &mut SelinuxPolicy) {
    let mut e = r.entries(node);
    e.set("process", &mut policy.process);
    e.set("tcg-process", &mut policy.tcg_process);
    e.set("image", &mut policy.image);
    e.set("content", &mut policy.content);
    e.set("range", &mut policy.range);
    e.finish();
    r.no_children(node);
    if let Err(why) = Categories::parse(&policy.range) {
        r.bad_value(kdl::name_span(node), "'range'", &format!("a range such as \"s0-s0:c0.c1023\": {why}"));
    }
}

/// A sensitivity and the categories that guests get pairs of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Categories {
    /// `s0`
    pub sensitivity: String,
    /// The lowest category.
    pub first: u32,
    /// The highest.
    pub last: u32,
}

impl Categories {
    /// The range of a policy that sets none aside.
    pub const ALL: &'static str = "s0-s0:c0.c1023";

    /// A number that depends on the UUID alone, so that a domain keeps its categories: see [`Categories::pair`].
    pub fn number(uuid: &str) -> u64 {
        crate::vocab::sum(uuid.bytes())
    }

    /// Reads a range as a daemon's context has it: `s0`, `s0-s0`, `s0-s0:c0.c1023`. Without categories: all 1024.
    /// The sensitivity is the lower one.
    pub fn parse(range: &str) -> Result<Categories, String> {
        let (levels, categories) = match range.split_once(':') {
            Some((levels, categories)) => (levels, Some(categories)),
            None => (range, None),
        };
        let sensitivity = levels.split('-').next().unwrap_or_default();
        let number = |text: &str, letter: char| text.strip_prefix(letter).and_then(|n| n.parse::<u32>().ok());
        if number(sensitivity, 's').is_none() {
            return Err(format!("'{sensitivity}' is no sensitivity"));
        }
        let (first, last) = match categories {
            None => (0, 1023),
            Some(set) => {
                let (first, last) = set
                    .split_once('.')
                    .ok_or_else(|| format!("'{set}' is no range of categories to choose from, as cA.cB is"))?;
                let category =
                    |text: &str| number(text, 'c').ok_or_else(|| format!("a category must start with c: '{text}'"));
                (category(first)?, category(last)?)
            }
        };
        if last > 1023 || last < first || last - first < 7 {
            return Err(format!("fewer than 8 categories, or one above c1023, in '{range}'"));
        }
        Ok(Categories { sensitivity: sensitivity.to_string(), first, last })
    }

    /// How many pairs of different categories there are.
    pub fn pairs(&self) -> u64 {
        let n = u64::from(self.last - self.first + 1);
        n * (n - 1) / 2
    }

    /// The pair with this number (taken modulo their count), the lower category first.
    pub fn pair(&self, number: u64) -> (u32, u32) {
        let mut left = number % self.pairs().max(1);
        // Row by row: the pairs of the first category, then those of the second, …
        for low in self.first..self.last {
            let row = u64::from(self.last - low);
            if left < row {
                return (low, low + 1 + left as u32);
            }
            left -= row;
        }
        (self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let full = Categories::parse("s0-s0:c0.c1023").unwrap();
        assert_eq!((full.pairs(), full.pair(0), full.pair(523_775)), (523_776, (0, 1), (1022, 1023)));
        assert_eq!(Categories::parse("s2-s3:c0.c1023").unwrap().sensitivity, "s2");
        assert_eq!(Categories::parse("s0-s0").unwrap(), full);
        let eight = Categories::parse("s0:c100.c107").unwrap();
        let all: std::collections::BTreeSet<_> = (0..28).map(|i| eight.pair(i)).collect();
        assert_eq!(all.len(), 28);
        assert!(all.iter().all(|(a, b)| (100..=107).contains(a) && a < b && *b <= 107));
        for wrong in ["s0-s0:c0.c6", "s0:c5", "s0:c5,c9", "s0:x0.c9", "t0", ""] {
            assert!(Categories::parse(wrong).is_err(), "{wrong}");
        }
    }
}
