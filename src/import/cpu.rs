//! `-cpu` and `-smp`.

use super::Import;
use super::element::Element;
use super::machine::Pieces;
use super::options::{is_on, number, switch};
use crate::diag::Span;
use crate::lower::cpu::feature_from_qemu;
use crate::vocab::Arch;

/// Enlightenments that are a switch: QEMU's name, the element, and the child of it that holds the state, if it is not the element itself.
const ENLIGHTENMENTS: &[(&str, &str, &str)] = &[
    ("relaxed", "relaxed", ""),
    ("vapic", "vapic", ""),
    ("vpindex", "vpindex", ""),
    ("runtime", "runtime", ""),
    ("synic", "synic", ""),
    ("stimer", "stimer", ""),
    ("stimer-direct", "stimer", "direct"),
    ("reset", "reset", ""),
    ("frequencies", "frequencies", ""),
    ("reenlightenment", "reenlightenment", ""),
    ("tlbflush", "tlbflush", ""),
    ("tlbflush-direct", "tlbflush", "direct"),
    ("tlbflush-ext", "tlbflush", "extended"),
    ("ipi", "ipi", ""),
    ("evmcs", "evmcs", ""),
    ("avic", "avic", ""),
    ("emsr-bitmap", "emsr_bitmap", ""),
    ("xmm-input", "xmm_input", ""),
];

impl Import {
    /// `<vcpu>`; the topology is kept for the CPU.
    pub fn vcpus(&mut self) -> Element {
        let mut smp = self.merged("smp", "cpus");
        if smp.is_empty() {
            return Element::leaf("vcpu", self.usual_cpus());
        }
        let mut take = |key: &str| smp.take_number(key).map(|n| n as u32).filter(|n| *n > 0);
        let (cpus, most) = (take("cpus"), take("maxcpus"));
        let given = ["sockets", "dies", "clusters", "cores", "threads"].map(take);
        self.leave("-smp", smp);
        let full = completed(cpus, most, given, self.prefers_sockets());
        let all = full.iter().product::<u32>();
        let mut vcpu = Element::leaf("vcpu", all);
        if let Some(cpus) = cpus.filter(|cpus| *cpus != all) {
            vcpu.set("current", cpus);
        }
        let [sockets, _, _, cores, threads] = full;
        // One socket for each CPU is what there is without a topology.
        let plain = given[1].is_none() && given[2].is_none() && cores == 1 && threads == 1;
        if !plain {
            let topology = Element::new("topology").attr("sockets", sockets).maybe("dies", given[1]);
            let topology = topology.maybe("clusters", given[2]).attr("cores", cores).attr("threads", threads);
            self.topology = Some(topology);
        }
        vcpu
    }

    /// How many CPUs the machine has unless it is told otherwise (QEMU 7.2 to 11.1, `query-cpus-fast`). For most it is one.
    fn usual_cpus(&self) -> u32 {
        let arm = matches!(self.arch().as_str(), "armv7l" | "aarch64");
        let many = match self.board.as_str() {
            "raspi2b" | "raspi3ap" | "raspi3b" | "raspi4b" | "orangepi-pc" | "bpim2u" | "imx8mm-evk" | "imx8mp-evk"
            | "xlnx-zcu102" | "xlnx-versal-virt" | "amd-versal-virt" | "npcm845-evb" => 4,
            "amd-versal2-virt" => 18,
            "fby35" => 3,
            "ast2600-evb" | "npcm750-evb" | "quanta-gsj" | "nuri" | "smdkc210" | "mps2-an521" | "mps3-an524"
            | "musca-a" | "musca-b1" => 2,
            board if board.ends_with("-bmc") && !AST2500.contains(&board) => 2,
            _ => 1,
        };
        if arm { many } else { 1 }
    }

    /// Whether QEMU makes sockets of CPUs that have no topology; since version 6.2 of the machine it makes cores.
    fn prefers_sockets(&self) -> bool {
        let Some((_, version)) = self.board.rsplit_once('-') else { return false };
        let Some((major, minor)) = version.split_once('.') else { return false };
        let (major, minor) = (major.parse::<u32>(), minor.split('.').next().unwrap_or_default().parse::<u32>());
        matches!((major, minor), (Ok(major), Ok(minor)) if (major, minor) < (6, 2))
    }

    /// `<cpu>`, without its nodes.
    pub fn cpu(&mut self, pieces: &mut Pieces, compatible: Option<String>) -> Option<Element> {
        let topology = self.topology.take();
        let Some(argument) = self.last("cpu") else {
            // Of the two emulators for PCs each has its own.
            let usual = (self.arch() == "i686").then(|| custom("qemu32"));
            return match (topology, usual) {
                (Some(topology), usual) => Some(usual.unwrap_or_else(|| Element::new("cpu")).child(topology)),
                (None, usual) => usual,
            };
        };
        let value = argument.value.clone().unwrap_or_default();
        let (model, properties) = value.split_once(',').unwrap_or((&value, ""));
        let mut cpu = match model {
            // The host's processor that shows itself as another: POWER.
            "host" if compatible.is_some() => {
                let model = Element::leaf("model", compatible.clone().unwrap_or_default());
                Element::new("cpu").attr("mode", "host-model").child(model)
            }
            "host" => Element::new("cpu").attr("mode", "host-passthrough").attr("check", "none"),
            "max" => Element::new("cpu").attr("mode", "maximum").attr("check", "none"),
            model => custom(model),
        };
        cpu.push_all(topology);
        let start = argument.value_span.range().start + model.len() + 1;
        let raw = argument.value_span.range().len() == value.len();
        let mut at = start;
        for part in properties.split(',').filter(|p| !p.is_empty()) {
            let span = if raw { Span::new(at, at + part.len()) } else { argument.value_span };
            at += part.len() + 1;
            let (name, state) = match (part.strip_prefix('+'), part.strip_prefix('-'), part.split_once('=')) {
                (Some(name), ..) => (name, "on"),
                (_, Some(name), _) => (name, "off"),
                (_, _, Some((name, value))) => (name, value),
                _ => (part, "on"),
            };
            // QEMU takes both spellings on x86.
            let name = if self.is_x86() || name.starts_with("hv_") { name.replace('_', "-") } else { name.to_string() };
            if !self.cpu_property(&name, state, &mut cpu, pieces) {
                self.cpu_global(model, part, &name, state, span);
            }
        }
        pieces.l3(&mut cpu);
        Some(cpu)
    }

    /// Another way to give the CPU a property: `-cpu` itself cannot be given twice.
    fn cpu_global(&mut self, model: &str, part: &str, name: &str, value: &str, span: Span) {
        let arch = match self.arch().as_str() {
            "i686" => "i386".to_string(),
            "armv7l" | "aarch64" => "arm".to_string(),
            "ppc64" => "powerpc64".to_string(),
            "riscv64" | "riscv32" => "riscv".to_string(),
            other => other.to_string(),
        };
        let text = format!("driver={model}-{arch}-cpu,property={name},value={}", value.replace(',', ",,"));
        self.notes.push(span, super::Fate::Through, format!("-cpu {part}, as -global {text}"));
        self.hand("global", Some(text), span);
    }

    /// Whether the domain can say a property of the CPU.
    fn cpu_property(&mut self, name: &str, value: &str, cpu: &mut Element, pieces: &mut Pieces) -> bool {
        if let Some(name) = name.strip_prefix("hv-") {
            return enlightenment(name, value, pieces);
        }
        let state = switch(value).map(|on| if on { "on" } else { "off" });
        let yes = switch(value).map(|on| if on { "yes" } else { "no" });
        let timer = |name: &str| Element::new("timer").attr("name", name);
        let kvm = |name: &'static str, state: &str| Element::new(name).attr("state", state);
        match (name, state) {
            ("kvm", Some(state)) => pieces.kvm.push(kvm("hidden", if state == "on" { "off" } else { "on" })),
            ("kvm-hint-dedicated", Some("on")) => pieces.kvm.push(kvm("hint-dedicated", "on")),
            ("kvm-poll-control", Some("on")) => pieces.kvm.push(kvm("poll-control", "on")),
            ("kvm-pv-ipi", Some("off")) => pieces.kvm.push(kvm("pv-ipi", "off")),
            ("kvm-pv-eoi", Some(state)) => pieces.apic_eoi = Some(state),
            ("kvm-pv-unhalt", Some(state)) => pieces.features.push(Element::new("pvspinlock").attr("state", state)),
            ("kvmclock", Some(_)) => pieces.timers.push(timer("kvmclock").maybe("present", yes)),
            ("kvm-no-adjvtime", Some(state)) => {
                pieces
                    .timers
                    .push(timer("armvtimer").attr("tickpolicy", if state == "on" { "discard" } else { "delay" }));
            }
            ("tsc-frequency", _) if number(value).is_some() => {
                pieces.timers.push(timer("tsc").maybe("frequency", number(value)));
            }
            ("pmu", Some(state)) => pieces.features.push(Element::new("pmu").attr("state", state)),
            ("migratable", Some(state)) if !cpu.has("model") => cpu.set("migratable", state),
            ("host-cache-info", Some(state)) => pieces.host_cache = Some(state == "on"),
            ("l3-cache", Some(state)) => pieces.l3_cache = Some(state == "on"),
            ("host-phys-bits", Some(state)) => {
                cpu.inside("maxphysaddr").set("mode", if state == "on" { "passthrough" } else { "emulate" });
            }
            ("host-phys-bits-limit", _) if number(value).is_some() => {
                cpu.inside("maxphysaddr").set("mode", "passthrough");
                cpu.inside("maxphysaddr").set("limit", value);
            }
            ("phys-bits", _) if number(value).is_some_and(|n| n > 0) => {
                cpu.inside("maxphysaddr").set("mode", "emulate");
                cpu.inside("maxphysaddr").set("bits", value);
            }
            ("vendor", _) if cpu.has("model") => cpu.inside("model").set("vendor_id", value),
            // QEMU does it anyway.
            ("check", Some("on")) | ("enforce", Some("off")) => {}
            ("aarch64", Some("off")) if self.arch() == "armv7l" => {}
            ("check" | "enforce" | "level" | "vendor", _) => return false,
            // On x86, those that the format has are in a list; QEMU has switches of its own beside.
            (_, Some(state)) if self.is_x86() => {
                let Some(feature) = feature(name) else { return false };
                let policy = if state == "on" { "require" } else { "disable" };
                cpu.push(Element::new("feature").attr("policy", policy).attr("name", feature));
            }
            (_, Some(state)) if !name.starts_with("x-") => {
                let policy = if state == "on" { "require" } else { "disable" };
                cpu.push(Element::new("feature").attr("policy", policy).attr("name", feature_from_qemu(name)));
            }
            _ => return false,
        }
        true
    }
}

/// The format's name of a feature of x86; none if it is a switch that only QEMU has.
fn feature(name: &str) -> Option<String> {
    let known = crate::cpu::feature_names(Arch::X86_64);
    let name = feature_from_qemu(name);
    let spellings = [name.to_string(), name.replace('-', "."), name.replace('-', "_")];
    spellings.into_iter().find(|spelling| known.contains(&spelling.as_str()))
}

/// Sockets, dies, clusters, cores and threads as QEMU completes them (`machine_parse_smp_config`).
fn completed(cpus: Option<u32>, most: Option<u32>, given: [Option<u32>; 5], prefers_sockets: bool) -> [u32; 5] {
    let [sockets, dies, clusters, cores, threads] = given;
    let (dies, clusters) = (dies.unwrap_or(1), clusters.unwrap_or(1));
    let Some(all) = most.or(cpus) else {
        return [sockets.unwrap_or(1), dies, clusters, cores.unwrap_or(1), threads.unwrap_or(1)];
    };
    let share = |parts: u32| (all / parts.max(1)).max(1);
    let (sockets, cores, threads) = match (sockets, cores) {
        (None, cores) if prefers_sockets || cores.is_some() => {
            let (cores, threads) = (cores.unwrap_or(1), threads.unwrap_or(1));
            (share(dies * clusters * cores * threads), cores, Some(threads))
        }
        (sockets, None) => {
            let (sockets, threads) = (sockets.unwrap_or(1), threads.unwrap_or(1));
            (sockets, share(sockets * dies * clusters * threads), Some(threads))
        }
        (sockets, Some(cores)) => (sockets.unwrap_or(1), cores, threads),
    };
    [sockets, dies, clusters, cores, threads.unwrap_or_else(|| share(sockets * dies * clusters * cores))]
}

/// An enlightenment for Windows. Whether the format has it.
fn enlightenment(name: &str, value: &str, pieces: &mut Pieces) -> bool {
    match name {
        "passthrough" if is_on(value) => pieces.hyperv_mode = "passthrough",
        "spinlocks" => {
            let Some(retries) = number(value).filter(|n| *n < u64::from(u32::MAX)) else { return false };
            pieces.hyperv("spinlocks").set("state", "on");
            pieces.hyperv("spinlocks").set("retries", retries);
        }
        "vendor-id" => {
            pieces.hyperv("vendor_id").set("state", "on");
            pieces.hyperv("vendor_id").set("value", value);
        }
        "time" => {
            let present = if is_on(value) { "yes" } else { "no" };
            pieces.timers.push(Element::new("timer").attr("name", "hypervclock").attr("present", present));
        }
        "crash" if is_on(value) => pieces.hyperv_panic = true,
        _ => {
            let Some((_, element, child)) = ENLIGHTENMENTS.iter().find(|(known, ..)| *known == name) else {
                return false;
            };
            let Some(on) = switch(value) else { return false };
            let state = if on { "on" } else { "off" };
            let element = pieces.hyperv(element);
            match *child {
                "" => element.set("state", state),
                child => element.inside(child).set("state", state),
            }
        }
    }
    true
}

impl Pieces {
    /// An element below `<hyperv>`.
    fn hyperv(&mut self, name: &'static str) -> &mut Element {
        self.hyperv.inside(name)
    }

    /// `<cache>` of the CPU.
    fn l3(&self, cpu: &mut Element) {
        let cache = match (self.host_cache, self.l3_cache) {
            (Some(true), _) => Element::new("cache").attr("mode", "passthrough"),
            (_, Some(true)) => Element::new("cache").attr("level", 3).attr("mode", "emulate"),
            (Some(false) | None, Some(false)) | (Some(false), None) => Element::new("cache").attr("mode", "disable"),
            (None, None) => return,
        };
        cpu.push(cache);
    }
}

/// Boards for servers' controllers with one CPU.
const AST2500: &[&str] = &[
    "fp5280g2-bmc",
    "palmetto-bmc",
    "quanta-q71l-bmc",
    "romulus-bmc",
    "sonorapass-bmc",
    "supermicrox11-bmc",
    "supermicro-x11spi-bmc",
    "tiogapass-bmc",
    "witherspoon-bmc",
    "yosemitev2-bmc",
    "g220a-bmc",
];

/// `<cpu>` of a model that has a name.
fn custom(model: &str) -> Element {
    Element::new("cpu")
        .attr("mode", "custom")
        .attr("match", "exact")
        .attr("check", "none")
        .child(Element::leaf("model", model).attr("fallback", "forbid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topologies_are_completed_as_qemu_does() {
        let none = [None; 5];
        assert_eq!(completed(Some(4), None, none, false), [1, 1, 1, 4, 1]);
        assert_eq!(completed(Some(4), None, none, true), [4, 1, 1, 1, 1]);
        assert_eq!(completed(Some(4), None, [Some(1), None, None, Some(2), None], false), [1, 1, 1, 2, 2]);
        assert_eq!(completed(Some(8), None, [None, None, None, Some(4), None], false), [2, 1, 1, 4, 1]);
        assert_eq!(completed(Some(2), Some(8), [Some(2), None, None, None, None], false), [2, 1, 1, 4, 1]);
        assert_eq!(completed(None, None, [Some(2), None, None, Some(3), None], false), [2, 1, 1, 3, 1]);
    }
}
