//! QEMU's option lists: `driver=qcow2,file.filename=/a,,b`.

/// An option list in parts; a doubled comma is one in a value.
pub(crate) fn parts(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let ends = c == ',' && chars.next_if_eq(&',').is_none();
        match out.last_mut() {
            Some(part) if !ends => part.push(c),
            _ => out.push(String::new()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_comma_is_one_in_a_value() {
        assert_eq!(parts("a,b=c,,d,e"), ["a", "b=c,d", "e"]);
    }
}
