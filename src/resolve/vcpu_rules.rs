//! Checks of `<vcpu>` and `<vcpus>`.

use crate::diag::codes::machine as codes;
use crate::domain::Domain;
use crate::domain::vcpu::OneVcpu;
use crate::stage::{Board, Cx, Machine};
use crate::vocab::YesNo;
use crate::xml::Site;

/// How many CPUs there are.
pub fn check(domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(vcpu) = &domain.vcpu else { return };
    let count = vcpu.count.unwrap_or(1);
    if count == 0 {
        cx.error(&codes::VCPUS, vcpu.site, "the number of vCPUs must be greater than 0").help("write <vcpu>1</vcpu>");
        return;
    }
    let topology = domain.cpu.as_ref().and_then(|c| c.topology.as_ref());
    let of_topology = topology.map_or(vcpu.site, |t| t.site);
    let mut faults: Vec<(Site, &str, String)> = Vec::new();
    if let Some(current) = vcpu.current
        && (current > count || current == 0)
    {
        let message = format!("current vCPUs ({current}) must be at least 1 and at most the maximum ({count})");
        faults.push((vcpu.site, "current", message));
    }
    single(&domain.vcpus, count, &mut faults);
    let zero = topology.and_then(|t| t.levels().into_iter().find(|(_, n)| *n == Some(0)));
    if let Some((level, _)) = zero {
        let message = format!("the attribute '{level}' of 'topology' counts from 1, zero is invalid");
        faults.push((of_topology, level, message));
    } else if let Some(topology) = topology
        && topology.cpus() != u64::from(count)
    {
        let message = format!(
            "<topology> makes {} CPUs, and the maximum of <vcpu> is a count of {count}: they don't match",
            topology.cpus()
        );
        faults.push((of_topology, "", message));
    }
    if machine.board == Board::Pseries {
        let granularity = topology.map_or(1, |t| t.threads()).max(1);
        let current = vcpu.current.unwrap_or(count);
        if !count.is_multiple_of(granularity) || !current.is_multiple_of(granularity) {
            let message = format!(
                "<vcpu>: vCPUs of this machine come in groups of {granularity} (hotplug granularity), and the count is no multiple of it"
            );
            faults.push((vcpu.site, "", message));
        } else {
            granules(&domain.vcpus, granularity, &mut faults);
        }
    }
    let max = cx.env.caps.machine(machine.accel, &machine.name).map_or(0, |m| m.max_cpus);
    if max > 0 && count > max {
        let message = format!(
            "the machine type '{}' takes {max} CPUs as its maximum limit, and {count} is greater",
            machine.name
        );
        faults.push((vcpu.site, "", message));
    }
    for (site, attribute, message) in faults {
        // CPUs that the XML leaves out are those of its list.
        let span =
            if site.is_none() { cx.doc.span_of_child(domain.site, "vcpus") } else { cx.doc.span_in(site, attribute) };
        let help = (topology.is_some() && site == of_topology && attribute.is_empty()).then(|| {
            format!("write <vcpu>{}</vcpu>, or other numbers that make {count}", topology.map_or(0, |t| t.cpus()))
        });
        let d = cx.diags.error(&codes::VCPUS, span, message);
        if let Some(help) = help {
            d.help(help);
        }
    }
}

type Faults<'f> = Vec<(Site, &'f str, String)>;

/// CPUs of one core are plugged in together.
fn granules(vcpus: &[OneVcpu], granularity: u32, faults: &mut Faults<'_>) {
    for one in vcpus {
        let core = one.id.unwrap_or(0) / granularity;
        let differs = |v: &&OneVcpu| {
            v.id.unwrap_or(0) / granularity == core && (v.enabled != one.enabled || v.hotpluggable != one.hotpluggable)
        };
        if vcpus.iter().find(differs).is_some() {
            let message = format!(
                "vCPUs of a group of {granularity}, the vCPU hotplug granularity, must agree in 'enabled' and 'hotpluggable'"
            );
            faults.push((one.site, "", message));
            return;
        }
    }
}

/// What single CPUs say of themselves: the first is always there, and those that cannot be unplugged come before the others.
fn single(vcpus: &[OneVcpu], count: u32, faults: &mut Faults<'_>) {
    if let Some(vcpu) = vcpus.iter().find(|v| v.id.is_some_and(|id| id >= count)) {
        let id = vcpu.id.unwrap_or(0);
        let message = format!("<vcpus> has a vcpu with id '{id}', and <vcpu> counts fewer: out of range");
        faults.push((vcpu.site, "id", message));
        return;
    }
    let Some(first) = vcpus.first() else { return };
    let ordered = first.order.is_some();
    let unordered = vcpus.iter().find(|v| v.is_enabled() && v.order.is_some() != ordered);
    if !first.is_enabled() {
        faults.push((first.site, "enabled", "the guest starts on vcpu 0, so that one is never offline".to_string()));
    } else if first.is_hotpluggable() {
        let message = "the guest starts on vcpu0, so that one is not hotpluggable";
        faults.push((first.site, "hotpluggable", message.to_string()));
    } else if let Some(vcpu) = unordered {
        let message =
            "the attribute order is set for some vcpus and unset for others: all that are enabled have it, or none";
        faults.push((vcpu.site, "order", message.to_string()));
    } else if ordered && first.order != Some(1) {
        let message = "the guest starts on vcpu0, so that one is enabled first: its order is 1";
        faults.push((first.site, "order", message.to_string()));
    }
    for vcpu in vcpus.iter().skip(1).filter(|v| !v.is_hotpluggable()) {
        if !vcpu.is_enabled() {
            let message = format!(
                "vcpu '{}' has enabled='no' and hotpluggable='no': it is offline and would never be there",
                vcpu.id.unwrap_or(0)
            );
            faults.push((vcpu.site, "", message));
            return;
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
