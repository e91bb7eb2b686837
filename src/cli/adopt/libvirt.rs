//! libvirt's own files: `qemu/*.xml`, `qemu/autostart`, `qemu/networks`, `storage`, `secrets`, `nwfilter`, beside each other in one folder.

use crate::diag::Diagnostics;
use crate::host::{Network, StoragePool};
use crate::probe::host::libvirt::{network_of, pool_of};
use crate::xml::{self, El};
use std::path::Path;

/// Something that is defined.
pub struct Definition<T> {
    /// What it is: of a domain its name.
    pub value: T,
    /// The text of its file, without libvirt's warning.
    pub text: String,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// Names of network filters that it uses.
    pub filters: Vec<String>,
    /// Of a domain that runs: what it has, with devices that came while it ran.
    pub running: Option<String>,
}

/// A secret, without its value.
pub struct Secret {
    /// By which domains name it.
    pub uuid: String,
    /// A comment: what it is for.
    pub usage: String,
}

/// Everything that was found.
#[derive(Default)]
pub struct Found {
    /// Domains, by their files.
    pub domains: Vec<Definition<String>>,
    /// Networks.
    pub networks: Vec<Definition<Network>>,
    /// Storage pools.
    pub pools: Vec<Definition<StoragePool>>,
    /// Secrets.
    pub secrets: Vec<Secret>,
    /// Files that say nothing that could be understood.
    pub unread: Vec<String>,
    /// The text of `qemu.conf`, where the folder is one of a host.
    pub conf: Option<String>,
}

/// No definition is longer.
const MOST: u64 = xml::MAX_SIZE as u64;

/// Reads all definitions of a host.
pub fn read(folder: &Path) -> Result<Found, String> {
    if let Err(e) = std::fs::read_dir(folder) {
        return Err(format!("cannot read {}: {e}", folder.display()));
    }
    let mut found = Found::default();
    for (file, text) in texts(folder, &mut found.unread) {
        let domain = with_root(&text, "domain", |root| {
            let name = root.child("name").map(|n| n.text().trim().to_string())?;
            Some((name, filters(root)))
        });
        match domain {
            Some((name, filters)) => {
                let autostart = is_there(&folder.join("autostart").join(&file));
                let running = running(folder, &file);
                found.domains.push(Definition {
                    value: name,
                    text: without_warning(&text),
                    autostart,
                    filters,
                    running,
                });
            }
            None => found.unread.push(folder.join(&file).display().to_string()),
        }
    }
    let networks = folder.join("networks");
    for (file, text) in texts(&networks, &mut found.unread) {
        let autostart = is_there(&networks.join("autostart").join(&file));
        match network_of(&text) {
            Some(value) => {
                found.networks.push(Definition { value, text, autostart, filters: Vec::new(), running: None })
            }
            None => found.unread.push(networks.join(&file).display().to_string()),
        }
    }
    let beside = |name: &str| folder.parent().unwrap_or(folder).join(name);
    let pools = beside("storage");
    for (file, text) in texts(&pools, &mut found.unread) {
        let autostart = is_there(&pools.join("autostart").join(&file));
        match pool_of(&text, autostart) {
            Some(value) => found.pools.push(Definition { value, text, autostart, filters: Vec::new(), running: None }),
            None => found.unread.push(pools.join(&file).display().to_string()),
        }
    }
    for (_, text) in texts(&beside("secrets"), &mut Vec::new()) {
        found.secrets.extend(with_root(&text, "secret", secret));
    }
    found.conf = std::fs::read_to_string(beside("qemu.conf")).ok();
    Ok(found)
}

/// What the daemon has written down of a domain that runs: `run/libvirt/qemu` of the host that the folder is of.
fn running(folder: &Path, file: &str) -> Option<String> {
    let root = folder.ancestors().nth(3).filter(|root| root.join("etc/libvirt/qemu") == folder)?;
    let text = std::fs::read_to_string(root.join("run/libvirt/qemu").join(file)).ok()?;
    with_root(&text, "domstatus", |status| {
        let span = status.child("domain")?.whole();
        text.get(span.start as usize..span.end as usize).map(str::to_string)
    })
}

/// A link of `autostart` may lead nowhere in a copy of the folder.
fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// The XML files of a folder, by name.
fn texts(folder: &Path, unread: &mut Vec<String>) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.retain(|name| name.ends_with(".xml"));
    names.sort();
    let mut out = Vec::new();
    for name in names {
        let path = folder.join(&name);
        let short = path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= MOST);
        match std::fs::read_to_string(&path) {
            Ok(text) if short => out.push((name, text)),
            _ => unread.push(path.display().to_string()),
        }
    }
    out
}

/// Looks at the root of a text, if it is one of this name.
fn with_root<T>(text: &str, name: &str, look: impl FnOnce(&El<'_>) -> Option<T>) -> Option<T> {
    let mut diags = Diagnostics::new();
    let document = xml::parse(text.as_bytes(), &mut diags);
    document.root().filter(|root| root.is(name)).and_then(|root| look(&root))
}

/// libvirt says above each of its files that they are not to be edited. This one is.
fn without_warning(text: &str) -> String {
    let warned = text.trim_start().strip_prefix("<!--").and_then(|rest| rest.split_once("-->"));
    match warned.filter(|(comment, _)| comment.contains("AUTO-GENERATED")) {
        Some((_, rest)) => format!("{}\n", rest.trim()),
        None => text.to_string(),
    }
}

fn filters(domain: &El<'_>) -> Vec<String> {
    let mut out: Vec<String> = (domain.child("devices").into_iter())
        .flat_map(|devices| devices.children_named("interface").collect::<Vec<_>>())
        .filter_map(|nic| Some(nic.child("filterref")?.attr("filter")?.value().to_string()))
        .collect();
    out.sort();
    out.dedup();
    out
}

fn secret(root: &El<'_>) -> Option<Secret> {
    let uuid = root.child("uuid")?.text().trim().to_string();
    let usage = root.child("usage").map_or(String::new(), |usage| {
        let what = usage.attr("type").map_or("", |t| t.value());
        let name: String = usage.children().map(|c| c.text().trim().to_string()).collect::<Vec<_>>().join(" ");
        format!(" // {what}: {}", name.chars().filter(|c| !c.is_control()).collect::<String>())
    });
    let plain = uuid.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    plain.then_some(Secret { uuid, usage })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_goes_and_comments_stay() {
        let own = "<!-- mine --><domain/>";
        assert_eq!(without_warning(own), own);
        let theirs = "<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE\nOVERWRITTEN\n-->\n\n<domain/>\n";
        assert_eq!(without_warning(theirs), "<domain/>\n");
    }
}
