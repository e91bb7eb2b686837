//! Which entry of a lock belongs to which element.
//!
//! The surest signs come first: for each pair, the best group of [`Family::strong`] that both have and that is equal. Pairs
//! without one may still be the same device, if nothing contradicts it: the most alike are taken first, then those that
//! stand first. What differs in a strong sign is never the same.

use super::families::Family;
use super::{Entry, Values, flat};

/// How alike two are: the rank of the strong sign (lower is surer), then how much else is equal.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy, Debug)]
struct Alike {
    rank: usize,
    unlike: i32,
}

/// Finds the entry of each element. Both lists are of one family.
pub fn pairs(family: &Family, elements: &[Values], entries: &[&Entry]) -> Vec<Option<usize>> {
    let mut all: Vec<(Alike, usize, usize)> = Vec::new();
    for (i, element) in elements.iter().enumerate() {
        for (j, entry) in entries.iter().enumerate() {
            if let Some(alike) = alike(family, element, entry) {
                all.push((alike, i, j));
            }
        }
    }
    all.sort();
    let mut found = vec![None; elements.len()];
    let mut taken = vec![false; entries.len()];
    for (_, i, j) in all {
        if found[i].is_none() && !taken[j] {
            found[i] = Some(j);
            taken[j] = true;
        }
    }
    found
}

fn alike(family: &Family, element: &Values, entry: &Entry) -> Option<Alike> {
    let both = |path: &str| Some((flat::get(element, path)?, flat::get(&entry.is, path)?));
    let mut rank = None;
    let mut contradicts = false;
    // An alias is the user's own sign.
    if both("alias.name").is_some_and(|(a, b)| a == b) {
        rank = Some(0);
    }
    for (at, group) in family.strong.iter().enumerate() {
        match identical(group, element, &entry.is) {
            Some(true) => rank = rank.or(Some(at + 1)),
            Some(false) => contradicts = true,
            None => {}
        }
    }
    if rank.is_none() && (contradicts || another_kind(family, element, entry)) {
        return None;
    }
    let score = |path: &str| match both(path) {
        Some((a, b)) if flat::same(a, b) => -2,
        Some(_) => 1,
        // What only one of them says.
        None => i32::from(flat::get(element, path).is_some() != flat::get(&entry.is, path).is_some()),
    };
    // What virtc had added is least likely to be what the XML has.
    let added = if entry.made { 100 } else { 0 };
    let unlike =
        added + 4 * place(element, entry) + family.kind.iter().chain(family.weak).map(|path| score(path)).sum::<i32>();
    Some(Alike { rank: rank.unwrap_or(usize::MAX), unlike })
}

/// How unlike the places are: an address that the XML gives is most likely where the device was.
fn place(element: &Values, entry: &Entry) -> i32 {
    let own: Vec<_> = element.iter().filter_map(|(path, v)| Some((path.strip_prefix("address.")?, v))).collect();
    match own.iter().all(|(name, value)| flat::get(&entry.at, name).is_some_and(|at| flat::same(value, at))) {
        _ if own.is_empty() || entry.at.is_empty() => 0,
        true => -1,
        false => 1,
    }
}

/// Whether the element is a device of another kind than the entry.
pub fn another_kind(family: &Family, element: &Values, entry: &Entry) -> bool {
    let known = |path: &str| flat::get(&entry.is, path).or(flat::get(&entry.has, path));
    let differs = |path: &&str| Some(!flat::same(flat::get(element, path)?, known(path)?));
    family.kind.iter().any(|path| differs(path) == Some(true))
}

/// Whether a group is the same on both sides; none where one side does not have it.
fn identical(group: &[&str], element: &Values, entry: &Values) -> Option<bool> {
    let first = group.first()?;
    flat::get(element, first).and(flat::get(entry, first))?;
    Some(group.iter().all(|path| match (flat::get(element, path), flat::get(entry, path)) {
        (Some(a), Some(b)) => flat::same(a, b),
        (Some(one), None) | (None, Some(one)) => flat::is_zero(one),
        (None, None) => true,
    }))
}
