//! Phrases of messages: lists, quotes, and values that are shown.

/// A value as it is shown in a message: on one line, and not too long of it.
pub(super) fn shown(value: &str) -> String {
    const MOST: usize = 60;
    let line: String =
        value.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
    if line.chars().count() > MOST { line.chars().take(MOST).chain("…".chars()).collect() } else { line }
}

/// `are not for …` of `is not for …`.
pub(super) fn plural(predicate: &str) -> String {
    match predicate.split_once(' ') {
        Some(("is", rest)) => format!("are {rest}"),
        Some(("does", rest)) => format!("do {rest}"),
        _ => predicate.to_string(),
    }
}

/// `'a', 'b', 'c'`.
pub(super) fn list(words: &[&str]) -> String {
    words.iter().map(|w| format!("'{w}'")).collect::<Vec<_>>().join(", ")
}

pub(super) fn brackets(words: &[&str]) -> String {
    words.iter().map(|w| format!("<{w}>")).collect::<Vec<_>>().join(", ")
}

pub(super) fn and(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
    and_plain(&quoted.iter().map(String::as_str).collect::<Vec<_>>())
}

pub(super) fn or(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
    or_plain(&quoted.iter().map(String::as_str).collect::<Vec<_>>())
}

pub(super) fn or_plain(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => one.to_string(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

pub(super) fn and_plain(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => one.to_string(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

pub(super) fn first_lower(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // An abbreviation such as "PCI" stays.
        (Some(a), Some(b)) if a.is_uppercase() && !b.is_uppercase() => {
            a.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_string(),
    }
}
