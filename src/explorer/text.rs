//! From the marks of an output to the parts of it that can be lit up.

use super::Part;
use super::origins::Origins;
use crate::emit::Mark;
use std::ops::Range;

/// Marks as parts that do not overlap. One inside another is left to the outer one.
pub fn parts(text: &str, mut marks: Vec<Mark>, place: (usize, usize), origins: &mut Origins) -> Vec<Part> {
    marks.retain(|m| !m.range.is_empty() && text.get(m.range.clone()).is_some());
    marks.sort_by_key(|m| (m.range.start, std::cmp::Reverse(m.range.end)));
    let mut parts: Vec<Part> = Vec::with_capacity(marks.len());
    for Mark { range, cause } in marks {
        let inside = parts.last().is_some_and(|part| range.start < part.range.end);
        let first = (place.0, place.1, parts.len() - usize::from(inside));
        let number = origins.of(&cause, first);
        match parts.last_mut().filter(|_| inside) {
            Some(part) if part.origins.contains(&number) => {}
            Some(part) => {
                part.origins.push(number);
                part.why.push_str("; ");
                part.why.push_str(&cause.to_string());
            }
            None => parts.push(Part { range, origins: vec![number], why: cause.to_string() }),
        }
    }
    parts
}

/// The first mark of a line takes in what stands before it, and the last one what stands behind: a key belongs to its
/// value, and a path to its rights.
pub fn whole_lines(text: &str, mut marks: Vec<Mark>) -> Vec<Mark> {
    let taken = Vec::from_iter(marks.iter().map(|m| m.range.clone()));
    let free = |range: &Range<usize>| taken.iter().all(|t| t.end <= range.start || t.start >= range.end);
    for mark in &mut marks {
        let Range { start, end } = mark.range;
        let before = text.get(..start).unwrap_or_default();
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        let indent = before.get(line..).map_or(0, |b| b.len() - b.trim_start().len());
        if free(&(line..start)) {
            mark.range.start = line + indent;
        }
        let behind = text.get(end..).unwrap_or_default();
        let rest = behind.find('\n').unwrap_or(behind.len());
        if free(&(end..end + rest)) && !behind.get(..rest).unwrap_or_default().trim_end().ends_with('\\') {
            mark.range.end = end + behind.get(..rest).unwrap_or_default().trim_end().len();
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Cause;

    #[test]
    fn a_key_belongs_to_its_value() {
        let text = "Key=value\n  /path rw,\nExec=/bin/a -x \\\n    -y\n";
        let mark = |word: &str| {
            let start = text.find(word).unwrap();
            Mark { range: start..start + word.len(), cause: Cause::default() }
        };
        let marks = whole_lines(text, ["value", "/path", "/bin/a", "-x", "-y"].map(mark).to_vec());
        let found = Vec::from_iter(marks.iter().map(|m| &text[m.range.clone()]));
        assert_eq!(found, ["Key=value", "/path rw,", "Exec=/bin/a", "-x", "-y"]);
    }
}
