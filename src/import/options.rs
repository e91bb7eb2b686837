//! QEMU's option lists, as they are read.

use serde_json::Value;

/// The options of one argument, in order; those that were understood are taken out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// Reads `a=1,b.c=2` or JSON. What stands first without a key belongs to `implied`; a later word without a key is
    /// a switch that is on (`nofoo`: off), as QEMU's documentation says under "Keyval and option strings".
    pub fn parse(text: &str, implied: &str) -> Options {
        if text.trim_start().starts_with('{')
            && let Ok(Value::Object(fields)) = serde_json::from_str(text)
        {
            let mut out = Vec::new();
            fields.iter().for_each(|(key, value)| flatten(key, value, &mut out));
            return Options(out);
        }
        let mut out: Vec<(String, String)> = Vec::new();
        for (i, part) in split(text).into_iter().enumerate() {
            match part.split_once('=') {
                Some((key, value)) => out.push((key.to_string(), value.to_string())),
                None if i == 0 && !implied.is_empty() => out.push((implied.to_string(), part)),
                None => match part.strip_prefix("no") {
                    Some(key) if SWITCHED_OFF.contains(&part.as_str()) => {
                        out.push((key.to_string(), "off".to_string()))
                    }
                    _ if part.is_empty() => {}
                    _ => out.push((part, "on".to_string())),
                },
            }
        }
        Options(out)
    }

    /// The value of an option; of one that is given twice, the last.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Takes an option out.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let value = self.get(key).map(str::to_string)?;
        self.0.retain(|(k, _)| k != key);
        Some(value)
    }

    /// Takes the first of some options that is there.
    pub fn take_any(&mut self, keys: &[&str]) -> Option<String> {
        keys.iter().fold(None, |found, key| {
            let value = self.take(key);
            found.or(value)
        })
    }

    /// Takes a switch: `on`, `true` and `yes` are on.
    pub fn take_switch(&mut self, key: &str) -> Option<bool> {
        self.take(key).map(|value| is_on(&value))
    }

    /// Takes a switch as the word of the domain format.
    pub fn take_on_off(&mut self, key: &str) -> Option<&'static str> {
        self.take_switch(key).map(|on| if on { "on" } else { "off" })
    }

    /// Takes all options below a prefix, without it.
    pub fn take_below(&mut self, prefix: &str) -> Options {
        let (below, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|(k, _)| k.starts_with(prefix));
        self.0 = rest;
        Options(below.into_iter().map(|(k, v)| (k[prefix.len()..].to_string(), v)).collect())
    }

    /// Takes every value of an option that may be given many times.
    pub fn take_all(&mut self, key: &str) -> Vec<String> {
        let (these, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0).into_iter().partition(|(k, _)| k == key);
        self.0 = rest;
        these.into_iter().map(|(_, v)| v).collect()
    }

    /// Takes options out whatever they say: what virtc decides by itself.
    pub fn forget(&mut self, keys: &[&str]) {
        self.0.retain(|(k, _)| !keys.contains(&k.as_str()));
    }

    /// Takes an option out if it has the value that it has anyway.
    pub fn forget_default(&mut self, key: &str, default: &str) {
        if self.get(key).is_some_and(|value| value == default || (is_on(value) == is_on(default) && is_switch(value))) {
            self.take(key);
        }
    }

    /// Adds options below a prefix.
    pub fn graft(&mut self, prefix: &str, others: Options) {
        self.0.extend(others.0.into_iter().map(|(k, v)| (format!("{prefix}{k}"), v)));
    }

    /// The same options under one name.
    pub fn renamed(self, key: &str) -> Options {
        Options(self.0.into_iter().map(|(_, v)| (key.to_string(), v)).collect())
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left.
    pub fn into_rest(self) -> Vec<(String, String)> {
        self.0
    }
}

/// Short forms of option lists that mean `off`.
const SWITCHED_OFF: &[&str] = &["nowait", "noserver", "nodelay", "nomux", "noreadonly"];

/// Whether a switch is on.
pub fn is_on(value: &str) -> bool {
    matches!(value, "on" | "true" | "yes" | "y")
}

fn is_switch(value: &str) -> bool {
    matches!(value, "on" | "true" | "yes" | "y" | "off" | "false" | "no" | "n")
}

/// The parts between single commas; a doubled comma is one of the text.
fn split(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let doubled = c == ',' && chars.next_if_eq(&',').is_some();
        match (c, doubled) {
            (',', false) => out.push(String::new()),
            _ => {
                if let Some(last) = out.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    out
}

fn flatten(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Bool(on) => out.push((path.to_string(), if *on { "on" } else { "off" }.to_string())),
        Value::Number(n) => out.push((path.to_string(), n.to_string())),
        Value::String(text) => out.push((path.to_string(), text.clone())),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| flatten(&format!("{path}.{i}"), v, out)),
        Value::Object(fields) => fields.iter().for_each(|(k, v)| flatten(&format!("{path}.{k}"), v, out)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_give_the_same() {
        let list = Options::parse("socket,id=a,,b,server,nowait,addr.type=unix", "type");
        let json =
            Options::parse(r#"{"type":"socket","id":"a,b","server":true,"wait":false,"addr":{"type":"unix"}}"#, "type");
        assert_eq!(list, json);
        assert_eq!(list.get("id"), Some("a,b"));
        assert_eq!(list.get("wait"), Some("off"));
    }

    #[test]
    fn what_is_taken_is_gone() {
        let mut options = Options::parse("a=1,b=2,a=3,c.d=4,c.e=5", "");
        assert_eq!(options.take("a").as_deref(), Some("3"));
        assert_eq!(options.take_below("c.").into_rest().len(), 2);
        assert_eq!(options.into_rest(), [("b".to_string(), "2".to_string())]);
    }
}
