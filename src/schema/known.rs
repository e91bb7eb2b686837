//! Whether the schema has a name, asked while virtc is compiled: the names in [`model!`](crate::bind) are.

use super::tables::KNOWN;

/// FNV-1a of 64 bits, going on from `hash`; `build/write.rs` has the same.
const fn fingerprint(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// `sign` is `@` before an attribute, `/` before a child. An empty `element` stands for any.
const fn knows(element: &str, sign: &str, name: &str) -> bool {
    let wanted = fingerprint(fingerprint(fingerprint(0xcbf2_9ce4_8422_2325, element), sign), name);
    let (mut from, mut to) = (0, KNOWN.len());
    while from < to {
        let middle = from.midpoint(to);
        if KNOWN[middle] == wanted {
            return true;
        } else if KNOWN[middle] < wanted {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    false
}

/// Whether an element of this name has the attribute at some place of the format; any element, if it is empty.
pub const fn has_attribute(element: &str, name: &str) -> bool {
    knows(element, "@", name)
}

/// Whether an element of this name has the child at some place of the format; any element, if it is empty.
pub const fn has_child(element: &str, name: &str) -> bool {
    knows(element, "/", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_where_they_stand() {
        assert!(has_attribute("target", "bus") && has_attribute("", "bus") && !has_attribute("emulator", "bus"));
        assert!(has_child("disk", "target") && has_child("", "target") && !has_child("target", "disk"));
        assert!(!has_attribute("", "but") && !has_child("", "tarjet"));
    }
}
