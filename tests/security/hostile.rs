//! Hostile domains: refused, or compiled to outputs that hold the value and nothing else.

use super::pack::{self, Surroundings};
use super::ratchet;
use serde_json::Value;
use std::time::Duration;

#[test]
fn hostile_domains_do_no_harm() {
    let Some(pack) = pack::folder() else { return };
    let _lock = ratchet::lock();
    let surroundings = Surroundings::new(&pack);
    let manifest = pack::json(&pack.join("hostile/manifest.json"));
    let results = pack::each(manifest["cases"].as_array().expect("a list"), "id", |case| {
        let root = tempfile::tempdir().expect("a folder");
        let input = match case["xml"].as_str() {
            Some(xml) => pack.join("hostile").join(xml),
            None => {
                let input = root.path().join("generated.xml");
                std::fs::write(&input, generate(&case["generate"])).expect("a file");
                input
            }
        };
        let limit = Duration::from_secs(10);
        let fixture = case.get("fixture").and_then(|f| Link::make(&f["symlink"]));
        // Where a link of this host leads, only somebody who looks at this host knows.
        let look = fixture.iter().map(|_| "--probe-backing".to_string()).collect::<Vec<_>>();
        let outcome = surroundings.build(&input, limit, &look);
        // A debug build is allowed more; no input may take it longer than a few seconds.
        let slow = outcome.time > Duration::from_secs(if cfg!(debug_assertions) { 8 } else { 2 });
        match (case["expected"].as_str(), outcome.status) {
            (_, None) => Err(format!("crash or timeout: {}", outcome.said.lines().next().unwrap_or(""))),
            (_, Some(status)) if status > 4 => Err(format!("exit {status}")),
            _ if slow => Err(format!("{:?}", outcome.time)),
            (Some("reject"), Some(1)) if outcome.plan.is_none() => Ok(()),
            (Some("reject"), Some(status)) => {
                Err(format!("{} (exit {status})", case["attempt"].as_str().unwrap_or("")))
            }
            (_, Some(0)) => Ok(()),
            // Refusing is fine where a stricter rule makes sense, but not for what is not there yet.
            (_, Some(_)) if outcome.said.contains("VC0901") => Err("not supported yet".to_string()),
            (_, Some(1)) if case["id"].as_str().is_some_and(plain_legal) => {
                Err(format!("refused: {:?}", outcome.refusal()))
            }
            (_, Some(1)) => Ok(()),
            (_, Some(status)) => Err(format!("exit {status}")),
        }
    });
    ratchet::judge("hostile", &results);
}

/// A symbolic link of a fixture, gone at the end with the folders that were made for it.
struct Link(std::path::PathBuf, Vec<std::path::PathBuf>);

impl Link {
    fn make(pair: &Value) -> Option<Link> {
        let (Some(link), Some(target)) = (pair[0].as_str(), pair[1].as_str()) else { panic!("an unknown fixture") };
        let link = std::path::PathBuf::from(link);
        let missing = link.ancestors().skip(1).take_while(|f| !f.exists()).map(|f| f.to_path_buf()).collect();
        std::fs::create_dir_all(link.parent()?).and_then(|()| std::os::unix::fs::symlink(target, &link)).ok()?;
        Some(Link(link, missing))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        self.1.iter().for_each(|folder| drop(std::fs::remove_dir(folder)));
    }
}

/// Legal text in paths, names and titles must compile.
fn plain_legal(id: &str) -> bool {
    ["disk-path-", "name-", "title-", "description-"].iter().any(|start| id.starts_with(start))
}

/// Joins `[text, count]` pieces.
fn generate(pieces: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces.as_array().into_iter().flatten() {
        let (Some(text), Some(count)) = (piece[0].as_str(), piece[1].as_u64()) else { continue };
        for _ in 0..count {
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}
