//! Scales of resource limits: from the domain format's (cgroup v1) to cgroup v2's and systemd's.

use crate::plan::Limits;

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

/// The CPUs that the threads may use together; none when some may use all. A list that cannot be read is
/// the error.
pub fn all_cpus(limits: &Limits) -> Result<Option<String>, String> {
    let pinned = |thread: &str| limits.pins.iter().any(|p| p.thread == thread);
    let every_vcpu = (0..limits.vcpus).all(|i| pinned(&format!("vcpu{i}")));
    if limits.cpuset.is_none() && !(every_vcpu && pinned("emulator")) {
        return Ok(None);
    }
    let mut all = Vec::new();
    for list in limits.cpuset.iter().chain(limits.pins.iter().map(|p| &p.cpus)) {
        all.extend(numbers(list).ok_or(list.as_str())?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(Some(ranges(&all)))
}

/// The numbers of a list such as `0-3,^2,8`, ascending; none if it is no such list or is absurdly long.
pub fn numbers(list: &str) -> Option<Vec<u32>> {
    let mut out = std::collections::BTreeSet::new();
    for part in list.split(',').map(str::trim) {
        if let Some(except) = part.strip_prefix('^') {
            out.remove(&except.parse().ok()?);
            continue;
        }
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last > 65_535 {
            return None;
        }
        out.extend(first..=last);
    }
    Some(out.into_iter().collect())
}

/// Ascending numbers in the kernel's notation: `0-3,8`.
pub fn ranges(numbers: &[u32]) -> String {
    let mut out = String::new();
    for run in numbers.chunk_by(|a, b| a + 1 == *b) {
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(&first.to_string());
            if first != last {
                out.push('-');
                out.push_str(&last.to_string());
            }
        }
    }
    out
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
    fn lists_of_cpus() {
        assert_eq!(numbers("0-3,^2,8"), Some(vec![0, 1, 3, 8]));
        assert_eq!(ranges(&[0, 1, 3, 8, 9, 10]), "0-1,3,8-10");
        assert_eq!((numbers("3-1"), numbers("a"), numbers("0-999999")), (None, None, None));
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
