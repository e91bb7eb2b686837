//! `<driver>` of a disk: how QEMU reads the image and serves the guest.

use crate::bind::model;
use crate::device::iothreads::ThreadQueues;
use crate::device::storage::{Format, MetadataCache};
use crate::device::virtio::VirtioOptions;
pub use crate::schema::words::{Cache, DetectZeroes, Discard, ErrorPolicy, HistogramKind, IoMode, ReadErrorPolicy};
use crate::vocab::OnOff;

impl Cache {
    /// `direct` and `no-flush` of a block node; none where QEMU decides (QEMU manual, "-drive", cache).
    pub fn flags(self) -> Option<(bool, bool)> {
        match self {
            Cache::Default => None,
            Cache::None | Cache::Directsync => Some((true, false)),
            Cache::Writeback | Cache::Writethrough => Some((false, false)),
            Cache::Unsafe => Some((false, true)),
        }
    }

    /// Whether the guest sees a write cache; none where QEMU decides.
    pub fn write_cache(self) -> Option<OnOff> {
        match self {
            Cache::Default => None,
            Cache::Writethrough | Cache::Directsync => Some(OnOff::Off),
            Cache::None | Cache::Writeback | Cache::Unsafe => Some(OnOff::On),
        }
    }
}

model! {
    /// `<statistic>`: figures over an interval, seconds.
    pub struct Statistic = "statistic" {
        need interval: u32 = "interval",
    }
}

model! {
    /// `<bin>`: where a bin of a histogram begins, nanoseconds.
    pub struct Bin = "bin" {
        need start: u64 = "start",
    }
}

model! {
    /// `<latency-histogram>`
    pub struct Histogram = "latency-histogram" {
        attr kind: HistogramKind = "type",
        many bins: Bin,
    }
}

model! {
    /// `<statistics>`: what QEMU counts of requests.
    pub struct Statistics = "statistics" {
        many intervals: Statistic,
        many histograms: Histogram,
    }
}

model! {
    /// `<driver>` of a disk.
    pub struct Driver = "driver" {
        attr name: String = "name",
        attr format: Format = "type",
        attr cache: Cache = "cache",
        attr error_policy: ErrorPolicy = "error_policy",
        attr read_error_policy: ReadErrorPolicy = "rerror_policy",
        attr io: IoMode = "io",
        attr ioeventfd: OnOff = "ioeventfd",
        attr event_idx: OnOff = "event_idx",
        attr copy_on_read: OnOff = "copy_on_read",
        attr discard: Discard = "discard",
        attr iothread: u32 = "iothread",
        attr detect_zeroes: DetectZeroes = "detect_zeroes",
        attr discard_no_unref: OnOff = "discard_no_unref",
        attr queues: u32 = "queues",
        attr queue_size: u32 = "queue_size",
        part virtio: VirtioOptions,
        child metadata_cache: MetadataCache,
        list iothreads: ThreadQueues = "iothreads",
        child statistics: Statistics,
    }
}
