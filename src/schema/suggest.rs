//! What somebody probably meant.

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
        let d = distance(&lower, &candidate.to_lowercase(), limit);
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
        assert_eq!(switch("True", ["on", "off"]), Some("on"));
        assert_eq!(switch("0", ["yes", "no"]), Some("no"));
    }
}
