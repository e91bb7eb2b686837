//! The packs, and virtc run on their domains.

use super::ratchet::Refusal;
use crate::common;
use rayon::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use virtc::caps::Capabilities;
use virtc::compile::{Until, compile};
use virtc::diag::{Diagnostics, Severity};
use virtc::host::{DescriptorFile, Host, HostFiles, files_needed, in_order};
use virtc::plan::{Access, Plan};
use virtc::stage::Options;

/// The folder of the security pack; none, and a line that says so, when it is not given.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("VIRTC_SECURITY_PACK").map(PathBuf::from);
    common::given(folder.is_some(), "the security pack");
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
    /// What it said: diagnostics, one JSON object a line.
    pub said: String,
    /// `plan.json`.
    pub plan: Option<Value>,
    /// Every file of the tree: path, text.
    pub tree: Vec<(String, String)>,
    /// How long it took.
    pub time: Duration,
}

impl Outcome {
    /// The first error.
    pub fn refusal(&self) -> Refusal {
        let mut objects = self.said.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
        let Some(error) = objects.find(|o| o["severity"] == "error") else { return Refusal::default() };
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_string();
        Refusal { at: format!("{}:{}", text("code"), error["line"]), message: text("message") }
    }
}

/// Both streams of a program.
pub fn said(stdout: &[u8], stderr: &[u8]) -> String {
    String::from_utf8_lossy(stdout).into_owned() + &String::from_utf8_lossy(stderr)
}

/// What compiling a domain came to.
pub enum Compiled {
    /// It has a Plan.
    Planned(Box<Plan>),
    /// It is refused: the first error.
    Refused(Refusal),
}

/// What a case of the conformance corpus is compiled with.
#[derive(Clone)]
struct Setting {
    host: String,
    caps: String,
    define: bool,
}

/// Host facts and capabilities for a domain of the conformance corpus, by its file name.
pub struct Surroundings {
    conformance: PathBuf,
    cases: HashMap<String, Setting>,
    refused: HashSet<String>,
    hosts: Mutex<HashMap<PathBuf, Arc<Host>>>,
    caps: Mutex<HashMap<PathBuf, Arc<Capabilities>>>,
}

impl Surroundings {
    pub fn new(pack: &Path) -> Surroundings {
        let conformance = pack.join("../conformance");
        let mut cases = HashMap::new();
        let mut refused = HashSet::new();
        for case in json(&conformance.join("cases.json")).as_array().expect("a list") {
            let text = |key: &str| case[key].as_str().unwrap_or_default().to_string();
            // The case with the newest capabilities comes with the name NAME.ARCH-latest.
            let newest = text("id").ends_with("-latest");
            let setting = Setting { host: text("host"), caps: text("caps"), define: case["define"] == true };
            if newest || !cases.contains_key(&text("input")) {
                match case["expect"] == "error" {
                    true => refused.insert(text("input")),
                    false => refused.remove(&text("input")),
                };
                cases.insert(text("input"), setting);
            }
        }
        // Libvirt's own labels are made from what it loads.
        for domain in json(&pack.join("labels.json"))["domains"].as_array().expect("a list") {
            if domain["load"] == "error" {
                refused.insert(format!("input/{}", domain["file"].as_str().unwrap_or_default()));
            }
        }
        Surroundings { conformance, cases, refused, hosts: Mutex::default(), caps: Mutex::default() }
    }

    /// Whether libvirt's driver for QEMU refuses the domain, with the same capabilities and host.
    pub fn libvirt_refuses(&self, file: &str) -> bool {
        self.refused.contains(&format!("input/{file}"))
    }

    /// The Plan of one domain, without the files of a tree.
    pub fn compile(&self, input: &Path) -> Compiled {
        let setting = self.setting(input);
        let host = cached(&self.hosts, &self.conformance.join(setting.host), read_host);
        let caps = cached(&self.caps, &self.conformance.join(setting.caps), |path| {
            virtc::caps::read(&std::fs::read(path).expect("capabilities"), &mut Diagnostics::new())
                .unwrap_or_else(|| panic!("{}: no capabilities", path.display()))
        });
        let text = std::fs::read(input).unwrap_or_else(|e| panic!("{}: {e}", input.display()));
        let options = Options { define: setting.define, ..Options::default() };
        let compiled = compile(&text, &host, &caps, &options, Until::Planned);
        match compiled.plan {
            Some(plan) => Compiled::Planned(Box::new(plan)),
            None => {
                let sorted = compiled.diags.sorted();
                let Some(first) = sorted.iter().find(|d| d.severity == Severity::Error) else {
                    return Compiled::Refused(Refusal::default());
                };
                let before = &text[..(first.span.start as usize).min(text.len())];
                let line = 1 + before.iter().filter(|b| **b == b'\n').count();
                let at = format!("{}:{line}", first.code.id);
                Compiled::Refused(Refusal { at, message: first.message.clone() })
            }
        }
    }

    pub fn input(&self, file: &str) -> PathBuf {
        self.conformance.join("input").join(file)
    }

    /// What an input is compiled with. A domain of no case has the host of its architecture, with the
    /// newest capabilities of which there are most cases.
    fn setting(&self, input: &Path) -> Setting {
        let key = input.file_name().map(|f| format!("input/{}", f.to_string_lossy())).unwrap_or_default();
        self.cases.get(&key).cloned().unwrap_or_else(|| {
            let text = std::fs::read_to_string(input).unwrap_or_default();
            let arch = ["aarch64", "armv7l", "loongarch64", "ppc64", "ppc", "riscv64", "s390x", "sparc"]
                .into_iter()
                .find(|a| [format!("arch='{a}'"), format!("arch=\"{a}\"")].iter().any(|t| text.contains(t)))
                .unwrap_or("x86_64");
            let host = format!("hosts/{arch}.kdl");
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            let own = self.cases.values().filter(|setting| setting.host == host);
            own.for_each(|setting| *counts.entry(&setting.caps).or_default() += 1);
            let caps = counts.into_iter().max_by_key(|(_, count)| *count).map(|(caps, _)| caps.to_string());
            let caps = caps.unwrap_or_else(|| "caps/caps_10.0.0_x86_64.latest.xml".to_string());
            Setting { host, caps, define: false }
        })
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
        let setting = self.setting(input);
        let mut options = vec!["--host".into(), self.conformance.join(setting.host)];
        options.extend(["--caps".into(), self.conformance.join(setting.caps)]);
        if setting.define {
            options.push("--define".into());
        }
        options
    }

    /// Builds the tree of one domain; these options win over the usual ones.
    pub fn build(&self, input: &Path, limit: Duration, more: &[String]) -> Outcome {
        let root = tempfile::tempdir().expect("a folder");
        let out = root.path().join("out");
        let start = Instant::now();
        let [output, errors] = ["stdout", "stderr"].map(|name| root.path().join(name));
        let mut child = common::virtc()
            .args(["build", "--message-format", "json", "-o"])
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
            .stdout(std::fs::File::create(&output).expect("a file"))
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
            said: said(&std::fs::read(output).unwrap_or_default(), &std::fs::read(errors).unwrap_or_default()),
            plan,
            tree: files(&out),
            time,
        }
    }
}

/// What an access is about, for the table of differences: `qemu socket of disk vda`.
pub fn about(access: &Access) -> String {
    let kind = serde_json::to_value(access.kind).expect("a word");
    format!("{} {} of {}", access.process, kind.as_str().unwrap_or_default(), access.cause.what)
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

/// What is read once and used by many cases.
fn cached<T>(store: &Mutex<HashMap<PathBuf, Arc<T>>>, path: &Path, read: impl Fn(&Path) -> T) -> Arc<T> {
    let known = store.lock().expect("no panic").get(path).cloned();
    known.unwrap_or_else(|| {
        let value = Arc::new(read(path));
        store.lock().expect("no panic").insert(path.to_path_buf(), value.clone());
        value
    })
}

fn read_host(path: &Path) -> Host {
    let mut diags = Diagnostics::new();
    let mut host = virtc::host::read(&std::fs::read_to_string(path).expect("host facts"), &mut diags);
    let root = path.parent().unwrap_or(Path::new(".")).join(&host.root);
    let needed = files_needed(&host);
    host.files = HostFiles {
        firmware: descriptors(&root, &needed.firmware),
        vhost_user: descriptors(&root, &needed.vhost_user),
    };
    host
}

fn descriptors(root: &Path, directories: &[String]) -> Vec<DescriptorFile> {
    let read = |directory: &String| -> Vec<DescriptorFile> {
        let folder = root.join(directory.trim_start_matches('/'));
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let names = entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|n| n.ends_with(".json"));
        names
            .filter_map(|n| {
                let text = std::fs::read_to_string(folder.join(&n)).ok()?;
                Some(DescriptorFile { path: format!("{directory}/{n}"), text })
            })
            .collect()
    };
    in_order(directories.iter().map(read).collect())
}
