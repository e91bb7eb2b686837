//! Scales of resource limits: from the domain format's (cgroup v1) to cgroup v2's and systemd's.

use crate::plan::Limits;
use crate::vocab::NumberSet;

/// The kernel's CPU period, microseconds.
pub const DEFAULT_PERIOD: u64 = 100_000;

/// `<shares>`, where 1024 is the default of cgroup v1, as a weight of cgroup v2, where it is 100: so that
/// the same XML means the same share on either (systemd's own rule for `CPUShares=`).
pub fn cpu_weight(shares: u64) -> u64 {
    (shares.saturating_mul(100).saturating_add(512) / 1024).clamp(1, 10_000)
}

/// `<blkiotune><weight>`, where 500 is the default of cgroup v1, as a weight of cgroup v2, where it is
/// 100 (systemd's own rule for `BlockIOWeight=`).
pub fn io_weight(weight: u32) -> u32 {
    (weight.saturating_mul(100) / 500).clamp(1, 10_000)
}

/// Quota and period of all threads together, microseconds; none when some are not limited.
pub fn total_bandwidth(limits: &Limits) -> Option<(u64, u64)> {
    let of = |who: &str| {
        let (_, period, quota) = limits.cpu_bandwidth.iter().find(|(name, ..)| name == who)?;
        let quota = quota.filter(|q| *q > 0)? as u64;
        Some((quota, period.unwrap_or(DEFAULT_PERIOD)))
    };
    let (vcpu, period) = of("vcpu")?;
    let (emulator, emulator_period) = of("emulator")?;
    let scaled =
        |quota: u64, own: u64| u64::try_from(u128::from(quota) * u128::from(period) / u128::from(own.max(1))).ok();
    let mut total = vcpu.checked_mul(u64::from(limits.vcpus))?.checked_add(scaled(emulator, emulator_period)?)?;
    if let Some((iothread, own)) = of("iothread") {
        total = total.checked_add(scaled(iothread, own)?)?;
    }
    Some((total, period))
}

/// The CPUs that the threads may use together; none when some may use all.
pub fn all_cpus(limits: &Limits) -> Option<NumberSet> {
    let pinned = |thread: &str| limits.pins.iter().any(|p| p.thread == thread);
    let every_vcpu = (0..limits.vcpus).all(|i| pinned(&format!("vcpu{i}")));
    if limits.cpuset.is_none() && !(every_vcpu && pinned("emulator")) {
        return None;
    }
    Some(limits.cpuset.iter().chain(limits.pins.iter().map(|p| &p.cpus)).flat_map(NumberSet::iter).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_their_ratio_to_the_default() {
        assert_eq!([cpu_weight(1024), cpu_weight(2048), cpu_weight(0), cpu_weight(262_144)], [100, 200, 1, 10_000]);
        assert_eq!([io_weight(500), io_weight(1000), io_weight(10), io_weight(0)], [100, 200, 2, 1]);
    }

    #[test]
    fn bandwidth_of_the_whole_needs_all_parts() {
        let mut limits = Limits { vcpus: 2, ..Limits::default() };
        limits.cpu_bandwidth.push(("vcpu".into(), Some(100_000), Some(50_000)));
        assert_eq!(total_bandwidth(&limits), None);
        limits.cpu_bandwidth.push(("emulator".into(), Some(50_000), Some(10_000)));
        assert_eq!(total_bandwidth(&limits), Some((120_000, 100_000)));
    }
}
