//! `-m`, the memory backend, locking.

use super::Lower;
use crate::plan::Props;

/// libvirt rounds guest memory up to whole MiB on x86.
fn aligned_kib(kib: u64) -> u64 {
    kib.div_ceil(1024) * 1024
}

/// `-m` and the backend of the machine's RAM.
pub fn memory(lx: &mut Lower<'_>) {
    let site = lx.domain.memory.as_ref().map_or(lx.domain.site, |m| m.amount.site);
    let kib = aligned_kib(lx.domain.memory.as_ref().map_or(0, |m| m.amount.kib()));
    lx.options("-m", Props::with("size", format!("{kib}k")), site, "memory");
    if let Some(id) = lx.ram_id() {
        let mut props = Props::with("qom-type", "memory-backend-ram");
        props.set("id", id).set("size", kib * 1024);
        lx.object(props, site, "memory");
    }
}

impl Lower<'_> {
    /// The id of the machine's RAM, where the board has one.
    pub fn ram_id(&self) -> Option<String> {
        let machine = self.env.caps.machine(self.machine.accel, &self.machine.name);
        machine.and_then(|m| m.default_ram_id.as_ref()).map(|id| id.to_string())
    }
}

/// `-overcommit`: guest memory is not locked unless asked for.
pub fn overcommit(lx: &mut Lower<'_>) {
    let site = lx.domain.site;
    lx.options("-overcommit", Props::with("mem-lock", false), site, "default: memory is not locked");
}
