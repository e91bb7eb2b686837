//! `plan.json` back to a Plan.

use super::Plan;
use serde::Deserialize;

/// Why a text is no Plan that this virtc can use.
#[derive(Debug)]
pub enum Unreadable {
    /// It has another version of the format.
    Version(u32),
    /// It is no JSON, or none of a Plan.
    Text(serde_json::Error),
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unreadable::Version(version) => {
                let who = if *version < Plan::VERSION { "an older" } else { "a newer" };
                write!(
                    f,
                    "the plan has version {version}, which {who} virtc wrote, and this one reads version {}: build it again from the domain XML (virtc build)",
                    Plan::VERSION
                )
            }
            Unreadable::Text(error) => write!(f, "this is not a plan: {error}"),
        }
    }
}

impl std::error::Error for Unreadable {}

impl Plan {
    /// Reads `plan.json`. The version is looked at first: a Plan of another one has other fields.
    pub fn read(json: &[u8]) -> Result<Plan, Unreadable> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let head: Head = serde_json::from_slice(json).map_err(Unreadable::Text)?;
        if head.version != Plan::VERSION {
            return Err(Unreadable::Version(head.version));
        }
        serde_json::from_slice(json).map_err(Unreadable::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_told() {
        let of = |text: &str| Plan::read(text.as_bytes()).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(of(r#"{"version":1,"name":"a"}"#).starts_with("the plan has version 1, which an older virtc wrote"));
        assert!(of(r#"{"version":99}"#).contains("a newer virtc"));
        assert!(of("{").starts_with("this is not a plan"));
        let own = serde_json::to_vec(&Plan { version: Plan::VERSION, ..Plan::default() }).unwrap_or_default();
        assert!(Plan::read(&own).is_ok());
    }
}
