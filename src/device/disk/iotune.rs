//! Throttling: `<iotune>` of a disk and `<throttlegroup>` of the domain.

use crate::bind::model;

model! {
    /// Limits: bytes and operations a second, bursts, and seconds that a burst may last.
    pub struct Limits {
        leaf total_bytes_sec: u64 = "total_bytes_sec",
        leaf read_bytes_sec: u64 = "read_bytes_sec",
        leaf write_bytes_sec: u64 = "write_bytes_sec",
        leaf total_iops_sec: u64 = "total_iops_sec",
        leaf read_iops_sec: u64 = "read_iops_sec",
        leaf write_iops_sec: u64 = "write_iops_sec",
        leaf total_bytes_sec_max: u64 = "total_bytes_sec_max",
        leaf read_bytes_sec_max: u64 = "read_bytes_sec_max",
        leaf write_bytes_sec_max: u64 = "write_bytes_sec_max",
        leaf total_iops_sec_max: u64 = "total_iops_sec_max",
        leaf read_iops_sec_max: u64 = "read_iops_sec_max",
        leaf write_iops_sec_max: u64 = "write_iops_sec_max",
        leaf size_iops_sec: u64 = "size_iops_sec",
        leaf group_name: String = "group_name",
        leaf total_bytes_sec_max_length: u64 = "total_bytes_sec_max_length",
        leaf read_bytes_sec_max_length: u64 = "read_bytes_sec_max_length",
        leaf write_bytes_sec_max_length: u64 = "write_bytes_sec_max_length",
        leaf total_iops_sec_max_length: u64 = "total_iops_sec_max_length",
        leaf read_iops_sec_max_length: u64 = "read_iops_sec_max_length",
        leaf write_iops_sec_max_length: u64 = "write_iops_sec_max_length",
    }
}

model! {
    /// `<throttlegroup>`: limits that several disks can share.
    pub struct ThrottleGroup = "throttlegroup" {
        part limits: Limits,
    }
}

model! {
    /// `<throttlefilter group='…'/>` of a disk.
    pub struct ThrottleFilter = "throttlefilter" {
        need group: String = "group",
    }
}

impl ThrottleGroup {
    /// The name of the group.
    pub fn name(&self) -> &str {
        self.limits.group_name.as_deref().unwrap_or("")
    }
}

impl Limits {
    /// Every number, with QEMU's name of the limit (QAPI, `ThrottleLimits`).
    fn numbers(&mut self) -> [&mut Option<u64>; 19] {
        [
            &mut self.total_bytes_sec,
            &mut self.read_bytes_sec,
            &mut self.write_bytes_sec,
            &mut self.total_iops_sec,
            &mut self.read_iops_sec,
            &mut self.write_iops_sec,
            &mut self.total_bytes_sec_max,
            &mut self.read_bytes_sec_max,
            &mut self.write_bytes_sec_max,
            &mut self.total_iops_sec_max,
            &mut self.read_iops_sec_max,
            &mut self.write_iops_sec_max,
            &mut self.size_iops_sec,
            &mut self.total_bytes_sec_max_length,
            &mut self.read_bytes_sec_max_length,
            &mut self.write_bytes_sec_max_length,
            &mut self.total_iops_sec_max_length,
            &mut self.read_iops_sec_max_length,
            &mut self.write_iops_sec_max_length,
        ]
    }

    /// Drops limits of 0, which limit nothing. Gives whether any limit is left.
    pub fn drop_zeroes(&mut self) -> bool {
        let mut left = false;
        for number in self.numbers() {
            *number = number.filter(|n| *n != 0);
            left |= number.is_some();
        }
        left || self.group_name.is_some()
    }
}
