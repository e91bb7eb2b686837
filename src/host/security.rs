//! Host facts about confinement: the node `security`.

use super::facts::Path;
use super::kdl::{self, Reader};
use super::lines::Lines;
use super::rows::{Facts, Own, Plain, facts};
use ::kdl::KdlNode;

facts! {
    /// How the host confines its guests, and what they may have although it is the system's. In brackets: the key of
    /// qemu.conf.
    #[derive(Clone, PartialEq, Debug)]
    pub struct Security {
        "user" user: Option<String> = None => maybe Plain other,
            "account that machines of the system run as; one for each machine (user)";
        "group" group: Option<String> = None => maybe Plain other, "its group (group)";
        "dynamic-ownership" dynamic_ownership: bool = true => one Plain other,
            "files are given to the account before the start; #true (dynamic_ownership)";
        "default-confined" default_confined: bool = true => one Plain other,
            "domains without a label are confined; #true (security_default_confined)";
        "require-confined" require_confined: bool = false => one Plain other,
            "domains that refuse a label are refused; #false (security_require_confined)";
        "allow-unconfined" allow_unconfined: bool = false => one Plain other,
            "static labels may name unconfined types and root (else VC1403); #false";
        "allow-path" allow_paths: Vec<String> = Vec::new() => list Path other,
            "paths that a guest may have although they are the system's (else VC1404)";
        "allow-program" allow_programs: Vec<String> = Vec::new() => list Path other,
            "programs, or folders of them, that a domain may name (else VC1901)";
        "apparmor"."complain" apparmor_complain: bool = false => one Plain other,
            "complain: profiles only report; #false";
        "selinux" selinux: SelinuxPolicy = SelinuxPolicy::default() => own PolicyNode other,
            "contexts process, tcg-process, image, content, and range: where pairs of categories come from";
    }
}

facts! {
    /// Contexts of a SELinux policy (its files `virtual_domain_context` and `virtual_image_context`) and the
    /// range that guests' categories are taken from.
    #[derive(Clone, PartialEq, Debug)]
    pub struct SelinuxPolicy {
        "process" process: String = "system_u:system_r:svirt_t:s0".to_string() => one Plain told, "of QEMU with KVM";
        "tcg-process" tcg_process: String = "system_u:system_r:svirt_tcg_t:s0".to_string() => one Plain told,
            "of QEMU that emulates; Debian's policy has none, then it is that with KVM";
        "image" image: String = "system_u:object_r:svirt_image_t:s0".to_string() => one Plain told,
            "of images that are written";
        "content" content: String = "system_u:object_r:virt_content_t:s0".to_string() => one Plain told,
            "of what is only read";
        "range" range: String = Categories::ALL.to_string() => one Plain told, "level and categories: s0-s0:c0.c1023";
    }
}

/// The node of the policy: properties, of which the range has to be one.
struct PolicyNode;

impl Own<SelinuxPolicy> for PolicyNode {
    fn read(r: &mut Reader<'_>, node: &KdlNode, into: &mut SelinuxPolicy) {
        into.read_properties(r, node);
        if let Err(why) = Categories::parse(&into.range) {
            r.bad_value(kdl::name_span(node), "'range'", &format!("a range such as \"s0-s0:c0.c1023\": {why}"));
        }
    }

    fn write(w: &mut Lines, name: &str, value: &SelinuxPolicy) {
        value.write_properties(w.node(name));
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
