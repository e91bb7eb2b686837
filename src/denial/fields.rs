//! The fields of an audit record: `key=value`, `key="value"`, `key=68657861`.

/// One field: whether its value stood in quotes, and the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    text: &'a str,
    quoted: bool,
}

/// The fields of a record, in order.
pub struct Fields<'a>(Vec<(&'a str, Value<'a>)>);

impl<'a> Fields<'a> {
    /// Reads all fields of a line; words that are none are passed over.
    pub fn of(line: &'a str) -> Fields<'a> {
        let mut all = Vec::new();
        let mut rest = line;
        while let Some(at) = rest.find('=') {
            let key = rest[..at].rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).next();
            let after = &rest[at + 1..];
            let (text, quoted, length) = match after.as_bytes().first() {
                Some(quote @ (b'"' | b'\'')) if *quote == b'"' => {
                    let inner = &after[1..];
                    let end = inner.find('"').unwrap_or(inner.len());
                    (&inner[..end], true, (end + 2).min(after.len()))
                }
                _ => {
                    let end = after.find(|c: char| c.is_whitespace()).unwrap_or(after.len());
                    (&after[..end], false, end)
                }
            };
            // msg='…' holds fields of its own.
            let length = if text.starts_with('\'') && !quoted { 1 } else { length };
            if let Some(key) = key.filter(|k| !k.is_empty()) {
                all.push((key, Value { text, quoted }));
            }
            rest = &after[length..];
        }
        Fields(all)
    }

    /// The text of a field as it stands.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(k, _)| *k == key).map(|(_, v)| v.text).filter(|t| !t.is_empty())
    }

    /// The text of a field that the kernel writes in hexadecimal digits when it holds blanks, quotes or
    /// control characters: then without quotes.
    pub fn decoded(&self, key: &str) -> Option<String> {
        let (_, value) = self.0.iter().find(|(k, _)| *k == key)?;
        if value.text.is_empty() {
            return None;
        }
        if !value.quoted
            && let Some(bytes) = hex(value.text)
        {
            return Some(String::from_utf8_lossy(&bytes).into_owned());
        }
        Some(value.text.to_string())
    }
}

/// The bytes that pairs of upper-case hexadecimal digits stand for.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() < 2 || !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    };
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_all_kinds() {
        let line =
            r#"audit: type=1400 audit(1.2:3): apparmor="DENIED" name=2F7372762F6120622E696D67 pid=12 info="a b" x="#;
        let fields = Fields::of(line);
        assert_eq!(fields.get("apparmor"), Some("DENIED"));
        assert_eq!(fields.decoded("name").as_deref(), Some("/srv/a b.img"));
        assert_eq!(fields.get("info"), Some("a b"));
        assert_eq!((fields.get("x"), fields.get("y")), (None, None));
        assert_eq!(Fields::of(r#"name="2F73""#).decoded("name").as_deref(), Some("2F73"));
        assert_eq!(Fields::of("name=\"open").get("name"), Some("open"));
        assert_eq!(Fields::of("==\"=\"\"== é=ü").get("é"), None);
    }
}
