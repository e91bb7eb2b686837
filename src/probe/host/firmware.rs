//! Firmware images with their variable stores.

use super::Source;
use crate::host::{Host, NvramTemplate};

/// Where distributions put them: executable and template of the variable store.
const PAIRS: &[(&str, &str)] = &[
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    ("/usr/share/AAVMF/AAVMF32_CODE.fd", "/usr/share/AAVMF/AAVMF32_VARS.fd"),
    ("/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "/usr/share/edk2/aarch64/vars-template-pflash.raw"),
];

/// Lists the pairs that are there. When there is none, the usual ones stay: the domain may name them,
/// and they may be installed later.
pub fn probe(source: &Source, host: &mut Host) {
    let found: Vec<NvramTemplate> = PAIRS
        .iter()
        .filter(|(code, vars)| source.exists(code) && source.exists(vars))
        .map(|(code, vars)| NvramTemplate { code: code.to_string(), vars: vars.to_string() })
        .collect();
    if !found.is_empty() {
        host.firmware.nvram_templates = found;
    }
}
