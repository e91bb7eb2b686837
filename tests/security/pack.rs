//! The packs, and virtc run on their domains.

use rayon::prelude::*;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The folder of the security pack; none, and a line that says so, when it is not given.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("VIRTC_SECURITY_PACK").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIP: VIRTC_SECURITY_PACK does not name the security pack");
    }
    folder
}

/// Reads a JSON file of the pack.
pub fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// How a compilation ended.
pub struct Outcome {
    /// Exit status; none after a signal or too much time.
    pub status: Option<i32>,
    /// Standard error.
    pub said: String,
    /// `plan.json`.
    pub plan: Option<Value>,
    /// Every file of the tree: path, text.
    pub tree: Vec<(String, String)>,
    /// How long it took.
    pub time: Duration,
}

/// Host facts and capabilities for a domain of the conformance corpus, by its file name.
pub struct Surroundings {
    conformance: PathBuf,
    cases: HashMap<String, (String, String)>,
}

impl Surroundings {
    pub fn new(pack: &Path) -> Surroundings {
        let conformance = pack.join("../conformance");
        let mut cases = HashMap::new();
        for case in json(&conformance.join("cases.json")).as_array().expect("a list") {
            let text = |key: &str| case[key].as_str().unwrap_or_default().to_string();
            // The case with the newest capabilities comes with the name NAME.ARCH-latest.
            let newest = text("id").ends_with("-latest");
            let entry = (text("host"), text("caps"));
            if newest || !cases.contains_key(&text("input")) {
                cases.insert(text("input"), entry);
            }
        }
        Surroundings { conformance, cases }
    }

    pub fn input(&self, file: &str) -> PathBuf {
        self.conformance.join("input").join(file)
    }

    /// A file of the conformance pack.
    pub fn conformance_file(&self, name: &str) -> String {
        self.conformance.join(name).display().to_string()
    }

    /// The host facts of an input.
    pub fn host_of(&self, input: &Path) -> PathBuf {
        self.options(input).swap_remove(1)
    }

    /// The options of virtc for an input.
    fn options(&self, input: &Path) -> Vec<PathBuf> {
        let key = input.file_name().map(|f| format!("input/{}", f.to_string_lossy())).unwrap_or_default();
        let known = self.cases.get(&key);
        let host = known.map_or("hosts/x86_64.kdl", |(host, _)| host);
        let caps = known.map_or("caps/caps_10.0.0_x86_64.latest.xml", |(_, caps)| caps);
        vec!["--host".into(), self.conformance.join(host), "--caps".into(), self.conformance.join(caps)]
    }

    /// Builds the tree of one domain.
    pub fn build(&self, input: &Path, limit: Duration) -> Outcome {
        self.build_with(input, limit, &[])
    }

    /// The same with more options, which win over the usual ones.
    pub fn build_with(&self, input: &Path, limit: Duration, more: &[String]) -> Outcome {
        let root = tempfile::tempdir().expect("a folder");
        let out = root.path().join("out");
        let start = Instant::now();
        let errors = root.path().join("stderr");
        let mut child = Command::new(env!("CARGO_BIN_EXE_virtc"))
            .args(["build", "--color", "never", "-o"])
            .arg(&out)
            .args(
                self.options(input)
                    .chunks(2)
                    .filter(|o| !more.iter().any(|m| *m == o[0].display().to_string()))
                    .flatten(),
            )
            .args(more)
            .arg(input)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&errors).expect("a file"))
            .spawn()
            .expect("virtc");
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status.code();
            }
            if start.elapsed() > limit {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let time = start.elapsed();
        let plan = std::fs::read_dir(out.join("usr/share/virtc"))
            .ok()
            .and_then(|mut entries| entries.next()?.ok())
            .map(|entry| json(&entry.path().join("plan.json")));
        Outcome {
            status,
            said: String::from_utf8_lossy(&std::fs::read(errors).unwrap_or_default()).into_owned(),
            plan,
            tree: files(&out),
            time,
        }
    }
}

/// Every file below a folder that is text: path, text; by path.
pub fn files(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left = vec![root.to_path_buf()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if let (Ok(text), Ok(inner)) = (std::fs::read_to_string(&path), path.strip_prefix(root)) {
                found.push((inner.display().to_string(), text));
            }
        }
    }
    found.sort();
    found
}

/// Runs `judge` on every case, two at a time; gives id and verdict (none: passed).
pub fn each(
    cases: &[Value],
    key: &str,
    judge: impl Fn(&Value) -> Result<(), String> + Sync,
) -> Vec<(String, Result<(), String>)> {
    let id = |case: &Value| case[key].as_str().unwrap_or_default().to_string();
    cases.par_iter().map(|case| (id(case), judge(case))).collect()
}
