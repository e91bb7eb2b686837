//! Parts of a text between separators, where a text without any is one part.

/// What stands before the first `separator`: all of it where there is none.
pub fn before(text: &str, separator: char) -> &str {
    text.split_once(separator).map_or(text, |(front, _)| front)
}

/// The last part of a path: all of it where there is no slash.
pub fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_a_separator_is_one_part() {
        assert_eq!((before("a:b:c", ':'), before("a", ':'), before("", ':')), ("a", "a", ""));
        assert_eq!((file_name("/dev/vda"), file_name("vda"), file_name("/dev/")), ("vda", "vda", ""));
    }
}
