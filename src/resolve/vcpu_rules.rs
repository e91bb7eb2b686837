//! Checks of `<vcpu>` and `<vcpus>`.

use crate::diag::codes::machine as codes;
use crate::domain::Domain;
use crate::domain::vcpu::OneVcpu;
use crate::stage::{Board, Cx, Machine};
use crate::vocab::YesNo;

/// How many CPUs there are.
pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(vcpu) = &domain.vcpu else { return };
    let count = vcpu.count.unwrap_or(1);
    let mut fault = |message: String| {
        cx.error(&codes::VCPUS, vcpu.site, message);
    };
    if count == 0 {
        return fault("the number of vCPUs must be greater than 0".to_string());
    }
    if let Some(current) = vcpu.current
        && (current > count || current == 0)
    {
        fault(format!("current vCPUs ({current}) must be at least 1 and at most the maximum ({count})"));
    }
    single(&domain.vcpus, count, &mut fault);
    let topology = domain.cpu.as_ref().and_then(|c| c.topology.as_ref());
    let zero = topology.and_then(|t| t.levels().into_iter().find(|(_, n)| *n == Some(0)));
    if let Some((level, _)) = zero {
        fault(format!("the attribute '{level}' of 'topology' counts from 1, zero is invalid"));
    } else if let Some(topology) = topology
        && topology.cpus() != u64::from(count)
    {
        fault(format!(
            "<topology> makes {} CPUs, and the maximum of <vcpu> is a count of {count}: they don't match",
            topology.cpus()
        ));
    }
    if machine.board == Board::Pseries {
        let granularity = topology.map_or(1, |t| t.threads()).max(1);
        let current = vcpu.current.unwrap_or(count);
        if !count.is_multiple_of(granularity) || !current.is_multiple_of(granularity) {
            fault(format!(
                "<vcpu>: vCPUs of this machine come in groups of {granularity} (hotplug granularity), and the count is no multiple of it"
            ));
        } else {
            granules(&domain.vcpus, granularity, &mut fault);
        }
    }
    let max = cx.env.caps.machine(machine.accel, &machine.name).map_or(0, |m| m.max_cpus);
    if max > 0 && count > max {
        let message = format!(
            "the machine type '{}' takes {max} CPUs as its maximum limit, and {count} is greater",
            machine.name
        );
        cx.error(&codes::VCPUS, vcpu.site, message);
    }
}

/// CPUs of one core are plugged in together.
fn granules(vcpus: &[OneVcpu], granularity: u32, fault: &mut dyn FnMut(String)) {
    for one in vcpus {
        let core = one.id.unwrap_or(0) / granularity;
        let differs = |v: &&OneVcpu| {
            v.id.unwrap_or(0) / granularity == core && (v.enabled != one.enabled || v.hotpluggable != one.hotpluggable)
        };
        if vcpus.iter().find(differs).is_some() {
            fault(format!(
                "vCPUs of a group of {granularity}, the vCPU hotplug granularity, must agree in 'enabled' and 'hotpluggable'"
            ));
            return;
        }
    }
}

/// What single CPUs say of themselves: the first is always there, and those that cannot be unplugged come before the others.
fn single(vcpus: &[OneVcpu], count: u32, fault: &mut dyn FnMut(String)) {
    if let Some(id) = vcpus.iter().filter_map(|v| v.id).find(|id| *id >= count) {
        return fault(format!("<vcpus> has a vcpu with id '{id}', and <vcpu> counts fewer: out of range"));
    }
    let Some(first) = vcpus.first() else { return };
    let ordered = first.order.is_some();
    if !first.is_enabled() {
        fault("the guest starts on vcpu 0, so that one is never offline".to_string());
    } else if first.is_hotpluggable() {
        fault("the guest starts on vcpu0, so that one is not hotpluggable".to_string());
    } else if vcpus.iter().any(|v| v.is_enabled() && v.order.is_some() != ordered) {
        fault(
            "the attribute order is set for some vcpus and unset for others: all that are enabled have it, or none"
                .to_string(),
        );
    } else if ordered && first.order != Some(1) {
        fault("the guest starts on vcpu0, so that one is enabled first: its order is 1".to_string());
    }
    for vcpu in vcpus.iter().skip(1).filter(|v| !v.is_hotpluggable()) {
        if !vcpu.is_enabled() {
            return fault(format!(
                "vcpu '{}' has enabled='no' and hotpluggable='no': it is offline and would never be there",
                vcpu.id.unwrap_or(0)
            ));
        }
    }
}

/// The order of those that the XML itself says cannot be plugged: asked before anything is filled in.
pub fn order(vcpus: &[OneVcpu], cx: &mut Cx<'_>) {
    if vcpus.first().is_none_or(|v| v.order.unwrap_or(0) == 0) {
        return;
    }
    for pair in vcpus.windows(2) {
        let [before, vcpu] = pair else { continue };
        if vcpu.hotpluggable != Some(YesNo::No) {
            continue;
        }
        let message = if before.is_hotpluggable() {
            "vcpus that are online and non-hotpluggable are ordered before the hotpluggable, not after"
        } else if before.order.unwrap_or(0) > vcpu.order.unwrap_or(0) {
            "the order of online, non-hotpluggable vcpus is ascending, and one here comes before its predecessor"
        } else {
            continue;
        };
        cx.error(&codes::VCPUS, vcpu.site, message);
    }
}
