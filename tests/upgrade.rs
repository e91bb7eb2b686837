//! What `virtc upgrade` knows of machine types is what QEMU says itself, where there is the release that the tables are of.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use virtc::upgrade::compat::Compat;

/// A QEMU that holds no machine, and answers.
struct Asked {
    qemu: Child,
    to: ChildStdin,
    from: BufReader<std::process::ChildStdout>,
}

impl Asked {
    fn new(binary: &str) -> Option<Asked> {
        let mut qemu = Command::new(binary)
            .args(["-machine", "none", "-nodefaults", "-display", "none", "-qmp", "stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (to, from) = (qemu.stdin.take()?, BufReader::new(qemu.stdout.take()?));
        let mut asked = Asked { qemu, to, from };
        asked.ask(&json!({ "execute": "qmp_capabilities" }))?;
        Some(asked)
    }

    /// The answer; none where QEMU does not know the question.
    fn ask(&mut self, question: &Value) -> Option<Value> {
        writeln!(self.to, "{question}").ok()?;
        loop {
            let mut line = String::new();
            if self.from.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let answer: Value = serde_json::from_str(&line).ok()?;
            if answer.get("error").is_some() {
                return None;
            }
            if let Some(answer) = answer.get("return") {
                return Some(answer.clone());
            }
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// The settings of a machine type as QEMU tells them; of several for one property the last holds.
fn told(machine: &Value) -> BTreeMap<(String, String), String> {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_string();
    let all = machine["compat-props"].as_array().into_iter().flatten();
    all.map(|p| ((text(p, "qom-type"), text(p, "property")), text(p, "value"))).collect()
}

#[test]
fn the_tables_are_what_qemu_says() {
    let mut compared = 0;
    for binary in ["qemu-system-x86_64", "qemu-system-aarch64", "qemu-system-s390x", "qemu-system-ppc64"] {
        let Some(mut qemu) = Asked::new(binary) else { continue };
        let version = qemu.ask(&json!({ "execute": "query-version" })).expect("each tells its version");
        let question = json!({ "execute": "query-machines", "arguments": { "compat-props": true } });
        let Some(machines) = qemu.ask(&question) else { continue };
        let is = |name: &str, number: u64| version["qemu"][name].as_u64() == Some(number);
        // The release that the tables are of: another has other properties, and other defaults.
        if !is("major", 11) || !is("minor", 1) {
            continue;
        }
        for machine in machines.as_array().expect("a list") {
            let name = machine["name"].as_str().unwrap_or_default();
            let Some(known) = Compat::about(name).of(name) else { continue };
            let own = |text: &str| text.replace("%20", " ").replace("%0a", "\n").replace("%25", "%");
            let known: BTreeMap<(String, String), String> =
                known.iter().map(|((d, p), v)| ((own(d), own(p)), own(v))).collect();
            let told = told(machine);
            assert_eq!(known, told, "{name}");
            compared += 1;
        }
    }
    if compared == 0 {
        crate::common::skip("QEMU 11.1");
    }
}
