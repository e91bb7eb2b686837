//! Checks of a TPM.

use super::{Backend, Tpm, TpmBackend, TpmModel, TpmSourceKind, TpmVersion};
use crate::caps::Cap;
use crate::diag::codes::{general, hostdev as codes};
use crate::domain::Domain;
use crate::stage::{Board, Cx, Machine};

/// Where the state of an emulator is, or the socket of another program.
fn source(backend: &Backend, cx: &mut Cx<'_>) {
    let Some(source) = &backend.source else { return };
    let mut fault = |message: &str| {
        cx.error(&codes::TPM, source.site, message);
    };
    let external = backend.kind == Some(TpmBackend::External);
    match source.kind {
        None if external => fault("<source> of an external TPM backend lacks its type: write type='unix'"),
        Some(TpmSourceKind::File | TpmSourceKind::Dir) if external => {
            fault("<source> of an external TPM backend is a socket: only type='unix' is supported");
        }
        Some(TpmSourceKind::Unix) if !external => {
            fault("<source type='unix'> is a socket: the emulator keeps its state in a 'file' or a 'dir'");
        }
        _ if source.path.is_none() => fault("<source> of the TPM backend lacks its path: the attribute is missing"),
        _ => {}
    }
    if external && source.mode.as_deref().is_some_and(|mode| mode != "connect") {
        let message = "<source mode='bind'> of an external TPM: only 'connect' is supported, the program listens";
        cx.error_at(&codes::TPM, source.site, "mode", message);
    }
}

/// Checks one TPM.
pub fn tpm(tpm: &Tpm, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let (Some(model), Some(backend)) = (tpm.model, &tpm.backend) else {
        cx.error(&codes::TPM, tpm.site, "<tpm> has no <backend>: what answers the TPM device is missing")
            .help("add <backend type='emulator' version='2.0'/>");
        return;
    };
    let all = || domain.devices.iter().flat_map(|d| &d.tpms);
    let proxy = model == TpmModel::SpaprTpmProxy;
    let mut same = all().filter(|t| (t.model == Some(TpmModel::SpaprTpmProxy)) == proxy);
    let repeated = same.next().is_some_and(|first| first.site != tpm.site);
    if repeated {
        let what = if proxy {
            "more than a single TPM Proxy (model='spapr-tpm-proxy') is given; a domain has one such device"
        } else {
            "more than a single TPM is given; beside a proxy, a domain has one (non-proxy) device"
        };
        cx.error(&codes::TPM, tpm.site, what);
    }
    let (fits, cap) = match model {
        TpmModel::TpmTis => (
            machine.arch.is_x86() || machine.arch.is_arm() || machine.arch.is_riscv() || machine.arch.is_loongarch(),
            Cap::TpmTis,
        ),
        TpmModel::TpmCrb => (machine.arch.is_x86(), Cap::TpmCrb),
        TpmModel::TpmSpapr => (machine.board == Board::Pseries, Cap::TpmSpapr),
        TpmModel::SpaprTpmProxy => (machine.board == Board::Pseries, Cap::SpaprTpmProxy),
    };
    // libvirt asks QEMU only.
    if !fits && (cx.env.is_guardian() || !cx.has(cap)) {
        cx.error_at(
            &codes::TPM,
            tpm.site,
            "model",
            match model {
                TpmModel::TpmSpapr | TpmModel::SpaprTpmProxy => format!(
                    "a TPM of model '{model}' is one of the machine type 'pseries', and this is '{}'",
                    machine.name
                ),
                _ => format!("a TPM of model '{model}' does not exist on the architecture '{}'", machine.arch),
            },
        );
    } else if !cx.has(cap) {
        cx.error_at(
            &general::NOT_BY_QEMU,
            tpm.site,
            "model",
            format!("this QEMU executable has no TPM of model '{model}'"),
        );
    }
    if proxy && backend.kind != Some(TpmBackend::Passthrough) {
        cx.error(&codes::TPM, backend.site, "TPM Proxy devices need a backend of type 'passthrough'");
    }
    match (backend.kind, backend.version) {
        (Some(TpmBackend::Emulator), Some(TpmVersion::V12)) => {
            if !machine.arch.is_x86() {
                cx.error_at(
                    &codes::TPM,
                    backend.site,
                    "version",
                    format!(
                        "version='1.2': a guest of architecture '{}' can have a TPM 2.0, but no TPM 1.2",
                        machine.arch
                    ),
                );
            } else if model == TpmModel::TpmCrb {
                cx.error_at(
                    &codes::TPM,
                    backend.site,
                    "version",
                    "a TPM of model 'tpm-crb' is always of version 2.0, and this one asks for 1.2",
                );
            }
        }
        (Some(TpmBackend::Passthrough), _) if !cx.has(Cap::TpmPassthrough) => {
            cx.error(&general::NOT_BY_QEMU, backend.site, "this QEMU has no way to hand a TPM through ('passthrough')");
        }
        _ => {}
    }
    if backend.kind == Some(TpmBackend::External) && backend.source.is_none() {
        cx.error(&codes::TPM, backend.site, "a TPM backend of type 'external' lacks its <source>")
            .help("add <source type='unix' mode='connect' path='…'/>: the socket of the program");
    }
    source(backend, cx);
    let needs_emulator = matches!(backend.kind, Some(TpmBackend::Emulator | TpmBackend::External));
    if needs_emulator && !cx.has(Cap::TpmEmulator) {
        cx.error(&general::NOT_BY_QEMU, backend.site, "this QEMU has no way to talk to a TPM 'emulator'");
    }
}
