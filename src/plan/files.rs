//! Files and folders that are there before the start.

use super::{Cause, Text, Use};
use serde::{Deserialize, Serialize};

/// A secret that QEMU reads from a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Secret {
    /// QEMU's object id.
    pub id: String,
    /// Path of the file with the secret, where it is expected at run time.
    pub path: String,
    /// UUID or `type/usage` under which the domain names it.
    pub source: String,
    /// Whether the file holds the value in base64.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub base64: bool,
    /// Why it is there.
    pub cause: Cause,
}

impl Secret {
    /// The name of the credential of systemd that holds the value: names of credentials are names of files without colons.
    pub fn credential(&self) -> String {
        let mut name = String::from("virtc.");
        for byte in self.source.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => name.push(char::from(byte)),
                _ => name += &format!("_{byte:02X}"),
            }
        }
        name
    }
}

/// A directory that must exist before the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Directory {
    /// Its part.
    pub role: DirectoryRole,
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Why it is there.
    pub cause: Cause,
}

/// The part that a directory plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DirectoryRole {
    /// Sockets and PID files; gone after the stop.
    Runtime,
    /// State that survives (NVRAM, TPM).
    State,
    /// Logs.
    Log,
    /// Backing files of guest memory.
    Memory,
}

/// A file that is made before the first start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NewFile {
    /// Where it is to be.
    pub path: String,
    /// What it is for.
    #[serde(rename = "use")]
    pub usage: Use,
    /// The file that it is copied from when it does not exist yet.
    pub template: Option<String>,
    /// Why it is there.
    pub cause: Cause,
}

/// A file that is taken over from libvirt, if it is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Inherited {
    /// Where it is to be.
    pub path: String,
    /// Where libvirt had it.
    pub from: String,
    /// Why.
    pub cause: Cause,
}

/// A program that is run before a process starts, as its account and confined like it. What it finds done it leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Setup {
    /// The id of the process.
    pub process: String,
    /// The program, as a path.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Whether the process starts also where the program is missing or fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Why it is there.
    pub cause: Cause,
}

/// A qcow2 image that takes what the guest writes to a transient disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Overlay {
    /// Where it is to be.
    pub path: String,
    /// The image below, which is only read.
    pub base: String,
    /// QEMU's name of the format of the image below.
    pub format: Text,
    /// Why it is there.
    pub cause: Cause,
}

impl Overlay {
    /// The program that makes overlays.
    pub const PROGRAM: &'static str = "/usr/bin/qemu-img";

    /// Its arguments; `draft` is where the overlay is made, before it is put in its place.
    pub fn arguments<'a>(&'a self, draft: &'a str) -> [&'a str; 9] {
        ["create", "-q", "-f", "qcow2", "-F", &self.format, "-b", &self.base, draft]
    }
}
