//! `virtc check --fix`: the certain fixes, applied to a file.

use super::inputs::{Source, read};
use super::{Exit, complain, print};
use crate::diag::{Diagnostics, Edit};
use similar::TextDiff;
use std::path::Path;

/// A fix can show another fault: a misspelt element hides what stands in it. More rounds than elements lie in each other.
const MOST_ROUNDS: usize = 16;

/// Mends a file, or shows what would change. `check` gives what there is to mend.
pub fn file(path: &Path, only_show: bool, check: &dyn Fn(&Source) -> Diagnostics) -> Exit {
    let mut source = match read(path) {
        Ok(source) => source,
        Err(failed) => return failed,
    };
    let before = source.bytes.clone();
    for _ in 0..MOST_ROUNDS {
        let Some(mended) = mended(&source.bytes, &check(&source)) else { break };
        source.bytes = mended;
    }
    if source.bytes == before {
        return Exit::Done;
    }
    if only_show || path.as_os_str() == "-" {
        let (old, new) = (String::from_utf8_lossy(&before), String::from_utf8_lossy(&source.bytes));
        let text = match only_show {
            true => TextDiff::from_lines(&old, &new)
                .unified_diff()
                .header(&source.name, &format!("{} (mended)", source.name))
                .to_string(),
            false => new.into_owned(),
        };
        return print(&text);
    }
    match replace(path, &source.bytes) {
        Ok(()) => Exit::Done,
        Err(fault) => {
            complain(&format!("cannot write '{}': {fault}", path.display()));
            Exit::Environment
        }
    }
}

/// The text with all edits that do not touch each other; none if there is nothing to change.
fn mended(text: &[u8], diags: &Diagnostics) -> Option<Vec<u8>> {
    // The edits of one diagnostic belong together.
    let mut fixes: Vec<&[Edit]> = diags.iter().map(|d| d.edits.as_slice()).filter(|edits| !edits.is_empty()).collect();
    fixes.sort_by_key(|edits| edits.iter().map(|e| e.span.start).min());
    let mut taken: Vec<&Edit> = Vec::new();
    for edits in fixes {
        let free = |edit: &Edit| taken.iter().all(|t| edit.span.start > t.span.end || edit.span.end < t.span.start);
        if edits.iter().all(free) {
            taken.extend(edits);
        }
    }
    taken.sort_by_key(|edit| std::cmp::Reverse(edit.span.start));
    let mut out = text.to_vec();
    for edit in &taken {
        let range = edit.span.range();
        if range.end > out.len() || range.start > range.end {
            return None;
        }
        out.splice(range, edit.text.bytes());
    }
    (!taken.is_empty()).then_some(out)
}

/// Replaces a file at once: whoever reads it sees the old text or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // A link is followed; a file that is not there yet is made.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.virtc"));
    std::fs::write(&beside, bytes)?;
    if let Ok(old) = std::fs::metadata(&path) {
        std::fs::set_permissions(&beside, old.permissions())?;
    }
    std::fs::rename(&beside, &path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{Span, codes::schema};

    #[test]
    fn edits_that_touch_wait_for_the_next_round() {
        let mut diags = Diagnostics::new();
        diags
            .error(&schema::UNKNOWN_ELEMENT, Span::new(0, 1), "a")
            .fix(vec![Edit::new(Span::new(1, 3), "xyz"), Edit::new(Span::new(8, 10), "xyz")]);
        diags.error(&schema::UNKNOWN_ATTRIBUTE, Span::new(8, 9), "b").fix(vec![Edit::new(Span::new(8, 9), "q")]);
        assert_eq!(mended(b"<ab>..</ab>", &diags).as_deref(), Some(&b"<xyz>..</xyz>"[..]));
        assert_eq!(mended(b"<ab>..</ab>", &Diagnostics::new()), None);
    }
}
