//! Histograms of disks: what QEMU counts only when it is asked to, over its monitor.

use super::Cause;
use serde::{Deserialize, Serialize};

/// How long requests to a disk take, counted by bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Histogram {
    /// The disk, as QEMU's monitor knows it: the name of a device, or a path among its objects.
    pub device: String,
    /// Which requests.
    pub requests: Requests,
    /// Where the second bin begins, and each behind it, nanoseconds; the first begins at 0.
    pub boundaries: Vec<u64>,
    /// What brought it about.
    pub cause: Cause,
}

/// Requests to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Requests {
    /// All that have no histogram of their own.
    All,
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Appends to zones; QEMU 8.1 and newer.
    Zone,
    /// Flushes.
    Flush,
}

impl Histogram {
    /// QEMU's command.
    pub const COMMAND: &'static str = "block-latency-histogram-set";

    /// The argument of the command that takes the boundaries.
    pub fn argument(&self) -> &'static str {
        match self.requests {
            Requests::All => "boundaries",
            Requests::Read => "boundaries-read",
            Requests::Write => "boundaries-write",
            Requests::Zone => "boundaries-zap",
            Requests::Flush => "boundaries-flush",
        }
    }
}
