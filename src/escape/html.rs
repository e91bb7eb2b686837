//! HTML, for pages that show what others wrote.

use super::{Language, Unfit, format};

/// Text between tags, or the value of an attribute in double quotes. Whatever the text is, it stays text: a character
/// that HTML cannot hold is shown as its picture.
pub struct HtmlText;

impl Language for HtmlText {
    type Format = format::Html;
    const NAME: &'static str = "an HTML page";
    fn spell(value: &str, out: &mut String) -> Result<(), Unfit> {
        spell_html(value, out);
        Ok(())
    }
}

/// Appends text as HTML spells it.
pub(crate) fn spell_html(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            // The block of pictures begins at U+2400, in the order of the characters.
            '\u{0}'..='\u{1f}' => out.extend(char::from_u32(0x2400 + u32::from(c))),
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}' | '\u{fdd0}'..='\u{fdef}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escape::Escaped;

    #[test]
    fn text_stays_text() {
        let html = |text: &str| Escaped::<HtmlText>::new(text).expect("any text fits").to_string();
        assert_eq!(html("<a b='c' d=\"e\">&amp;"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;amp;");
        assert_eq!(html("a\tb\nc"), "a\tb\nc");
        assert_eq!(html("\u{1b}[31m\r\u{0}\u{7f}\u{9b}"), "␛[31m␍␀␡\u{fffd}");
        assert_eq!(html("ü→🙂"), "ü→🙂");
    }
}
