//! Looks things up in what `query-qmp-schema` returns: the commands of a QEMU with their arguments.

use serde_json::Value;
use std::collections::HashMap;

/// The schema, by name. Only looked up, never iterated.
pub struct Schema {
    entities: HashMap<String, Value>,
}

impl Schema {
    /// Takes the reply of `query-qmp-schema`.
    pub fn new(reply: Value) -> Schema {
        let Value::Array(list) = reply else { return Schema { entities: HashMap::new() } };
        let name = |entity: &Value| entity["name"].as_str().unwrap_or_default().to_string();
        Schema { entities: list.into_iter().map(|entity| (name(&entity), entity)).collect() }
    }

    /// Whether a command or event with this name is there.
    pub fn has_command(&self, name: &str) -> bool {
        self.entities.get(name).is_some_and(|e| e["meta-type"] == "command")
    }

    /// Follows a path of words: a command, then `arg` or `ret` for the type it takes or gives, then a
    /// member's name for its type, `+tag` for the branch of a union, `=value` for a value of an
    /// enumeration. A command and a value may also be followed by `$feature`. Arrays stand for their elements.
    pub fn has(&self, path: &str) -> bool {
        let mut words = path.split(' ');
        let Some(command) = words.next().and_then(|name| self.entities.get(name)) else { return false };
        let id = match words.next() {
            None => return true,
            Some("arg") => &command["arg-type"],
            Some("ret") => &command["ret-type"],
            Some(word) => {
                return has_feature(command, word);
            }
        };
        let rest: Vec<&str> = words.collect();
        id.as_str().is_some_and(|id| self.follow(id, &rest, 0))
    }

    fn follow(&self, id: &str, path: &[&str], depth: usize) -> bool {
        let Some((word, rest)) = path.split_first() else { return true };
        // A malformed schema could lead in a circle.
        if depth > 32 {
            return false;
        }
        let Some(entity) = self.entities.get(id) else { return false };
        let list = |key: &str| entity[key].as_array().map(Vec::as_slice).unwrap_or_default();
        let next = |item: &Value| item["type"].as_str().is_some_and(|id| self.follow(id, rest, depth + 1));
        match entity["meta-type"].as_str() {
            Some("array") => entity["element-type"].as_str().is_some_and(|id| self.follow(id, path, depth + 1)),
            Some("alternate") => {
                list("members").iter().any(|m| m["type"].as_str().is_some_and(|id| self.follow(id, path, depth + 1)))
            }
            Some("enum") => word.strip_prefix('=').is_some_and(|value| match rest.first() {
                None => list("values").iter().any(|v| v == value) || list("members").iter().any(|m| m["name"] == value),
                Some(feature) => list("members").iter().any(|m| m["name"] == value && has_feature(m, feature)),
            }),
            Some("object") => match word.strip_prefix('+') {
                Some(tag) => list("variants").iter().any(|v| v["case"] == tag && next(v)),
                None => list("members").iter().any(|m| m["name"] == **word && next(m)),
            },
            _ => false,
        }
    }
}

/// Whether a command or a value of an enumeration has the feature, written `$name`.
fn has_feature(entity: &Value, word: &str) -> bool {
    let all = entity["features"].as_array().into_iter().flatten();
    word.strip_prefix('$').is_some_and(|name| all.into_iter().any(|feature| feature == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_are_followed() {
        let schema = Schema::new(json!([
            {"name": "add", "meta-type": "command", "arg-type": "1", "ret-type": "0", "features": ["json"]},
            {"name": "0", "meta-type": "object", "members": []},
            {"name": "1", "meta-type": "object", "tag": "driver",
             "members": [{"name": "driver", "type": "2"}, {"name": "all", "type": "[3]"}],
             "variants": [{"case": "file", "type": "3"}, {"case": "nbd", "type": "0"}]},
            {"name": "2", "meta-type": "enum", "values": ["file", "nbd"]},
            {"name": "3", "meta-type": "object", "members": [{"name": "aio", "type": "4"}]},
            {"name": "4", "meta-type": "alternate", "members": [{"type": "5"}, {"type": "0"}]},
            {"name": "5", "meta-type": "enum", "members": [{"name": "io_uring", "features": ["fast"]}, {"name": "threads"}]},
            {"name": "[3]", "meta-type": "array", "element-type": "3"},
        ]));
        for path in [
            "add",
            "add arg",
            "add $json",
            "add arg driver =nbd",
            "add arg +file aio =io_uring",
            "add arg +file aio =io_uring $fast",
            "add arg +nbd",
            "add arg all aio",
        ] {
            assert!(schema.has(path), "{path}");
        }
        for path in [
            "sub",
            "add $other",
            "add arg driver =x",
            "add arg +file aio =native",
            "add arg +file aio =threads $fast",
            "add arg +nbd aio",
            "add ret x",
            "add odd",
        ] {
            assert!(!schema.has(path), "{path}");
        }
        assert!(schema.has_command("add") && !schema.has_command("5"));
    }
}
