//! Helper programs: what is installed, and what each can do.

use super::Source;
use crate::host::*;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a helper may take to say what it can do.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Fills in the helpers.
pub fn probe(source: &Source, host: &mut Host) {
    if let Some(path) = find(source, "swtpm") {
        let said = ask(source, &path, &["socket", "--print-capabilities"]).unwrap_or_default();
        let features = words(&said["features"]);
        let mut versions: Vec<String> =
            ["1.2", "2.0"].iter().filter(|v| features.contains(&format!("tpm-{v}"))).map(|v| v.to_string()).collect();
        if versions.is_empty() {
            // An swtpm that does not list them has both.
            versions = vec!["1.2".to_string(), "2.0".to_string()];
        }
        host.swtpm = Some(Swtpm { socket: None, tpm_versions: versions });
    }
    if let Some(path) = find(source, "nbdkit") {
        let has = |plugin: &&str| run(source, &path, &["--dump-plugin", plugin]).is_some();
        let plugins = ["curl", "ssh"].iter().filter(|p| has(p)).map(|p| p.to_string()).collect();
        host.nbdkit = Some(Nbdkit { path, enabled: false, plugins });
    }
    host.vhost_user.helpers = helpers(source, host);
    let account = source.text("/etc/passwd").unwrap_or_default();
    let has_account = |name: &str| account.lines().any(|line| line.split(':').next() == Some(name));
    if host.instance.mode == InstanceMode::System && has_account("tss") {
        host.process.swtpm_user = Some("tss".to_string());
        host.process.swtpm_group = Some("tss".to_string());
    }
}

/// Where a program is.
fn find(source: &Source, name: &str) -> Option<String> {
    let usual = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/libexec", "/usr/lib/qemu"];
    usual.iter().map(|dir| format!("{dir}/{name}")).find(|path| source.exists(path))
}

/// The vhost-user helpers: those that descriptors name, and virtiofsd in its usual places.
fn helpers(source: &Source, host: &Host) -> Vec<VhostUserHelper> {
    let mut found: Vec<VhostUserHelper> = Vec::new();
    let mut add = |path: String, kind: Option<VhostUserKind>| {
        if found.iter().any(|h| h.path == path) || !source.exists(&path) {
            return;
        }
        let said = ask(source, &path, &["--print-capabilities"]).unwrap_or_default();
        let kind = said["type"].as_str().and_then(VhostUserKind::parse).or(kind);
        if let Some(kind) = kind {
            found.push(VhostUserHelper { path, kind, features: words(&said["features"]) });
        }
    };
    for directory in files_needed(host).vhost_user {
        for name in source.list(&directory).iter().filter(|n| n.ends_with(".json")) {
            let text = source.text(&format!("{directory}/{name}")).unwrap_or_default();
            let Ok(descriptor) = serde_json::from_str::<Value>(&text) else { continue };
            if let Some(path) = descriptor["binary"].as_str() {
                add(path.to_string(), descriptor["type"].as_str().and_then(VhostUserKind::parse));
            }
        }
    }
    for path in ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/bin/virtiofsd"] {
        add(path.to_string(), Some(VhostUserKind::Fs));
    }
    found
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_string).collect()
}

/// What a helper prints, as JSON.
fn ask(source: &Source, path: &str, args: &[&str]) -> Option<Value> {
    serde_json::from_str(&run(source, path, args)?).ok()
}

/// What a program prints; none when it fails, hangs, or is another machine's.
fn run(source: &Source, path: &str, args: &[&str]) -> Option<String> {
    if !source.is_here() || !Path::new(path).exists() {
        return None;
    }
    let mut child =
        Command::new(path).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    // The output is read by another thread: a helper that prints much must not block.
    let stdout = child.stdout.take()?;
    let reader = std::thread::spawn(move || std::io::read_to_string(std::io::Read::take(stdout, 1 << 20)).ok());
    let deadline = Instant::now() + TIMEOUT;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    let text = reader.join().ok().flatten()?;
    status.success().then_some(text)
}
