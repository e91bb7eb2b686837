//! Reads the plain part of KDL version 2 quickly: what people and `virtc probe host` write.
//!
//! The `kdl` crate reads all of KDL and says what is wrong, but needs milliseconds for a document of
//! some pages, more than all the rest of a compilation. Whatever is not plain here, and every fault, is
//! left to it: this reader gives up instead of deciding.

use kdl::{KdlDocument, KdlEntry, KdlIdentifier, KdlNode, KdlValue};

/// The document; none when it has something that is not plain, or a fault.
pub fn parse(text: &str) -> Option<KdlDocument> {
    let mut reader = Plain { bytes: text.as_bytes(), text, at: 0 };
    let nodes = reader.nodes(0)?;
    if reader.at != text.len() {
        return None;
    }
    Some(document(nodes))
}

fn document(nodes: Vec<KdlNode>) -> KdlDocument {
    let mut document = KdlDocument::new();
    *document.nodes_mut() = nodes;
    document
}

/// The deepest nesting that is plain.
const MAX_DEPTH: usize = 8;

struct Plain<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
}

/// What stands between two nodes or two entries.
#[derive(PartialEq, Eq)]
enum Between {
    /// Nothing at all.
    Nothing,
    /// Blanks on the same line.
    Blanks,
}

impl Plain<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn starts(&self, what: &[u8]) -> bool {
        self.bytes[self.at.min(self.bytes.len())..].starts_with(what)
    }

    /// Skips a comment to the end of its line.
    fn line_comment(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        let comment = &rest[..memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len())];
        self.at += comment.len();
        let comment = comment.strip_suffix('\r').unwrap_or(comment);
        if comment.chars().any(is_special) { None } else { Some(()) }
    }

    /// Skips blanks within a line.
    fn blanks(&mut self) -> Between {
        let start = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        if self.at == start { Between::Nothing } else { Between::Blanks }
    }

    /// The nodes up to the end of the block or the document.
    fn nodes(&mut self, depth: usize) -> Option<Vec<KdlNode>> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut nodes = Vec::new();
        loop {
            match self.peek() {
                None | Some(b'}') => return Some(nodes),
                Some(b' ' | b'\t' | b'\n') => self.at += 1,
                Some(b';') => return None,
                Some(b'\r') if self.starts(b"\r\n") => self.at += 2,
                Some(b'/') if self.starts(b"//") => self.line_comment()?,
                Some(b'/') if self.starts(b"/-") => {
                    // A node that is commented out.
                    self.at += 2;
                    self.blanks();
                    self.node(depth)?;
                    // The crate takes a semicolon here for a node without a name.
                    if self.bytes.get(self.at - 1) == Some(&b';') {
                        return None;
                    }
                }
                _ => nodes.push(self.node(depth)?),
            }
        }
    }

    fn node(&mut self, depth: usize) -> Option<KdlNode> {
        let start = self.at;
        let name = match self.peek()? {
            b'"' => self.string()?,
            _ => self.word()?.to_string(),
        };
        let mut identifier = KdlIdentifier::from(name);
        identifier.set_span((start, self.at - start));
        let mut node = KdlNode::new(identifier);
        loop {
            let between = self.blanks();
            match self.peek() {
                None | Some(b'\n' | b';' | b'}') => break,
                Some(b'\r') if self.starts(b"\r\n") => break,
                Some(b'/') if self.starts(b"//") => break,
                // What follows has to be set apart by blanks.
                _ if between == Between::Nothing => return None,
                Some(b'{') => {
                    self.at += 1;
                    let children = self.nodes(depth + 1)?;
                    if self.peek() != Some(b'}') {
                        return None;
                    }
                    self.at += 1;
                    node.set_children(document(children));
                    self.blanks();
                    // Nothing but the end of the node may follow its children.
                    match self.peek() {
                        None | Some(b'\n' | b'\r' | b';' | b'}') => {}
                        Some(b'/') if self.starts(b"//") => {}
                        _ => return None,
                    }
                    break;
                }
                _ => {
                    let entry = self.entry()?;
                    node.entries_mut().push(entry);
                }
            }
        }
        node.set_span((start, self.at - start));
        // One terminator belongs to the node.
        if self.peek() == Some(b';') {
            self.at += 1;
        }
        Some(node)
    }

    fn entry(&mut self) -> Option<KdlEntry> {
        let start = self.at;
        let mut entry = match self.peek()? {
            b'"' => KdlEntry::new(KdlValue::String(self.string()?)),
            b'#' | b'0'..=b'9' | b'-' => KdlEntry::new(self.keyword_or_number()?),
            _ => {
                let word = self.word()?.to_string();
                if self.peek() == Some(b'=') {
                    self.at += 1;
                    let value = match self.peek()? {
                        b'"' => KdlValue::String(self.string()?),
                        b'#' | b'0'..=b'9' | b'-' => self.keyword_or_number()?,
                        _ => KdlValue::String(self.word()?.to_string()),
                    };
                    KdlEntry::new_prop(word, value)
                } else {
                    KdlEntry::new(KdlValue::String(word))
                }
            }
        };
        entry.set_span((start, self.at - start));
        // A quoted name of a property, or two values without a blank.
        match self.peek() {
            None | Some(b' ' | b'\t' | b'\n' | b'\r' | b';' | b'}') => Some(entry),
            _ => None,
        }
    }

    /// A bare word of plain characters that is no keyword.
    fn word(&mut self) -> Option<&str> {
        let start = self.at;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if !self.peek().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_') {
            return None;
        }
        while self.peek().is_some_and(plain) {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        if matches!(word, "true" | "false" | "null" | "inf" | "nan") { None } else { Some(word) }
    }

    /// `#true`, `12`, `-1`, `0x1f`.
    fn keyword_or_number(&mut self) -> Option<KdlValue> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'#' | b'-')) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        match text {
            "#true" => Some(KdlValue::Bool(true)),
            "#false" => Some(KdlValue::Bool(false)),
            "#null" => Some(KdlValue::Null),
            _ => {
                let (digits, radix) = match text.strip_prefix("0x") {
                    Some(hex) => (hex, 16),
                    None => (text, 10),
                };
                let unsigned = if radix == 10 { digits.strip_prefix('-').unwrap_or(digits) } else { digits };
                let only_digits = unsigned.bytes().all(|b| b.is_ascii_digit() || radix == 16 && b.is_ascii_hexdigit());
                if unsigned.is_empty() || !only_digits {
                    return None;
                }
                i128::from_str_radix(digits, radix).ok().map(KdlValue::Integer)
            }
        }
    }

    /// A string in quotes on one line.
    fn string(&mut self) -> Option<String> {
        if self.starts(b"\"\"\"") {
            return None;
        }
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.bytes[self.at..];
            let length = memchr::memchr3(b'"', b'\\', b'\n', rest)?;
            let piece = &self.text[self.at..self.at + length];
            // Controls and marks of direction are not allowed as they stand.
            if piece.chars().any(is_special) {
                return None;
            }
            out.push_str(piece);
            self.at += length;
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(out);
                }
                b'\\' => {
                    out.push(match self.bytes.get(self.at + 1)? {
                        b'"' => '"',
                        b'\\' => '\\',
                        b'n' => '\n',
                        b't' => '\t',
                        b'r' => '\r',
                        b's' => ' ',
                        _ => return None,
                    });
                    self.at += 2;
                }
                _ => return None,
            }
        }
    }
}

/// Controls, other ends of lines, and marks of direction: KDL has rules for each.
fn is_special(c: char) -> bool {
    c.is_control() && c != '\t' || matches!(c, '\u{200e}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node without the notation it was written in.
    fn shape(nodes: &[KdlNode]) -> String {
        let mut out = String::new();
        for node in nodes {
            out.push_str(&format!("{:?}", node.name().value()));
            for entry in node.entries() {
                out.push_str(&format!(" {:?}={:?}", entry.name().map(|n| n.value()), entry.value()));
            }
            let children = node.children().map(|c| shape(c.nodes()));
            out.push_str(&format!(" {children:?};"));
        }
        out
    }

    const PLAIN: &str = "/- kdl-version 2\n// a comment\nhost-facts version=1\r\nmachine {\n    arch \"x86_64\" ; page-size \"4\\\"K\\\\iB\"\t\n\
        cpu model=\"a\" b=word c=#true d=#null e=-5 f=0x1F { feature \"é\" x 1 -2; }  // end\n}\n\"quoted name\" \"\" { }\n/- gone { a; }\nlast";

    #[test]
    fn it_reads_what_the_crate_reads() {
        let plain = parse(PLAIN).expect("a plain document");
        let full = KdlDocument::parse_v2(PLAIN).expect("a document");
        assert_eq!(shape(plain.nodes()), shape(full.nodes()));
        let arch = &plain.nodes()[1].children().expect("children").nodes()[0];
        assert_eq!(&PLAIN[arch.name().span().offset()..][..arch.name().span().len()], "arch");
        let value = arch.entries()[0].span();
        assert_eq!(&PLAIN[value.offset()..][..value.len()], "\"x86_64\"");
    }

    #[test]
    fn what_it_reads_is_what_the_crate_reads() {
        // Whatever happens to the text: either it gives up, or both agree.
        let pieces = [
            "{", "}", "\"", "\\", "/-", "//", "/*", "#", "=", ";", "\n", "\r", " ", "é", "(t)", "1_0", "0", "-", ".",
            "true", "\u{feff}", "\u{0}",
        ];
        let mut agreed = 0;
        for at in (0..=PLAIN.len()).filter(|at| PLAIN.is_char_boundary(*at)) {
            let texts = pieces.iter().map(|piece| format!("{}{piece}{}", &PLAIN[..at], &PLAIN[at..]));
            for text in texts.chain([PLAIN[..at].to_string()]) {
                if let Some(plain) = parse(&text) {
                    let full = KdlDocument::parse_v2(&text).unwrap_or_else(|_| panic!("only here: {text:?}"));
                    assert_eq!(shape(plain.nodes()), shape(full.nodes()), "{text:?}");
                    agreed += 1;
                }
            }
        }
        assert!(agreed > 1000, "{agreed}");
    }
}
