//! What emitters make: files of a tree.

/// One file of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Path relative to the root of the tree.
    pub path: String,
    /// Its text.
    pub contents: String,
    /// Permission bits.
    pub mode: u32,
}

impl Artifact {
    /// A file that all may read.
    pub fn new(path: impl Into<String>, contents: String) -> Artifact {
        Artifact { path: path.into(), contents, mode: 0o644 }
    }
}

/// What a tree holds besides what follows from the Plan.
#[derive(Default)]
pub struct Extras<'a> {
    /// The normalised domain XML.
    pub domain_xml: &'a str,
    /// Every file that was read for the compilation, as the user named it.
    pub inputs: &'a [String],
    /// What the dependency file says depends on them; usually the root of the tree and `/`, or nothing.
    pub target_prefix: &'a str,
}
