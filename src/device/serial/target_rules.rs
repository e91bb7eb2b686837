//! What the passes ask of it.

use super::target::{SerialModel, SerialModelName, SerialTarget, SerialTargetType};
use crate::caps::Cap;
use crate::diag::codes::{chardev as codes, general as support};
use crate::stage::{Board, Cx, Machine};
use crate::xml::Site;

/// Chooses type and model by machine.
pub fn defaults(target: &mut SerialTarget, machine: &Machine) {
    // `isa-serial` was the only type once, and was written on machines without ISA, too.
    if target.kind == Some(SerialTargetType::IsaSerial) && target.model.is_none() {
        target.kind = None;
    }
    let virt = machine.board == Board::Virt;
    if target.kind.is_none() {
        target.kind = if machine.arch.is_x86() {
            Some(SerialTargetType::IsaSerial)
        } else if machine.board == Board::Pseries {
            Some(SerialTargetType::SpaprVioSerial)
        } else if virt {
            Some(SerialTargetType::SystemSerial)
        } else if machine.arch.is_s390() {
            Some(SerialTargetType::SclpSerial)
        } else {
            None
        };
    }
    if target.model.is_none() {
        let name = match target.kind {
            Some(SerialTargetType::IsaSerial) => Some(SerialModelName::IsaSerial),
            Some(SerialTargetType::UsbSerial) => Some(SerialModelName::UsbSerial),
            Some(SerialTargetType::PciSerial) => Some(SerialModelName::PciSerial),
            Some(SerialTargetType::SpaprVioSerial) => Some(SerialModelName::SpaprVty),
            Some(SerialTargetType::SystemSerial) if virt && machine.arch.is_arm() => Some(SerialModelName::Pl011),
            Some(SerialTargetType::SystemSerial) if virt => Some(SerialModelName::V16550a),
            Some(SerialTargetType::SclpSerial) => Some(SerialModelName::Sclpconsole),
            Some(SerialTargetType::IsaDebug) => Some(SerialModelName::IsaDebugcon),
            _ => None,
        };
        target.model = name.map(|name| SerialModel { name: Some(name), ..SerialModel::default() });
    }
}

/// Checks that type, model and machine go together, and that QEMU has the model.
pub fn rules(target: &SerialTarget, site: Site, machine: &Machine, cx: &mut Cx<'_>) {
    use SerialModelName as M;
    use SerialTargetType as T;
    let (Some(kind), Some(model)) = (target.kind, target.model()) else { return };
    let site = if target.site.is_none() { site } else { target.site };
    let own = match model {
        M::IsaSerial => T::IsaSerial,
        M::UsbSerial => T::UsbSerial,
        M::PciSerial => T::PciSerial,
        M::SpaprVty => T::SpaprVioSerial,
        M::Pl011 | M::V16550a => T::SystemSerial,
        M::Sclpconsole | M::Sclplmconsole => T::SclpSerial,
        M::IsaDebugcon => T::IsaDebug,
    };
    if own != kind {
        cx.error(&codes::TARGET, site, format!("<model name='{model}'> goes with <target type='{own}'>"))
            .help("leave the model out, or change the type");
        return;
    }
    let arch = machine.arch;
    let virt = machine.board == Board::Virt;
    let fits = match model {
        M::IsaSerial | M::IsaDebugcon => arch.is_x86(),
        M::SpaprVty => machine.board == Board::Pseries,
        M::Pl011 => virt && arch.is_arm(),
        M::V16550a => virt && (arch.is_riscv() || arch.is_loongarch()),
        M::Sclpconsole | M::Sclplmconsole => arch.is_s390(),
        M::UsbSerial | M::PciSerial => true,
    };
    if !fits {
        cx.error(
            &codes::TARGET,
            site,
            format!(
                "the guest's architecture or machine type has no serial device with target type '{kind}' and target model '{model}'"
            ),
        )
        .help(format!("{} machines of type '{}' have other ports; leave the type out", arch, machine.name));
        return;
    }
    let cap = match model {
        M::IsaSerial => Some(Cap::IsaSerial),
        M::UsbSerial => Some(Cap::UsbSerial),
        M::PciSerial => Some(Cap::PciSerial),
        M::SpaprVty => Some(Cap::SpaprVty),
        M::Pl011 => Some(Cap::Pl011),
        M::Sclpconsole => Some(Cap::S390Sclp),
        M::Sclplmconsole => Some(Cap::Sclplmconsole),
        M::V16550a | M::IsaDebugcon => None,
    };
    if let Some(cap) = cap
        && !cx.has(cap)
    {
        cx.error(&support::NOT_BY_QEMU, site, format!("this QEMU binary has no '{model}'"));
    }
}
