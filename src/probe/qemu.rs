//! Asks a QEMU binary what it can do, over QMP, in the manner of a management daemon: the binary is
//! started without a machine, questioned and told to quit.

use super::flags::{FLAGS, Source};
use super::schema::Schema;
use crate::caps::*;
use crate::run::qmp::{Duplex, Qmp, QmpError};
use crate::vocab::Arch;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a QEMU could not be probed.
#[derive(Debug)]
pub enum ProbeError {
    /// The binary could not be started.
    Start(std::io::Error),
    /// It died or did not speak QMP; what it said on standard error.
    Died(String),
    /// It refused a question.
    Refused(String, QmpError),
    /// It answered something that is not understood.
    Answer(String),
}

impl std::fmt::Display for ProbeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ProbeError::Start(error) => write!(f, "cannot start it: {error}"),
            ProbeError::Died(text) if text.is_empty() => write!(f, "it does not speak QMP"),
            ProbeError::Died(text) => write!(f, "it failed: {text}"),
            ProbeError::Refused(command, error) => write!(f, "{command}: {error}"),
            ProbeError::Answer(what) => write!(f, "{what}"),
        }
    }
}

impl std::error::Error for ProbeError {}

type Result<T> = std::result::Result<T, ProbeError>;

/// What a probe found.
pub struct Probed {
    /// The capabilities.
    pub caps: Capabilities,
    /// What the user should know, such as a KVM that is there but does not work.
    pub remarks: Vec<String>,
}

/// A QEMU that waits for questions. It is killed when this is dropped.
struct Session {
    child: Child,
    qmp: Qmp<Duplex<ChildStdout, ChildStdin>>,
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Session {
    fn start(binary: &Path, accel: Accel) -> Result<Session> {
        let mut child = Command::new(binary)
            .args(["-S", "-no-user-config", "-nodefaults", "-nographic"])
            .args(["-machine", "none", "-accel", accel.as_str(), "-qmp", "stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(ProbeError::Start)?;
        let (Some(writer), Some(reader)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ProbeError::Died(String::new()));
        };
        match Qmp::new(Duplex { reader, writer }, TIMEOUT) {
            Ok(qmp) => Ok(Session { child, qmp }),
            Err(_) => {
                let _ = child.kill();
                let mut text = String::new();
                if let Some(mut stderr) = child.stderr.take() {
                    let _ = stderr.read_to_string(&mut text);
                }
                let _ = child.wait();
                Err(ProbeError::Died(text.trim().to_string()))
            }
        }
    }

    fn ask(&mut self, command: &str) -> Result<Value> {
        self.ask_with(command, json!({}))
    }

    fn ask_with(&mut self, command: &str, arguments: Value) -> Result<Value> {
        self.qmp.execute(command, arguments).map_err(|e| self.fault(command, e))
    }

    /// A question without an answer; when QEMU has died of it, its own words say more.
    fn fault(&mut self, command: &str, error: QmpError) -> ProbeError {
        let mut said = String::new();
        if matches!(error, QmpError::Closed)
            && let Some(mut stderr) = self.child.stderr.take()
        {
            let _ = self.child.kill();
            let _ = stderr.read_to_string(&mut said);
        }
        match said.trim() {
            "" => ProbeError::Refused(command.to_string(), error),
            said => ProbeError::Died(format!("{command}: {said}")),
        }
    }

    /// The answer; none when QEMU refuses the question, which is an answer too.
    fn try_ask(&mut self, command: &str, arguments: Value) -> Result<Option<Value>> {
        match self.qmp.execute(command, arguments) {
            Ok(value) => Ok(Some(value)),
            Err(QmpError::Refused { .. }) => Ok(None),
            Err(error) => Err(self.fault(command, error)),
        }
    }
}

/// Asks `binary`. With `kvm`, also what it can do with KVM, when that works.
pub fn probe(binary: &Path, kvm: bool) -> Result<Probed> {
    let mut remarks = Vec::new();
    let (first, second) = std::thread::scope(|scope| {
        let with_kvm = kvm.then(|| scope.spawn(|| with_kvm(binary)));
        let tcg = questions(binary, Accel::Tcg);
        (tcg, with_kvm.map(|thread| thread.join()))
    });
    let (caps, tcg) = first?;
    let mut caps = caps;
    let mut accels = Vec::new();
    match second {
        Some(Ok(Ok(Some((kvm_caps, entry))))) => {
            caps.flags.set(Cap::Kvm, true);
            // Objects such as kvm-pit show their properties with either accelerator; SEV and Hyper-V
            // only with KVM.
            caps.hyperv = kvm_caps.hyperv;
            caps.sev = kvm_caps.sev;
            caps.sgx = kvm_caps.sgx;
            caps.microcode_version = microcode();
            accels.push(entry);
        }
        Some(Ok(Ok(None))) => {}
        Some(Ok(Err(error))) => remarks.push(format!("KVM is there but QEMU cannot use it: {error}")),
        Some(Err(_)) => remarks.push("KVM could not be asked".to_string()),
        None => {}
    }
    accels.push(tcg);
    if caps.sev.is_none() {
        caps.flags.set(Cap::SevGuest, false);
        caps.flags.set(Cap::SevSnpGuest, false);
    }
    if caps.sgx.is_none() {
        caps.flags.set(Cap::SgxEpc, false);
    }
    if !caps.has(Cap::Kvm) || !has_tdx() {
        caps.flags.set(Cap::TdxGuest, false);
    }
    caps.accels = accels.into();
    Ok(Probed { caps, remarks })
}

/// Whether the kernel runs guests in Intel's trust domains.
fn has_tdx() -> bool {
    std::fs::read_to_string("/sys/module/kvm_intel/parameters/tdx").is_ok_and(|value| value.starts_with(['Y', '1']))
}

/// Makes what was asked of a binary here, without KVM, hold for any host of its architecture: this is how
/// the embedded profiles are made. KVM is taken to be there, with the same machines and CPU models; what
/// only a host can tell (which models it runs, what `host` is made of) stays open.
pub fn generalise(caps: &mut Capabilities) {
    caps.emulator = format!("/usr/bin/qemu-system-{}", caps.arch.qemu_name()).into();
    caps.microcode_version = 0;
    caps.hyperv = None;
    caps.flags.set(Cap::Kvm, true);
    caps.flags.set(Cap::CpuKvmNoAdjvtime, caps.arch.is_arm());
    // Hosts with KVM for ARM have the newer controller.
    for gic in caps.gic.to_mut() {
        gic.kernel = gic.version == 3;
    }
    let Some(tcg) = caps.accel(Accel::Tcg) else { return };
    let mut kvm = AccelCaps { accel: Accel::Kvm, host_cpu: None, ..tcg.clone() };
    for cpu in kvm.cpus.to_mut() {
        cpu.usable = Usable::Unknown;
        cpu.blockers = Names::NONE;
    }
    caps.accels.to_mut().insert(0, kvm);
}

/// Whether a file can be opened for reading and writing.
fn opens(path: &str) -> bool {
    std::fs::OpenOptions::new().read(true).write(true).open(path).is_ok()
}

/// The questions with KVM; none when the host or the binary has no KVM.
fn with_kvm(binary: &Path) -> Result<Option<(Capabilities, AccelCaps)>> {
    if !Path::new("/dev/kvm").exists() {
        return Ok(None);
    }
    if !opens("/dev/kvm") {
        return Err(ProbeError::Died("/dev/kvm cannot be opened for reading and writing".to_string()));
    }
    let answers = questions(binary, Accel::Kvm)?;
    if native_arch() == Some(answers.0.arch) {
        super::kvm::runs(binary, answers.0.arch).map_err(ProbeError::Died)?;
    }
    Ok(Some(answers))
}

/// The architecture virtc itself runs on.
pub fn native_arch() -> Option<Arch> {
    Arch::parse(match std::env::consts::ARCH {
        "x86" => "i686",
        "arm" => "armv7l",
        "powerpc64" => "ppc64",
        other => other,
    })
}

/// Looks for a QEMU for this machine.
pub fn find_binary() -> Option<PathBuf> {
    binary_for(native_arch()?)
}

/// The directories in which QEMUs are looked for: the path, then where distributions put them.
fn directories() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/usr/libexec", "/usr/local/bin"].map(PathBuf::from);
    let mut all: Vec<PathBuf> = std::env::split_paths(&path).chain(usual).collect();
    let mut seen = BTreeSet::new();
    all.retain(|dir| dir.is_absolute() && seen.insert(dir.clone()));
    all
}

/// Looks for a QEMU for an architecture: by QEMU's own name, then by the name that distributions give
/// to the one with KVM.
pub fn binary_for(arch: Arch) -> Option<PathBuf> {
    let in_any = |name: &str| directories().into_iter().map(|dir| dir.join(name)).find(|file| file.is_file());
    in_any(&format!("qemu-system-{}", arch.qemu_name()))
        .or_else(|| if native_arch() == Some(arch) { in_any("qemu-kvm") } else { None })
}

/// All QEMUs of this machine, this machine's architecture first.
pub fn binaries() -> Vec<PathBuf> {
    let native = native_arch();
    let mut arches: Vec<Arch> = Arch::ALL.to_vec();
    arches.sort_by_key(|arch| Some(*arch) != native);
    let mut found: Vec<PathBuf> = arches.into_iter().filter_map(binary_for).collect();
    let mut seen = BTreeSet::new();
    found.retain(|file| seen.insert(file.clone()));
    found
}

/// Everything that is asked of one QEMU with one accelerator.
fn questions(binary: &Path, accel: Accel) -> Result<(Capabilities, AccelCaps)> {
    let mut session = Session::start(binary, accel)?;
    let (major, minor, micro) = session.qmp.version();
    let target = session.ask("query-target")?;
    let arch = target["arch"].as_str().unwrap_or_default();
    let arch = Arch::ALL
        .iter()
        .copied()
        .find(|a| a.qemu_name() == arch && *a != Arch::Armv6l)
        .ok_or_else(|| ProbeError::Answer(format!("its architecture '{arch}' is not known")))?;
    let mut caps = Capabilities::new(arch, Version::new(major as u32, minor as u32, micro as u32));
    caps.emulator = binary.display().to_string().into();
    caps.package = session.qmp.greeting()["version"]["package"].as_str().unwrap_or_default().trim().to_string().into();
    let machines = machines(session.ask("query-machines")?, arch);
    // The flags are the same with either accelerator, so they are asked for once.
    if accel == Accel::Tcg {
        caps.flags = flags(&mut session, &machines)?;
        if arch.is_arm() {
            caps.gic = gic(&mut session)?.into();
        }
    } else if arch.is_x86() {
        caps.hyperv = hyperv(&mut session)?;
        caps.sev = sev(&mut session)?;
        caps.sgx = sgx(&mut session)?;
    } else if arch.is_arm() {
        caps.gic = gic(&mut session)?.into();
    }
    let cpus = match session.try_ask("query-cpu-definitions", json!({}))? {
        Some(reply) => cpus(reply),
        None => Vec::new(),
    };
    let has_max = cpus.iter().any(|cpu| cpu.name == "max");
    if accel == Accel::Tcg {
        caps.flags.set(Cap::CpuMax, has_max);
    }
    let model = if accel == Accel::Kvm { "host" } else { "max" };
    let host_cpu = host_cpu(&mut session, arch, model)?;
    let entry = AccelCaps { accel, host_cpu, cpus: cpus.into(), machines: machines.into() };
    let _ = session.qmp.execute("quit", json!({}));
    Ok((caps, entry))
}

fn text(value: &Value, key: &str) -> Option<Str> {
    value[key].as_str().map(|s| Cow::Owned(s.to_string()))
}

fn truth(value: &Value, key: &str) -> bool {
    value[key].as_bool().unwrap_or(false)
}

fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        _ => Vec::new(),
    }
}

/// The machine types in QEMU's order, the one first that serves when none is named.
fn machines(reply: Value, arch: Arch) -> Vec<Machine> {
    let mut machines: Vec<Machine> = array(reply)
        .iter()
        // `none` is no machine; the Xen ones are not for a domain of type kvm or qemu.
        .filter(|m| !matches!(m["name"].as_str(), None | Some("none" | "xenpv" | "xenfv" | "xenpvh")))
        .map(|m| Machine {
            name: text(m, "name").unwrap_or_default(),
            alias: text(m, "alias"),
            max_cpus: m["cpu-max"].as_u64().unwrap_or(0) as u32,
            default: truth(m, "is-default"),
            hotplug_cpus: truth(m, "hotpluggable-cpus"),
            default_cpu: text(m, "default-cpu-type"),
            numa_mem_supported: truth(m, "numa-mem-supported"),
            default_ram_id: text(m, "default-ram-id"),
            deprecated: truth(m, "deprecated"),
            acpi: m["acpi"].as_bool(),
        })
        .collect();
    // Boards are no choice for a guest that names none, whatever QEMU does then.
    let virt = |m: &Machine| m.name == "virt" || m.alias.as_deref() == Some("virt");
    let prefers_virt = arch.is_arm() || arch.is_riscv() || arch.is_loongarch();
    let first = machines.iter().position(|m| prefers_virt && virt(m)).or(machines.iter().position(|m| m.default));
    if let Some(at) = first {
        machines[..=at].rotate_right(1);
    }
    machines
}

fn cpus(reply: Value) -> Vec<CpuModel> {
    array(reply)
        .iter()
        .map(|cpu| {
            let missing = cpu["unavailable-features"].as_array();
            let blockers: Vec<&str> = missing.into_iter().flatten().filter_map(Value::as_str).collect();
            CpuModel {
                name: text(cpu, "name").unwrap_or_default(),
                type_name: text(cpu, "typename").unwrap_or_default(),
                usable: match missing {
                    None => Usable::Unknown,
                    Some(list) if list.is_empty() => Usable::Yes,
                    Some(_) => Usable::No,
                },
                blockers: Names::new(blockers.join(",")),
                deprecated: truth(cpu, "deprecated"),
            }
        })
        .collect()
}

/// What `model` (`host` or `max`) is made of here. QEMU on x86 and s390x reduces it to a static model
/// first; on ARM there is only the full expansion.
fn host_cpu(session: &mut Session, arch: Arch, model: &str) -> Result<Option<HostCpu>> {
    let all = expand(session, arch, json!({ "name": model, "props": { "migratable": false } }))?;
    let (all, migratability) = match all {
        Some(all) => (all, true),
        None => match expand(session, arch, json!({ "name": model }))? {
            Some(all) => (all, false),
            None => return Ok(None),
        },
    };
    let safe = match migratability {
        true => expand(session, arch, json!({ "name": model, "props": { "migratable": true } }))?,
        false => None,
    };
    let mut properties = Vec::new();
    for (name, value) in all["model"]["props"].as_object().into_iter().flatten() {
        let value = match value {
            Value::Bool(on) => PropertyValue::Boolean(*on),
            Value::Number(n) => PropertyValue::Number(n.as_i64().or_else(|| n.as_u64().map(|n| n as i64)).unwrap_or(0)),
            Value::String(text) => PropertyValue::String(text.clone().into()),
            _ => continue,
        };
        let migratable = match (&safe, &value) {
            (Some(safe), PropertyValue::Boolean(true)) => Some(safe["model"]["props"][name].as_bool().unwrap_or(false)),
            _ => None,
        };
        properties.push(CpuProperty { name: name.clone().into(), value, migratable });
    }
    let (deprecated, host_deprecated) = deprecated(session, arch, model, &all)?;
    Ok(Some(HostCpu {
        model: text(&all["model"], "name").unwrap_or_default(),
        migratability,
        properties: properties.into(),
        deprecated_features: deprecated.into(),
        host_deprecated_features: host_deprecated.into(),
    }))
}

/// The features that newer CPUs of the family lack, and those of them that this host has. QEMU tells the former with the
/// full expansion of a model and the latter with the static one.
fn deprecated(session: &mut Session, arch: Arch, model: &str, expanded: &Value) -> Result<(Vec<Str>, Vec<Str>)> {
    let names = |reply: &Value| -> Vec<Str> {
        let list = reply["deprecated-props"].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(|s| Cow::Owned(s.to_string())).collect()
    };
    if !arch.is_s390() {
        return Ok((names(expanded), Vec::new()));
    }
    let full = json!({ "type": "full", "model": { "name": model } });
    let full = session.try_ask("query-cpu-model-expansion", full)?.unwrap_or_default();
    let own = if model == "host" { names(expanded) } else { Vec::new() };
    Ok((names(&full), own))
}

fn expand(session: &mut Session, arch: Arch, model: Value) -> Result<Option<Value>> {
    let kind = if arch.is_x86() || arch.is_s390() { "static" } else { "full" };
    session.try_ask("query-cpu-model-expansion", json!({ "type": kind, "model": model }))
}

/// The enlightenments that KVM offers: the `hv-` properties that stay on when all are asked for.
fn hyperv(session: &mut Session) -> Result<Option<Hyperv>> {
    let model = json!({ "name": "host", "props": { "hv-passthrough": true } });
    let Some(reply) = session.try_ask("query-cpu-model-expansion", json!({ "type": "full", "model": model }))? else {
        return Ok(None);
    };
    let props = &reply["model"]["props"];
    let on = |name: &str| {
        let value = &props[name];
        value.as_bool().unwrap_or(false) || value.as_str().is_some_and(|s| !s.is_empty() && s != "off")
    };
    let mut caps: Vec<Str> = Vec::new();
    for (feature, property) in HYPERV {
        // `spinlocks` is a number of tries and `vendor_id` a text: QEMU has them whatever KVM can.
        if matches!(*feature, "spinlocks" | "vendor_id") && props.get(property).is_some() || on(property) {
            caps.push(Cow::Borrowed(feature));
        }
    }
    let values = HypervValues {
        spinlocks: props["hv-spinlocks"].as_u64().map(|n| n as u32),
        stimer_direct: props.get("hv-stimer-direct").map(|_| on("hv-stimer-direct")),
        tlbflush_direct: props.get("hv-tlbflush-direct").map(|_| on("hv-tlbflush-direct")),
        tlbflush_extended: props.get("hv-tlbflush-ext").map(|_| on("hv-tlbflush-ext")),
        vendor_id: text(props, "hv-vendor-id").filter(|id| !id.is_empty()),
    };
    Ok(Some(Hyperv { supported: !caps.is_empty(), caps: caps.into(), values }))
}

/// The enlightenments: libvirt's word and QEMU's property.
const HYPERV: &[(&str, &str)] = &[
    ("relaxed", "hv-relaxed"),
    ("vapic", "hv-vapic"),
    ("spinlocks", "hv-spinlocks"),
    ("vpindex", "hv-vpindex"),
    ("runtime", "hv-runtime"),
    ("synic", "hv-synic"),
    ("stimer", "hv-stimer"),
    ("reset", "hv-reset"),
    ("vendor_id", "hv-vendor-id"),
    ("frequencies", "hv-frequencies"),
    ("reenlightenment", "hv-reenlightenment"),
    ("tlbflush", "hv-tlbflush"),
    ("ipi", "hv-ipi"),
    ("evmcs", "hv-evmcs"),
    ("avic", "hv-avic"),
    ("emsr_bitmap", "hv-emsr-bitmap"),
    ("xmm_input", "hv-xmm-input"),
];

fn sev(session: &mut Session) -> Result<Option<Sev>> {
    let Some(reply) = session.try_ask("query-sev-capabilities", json!({}))? else { return Ok(None) };
    Ok(Some(Sev {
        cbitpos: reply["cbitpos"].as_u64().unwrap_or(0) as u32,
        reduced_phys_bits: reply["reduced-phys-bits"].as_u64().unwrap_or(0) as u32,
        pdh: text(&reply, "pdh").unwrap_or_default(),
        cert_chain: text(&reply, "cert-chain").unwrap_or_default(),
        cpu0_id: text(&reply, "cpu0-id"),
        max_guests: None,
    }))
}

fn sgx(session: &mut Session) -> Result<Option<Sgx>> {
    let Some(reply) = session.try_ask("query-sgx-capabilities", json!({}))? else { return Ok(None) };
    if !truth(&reply, "sgx") {
        return Ok(None);
    }
    let sections: Vec<(u32, u64)> = reply["sections"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|s| (s["node"].as_u64().unwrap_or(0) as u32, s["size"].as_u64().unwrap_or(0)))
        .collect();
    let total = reply["section-size"].as_u64().unwrap_or_else(|| sections.iter().map(|s| s.1).sum());
    Ok(Some(Sgx {
        flc: truth(&reply, "flc"),
        sgx1: truth(&reply, "sgx1"),
        sgx2: truth(&reply, "sgx2"),
        section_size: total,
        sections: sections.into(),
    }))
}

fn gic(session: &mut Session) -> Result<Vec<Gic>> {
    let reply = session.try_ask("query-gic-capabilities", json!({}))?.unwrap_or_default();
    Ok(array(reply)
        .iter()
        .map(|g| Gic {
            version: g["version"].as_u64().unwrap_or(0) as u8,
            kernel: truth(g, "kernel"),
            emulated: truth(g, "emulated"),
        })
        .collect())
}

/// The microcode version of the first x86 CPU, 0 where the kernel does not say.
fn microcode() -> u32 {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("microcode"));
    let number = line.and_then(|rest| rest.rsplit_once("0x")).map(|(_, hex)| hex.trim());
    number.and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0)
}

/// What answers the table of flags, asked for when it is first needed.
struct Answers<'s> {
    session: &'s mut Session,
    schema: Schema,
    types: BTreeSet<String>,
    options: Value,
    machines: &'s [Machine],
    properties: std::collections::BTreeMap<String, Vec<Value>>,
    tpm: Vec<Value>,
}

fn flags(session: &mut Session, machines: &[Machine]) -> Result<Flags> {
    let types = array(session.ask("qom-list-types")?);
    let schema = Schema::new(session.ask("query-qmp-schema")?);
    let options = session.ask("query-command-line-options")?;
    let mut tpm = array(session.try_ask("query-tpm-models", json!({}))?.unwrap_or_default());
    tpm.extend(array(session.try_ask("query-tpm-types", json!({}))?.unwrap_or_default()));
    let types = types.iter().filter_map(|t| t["name"].as_str().map(str::to_string)).collect();
    let mut answers = Answers { session, schema, types, options, machines, properties: Default::default(), tpm };
    let mut flags = Flags::EMPTY;
    for (cap, source) in FLAGS {
        if answers.answer(source)? {
            flags.set(*cap, true);
        }
    }
    if flags.has(Cap::QueryAccelerators) {
        let reply = answers.session.ask("query-accelerators")?;
        let mut present = reply["present"].as_array().into_iter().flatten().filter_map(Value::as_str);
        // A QEMU may be built with what this host does not have.
        flags.set(Cap::Mshv, present.any(|accel| accel == "mshv") && Path::new("/dev/mshv").exists());
    }
    // The names of features that QEMU prints are the ones that it takes, on x86, in every version that
    // is still read.
    flags.set(Cap::CanonicalCpuFeatures, flags.has(Cap::X86MaxCpu));
    Ok(flags)
}

impl Answers<'_> {
    fn answer(&mut self, source: &Source) -> Result<bool> {
        Ok(match source {
            Source::Type(names) => names.iter().any(|name| self.types.contains(*name)),
            Source::Command(name) => self.schema.has_command(name),
            Source::Path(path) => self.schema.has(path),
            Source::Tpm(name) => self.tpm.iter().any(|t| t == name),
            Source::Option(name, parameter) => self.options.as_array().into_iter().flatten().any(|option| {
                let parameters = option["parameters"].as_array().into_iter().flatten();
                option["option"] == *name
                    && (parameter.is_empty() || parameters.into_iter().any(|p| p["name"] == *parameter))
            }),
            Source::Property(types, property) => {
                let mut found = false;
                for name in *types {
                    found = found || self.device_property(name, property)?.is_some();
                }
                found
            }
            Source::OffByDefault(name, property) => {
                let first = format!("{name}-pci");
                self.device_property(&first, property)?.is_some_and(|p| p["default-value"] == false)
            }
            Source::MachineProperty(beginning, property) => {
                let name = match *beginning {
                    "none" => Some("none"),
                    _ => self.machines.iter().map(|m| &*m.name).find(|n| n.split('-').next() == Some(*beginning)),
                };
                let Some(name) = name else { return Ok(false) };
                let name = format!("{name}-machine");
                self.qom_property(&name, property)?
            }
            Source::MaxCpu(property) => {
                let name = self.types.iter().find(|t| t.starts_with("max-") && t.ends_with("-cpu")).cloned();
                match name {
                    Some(name) => self.device_property(&name, property)?.is_some(),
                    None => false,
                }
            }
        })
    }

    fn device_property(&mut self, name: &str, property: &str) -> Result<Option<&Value>> {
        if !self.types.contains(name) {
            return Ok(None);
        }
        let list = self.list("device-list-properties", name)?;
        Ok(list.iter().find(|p| p["name"] == *property))
    }

    fn qom_property(&mut self, name: &str, property: &str) -> Result<bool> {
        Ok(self.list("qom-list-properties", name)?.iter().any(|p| p["name"] == *property))
    }

    fn list(&mut self, command: &str, name: &str) -> Result<&[Value]> {
        if !self.properties.contains_key(name) {
            let reply = self.session.try_ask(command, json!({ "typename": name }))?.unwrap_or_default();
            self.properties.insert(name.to_string(), array(reply));
        }
        Ok(self.properties.get(name).map(Vec::as_slice).unwrap_or_default())
    }
}
