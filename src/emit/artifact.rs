//! What emitters make: files of a tree.

use super::traced::{Mark, Traced};

/// One file of the tree.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Path relative to the root of the tree.
    pub path: String,
    /// Its text.
    pub contents: String,
    /// Permission bits.
    pub mode: u32,
    /// What in the domain its parts come from, by place.
    pub marks: Vec<Mark>,
}

/// Two machines of one network make the same files, each for its own reason.
impl PartialEq for Artifact {
    fn eq(&self, other: &Artifact) -> bool {
        (&self.path, &self.contents, self.mode) == (&other.path, &other.contents, other.mode)
    }
}

impl Eq for Artifact {}

impl Artifact {
    /// A file that all may read.
    pub fn new(path: impl Into<String>, contents: String) -> Artifact {
        Artifact::traced(path, Traced::plain(contents))
    }

    /// The same with what its parts come from.
    pub fn traced(path: impl Into<String>, contents: Traced) -> Artifact {
        Artifact { path: path.into(), contents: contents.text, mode: 0o644, marks: contents.marks }
    }
}

/// What a tree holds besides what follows from the Plan.
#[derive(Default)]
pub struct Extras<'a> {
    /// The normalised domain XML.
    pub domain_xml: &'a str,
    /// Every file that was read for the compilation, as the user named it.
    pub inputs: &'a [String],
    /// The bytes of the first of them, the domain XML.
    pub source: &'a [u8],
    /// What the dependency file says depends on them; usually the root of the tree and `/`, or nothing.
    pub target_prefix: &'a str,
}

/// What kind of output a path is, for a person.
pub fn describe(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match () {
        () if path.contains("/systemd/") => "systemd unit",
        () if path.contains("sysusers.d/") => "account",
        () if path.contains("tmpfiles.d/") => "folders and owners",
        () if path.contains("udev/rules.d/") => "rules of devices",
        () if path.contains("apparmor.d/") && name.ends_with(".files") => "AppArmor rules",
        () if path.contains("apparmor.d/") => "AppArmor profile",
        () if path.contains("/selinux/") => "SELinux",
        () if path.contains("/cgroup/") => "cgroup",
        () if name.starts_with("argv") => "command line",
        () if name == "plan.json" => "Plan",
        () if name == "domain.xml" => "normalised domain",
        () if name == "manifest.json" => "manifest",
        () if name == "files" => "list of files",
        () if path.ends_with(".d") => "dependency file",
        () => "file",
    }
}
