//! Checks of `<launchSecurity>` and `<keywrap>`.

use crate::caps::Cap;
use crate::diag::codes::machine as codes;
use crate::domain::Domain;
use crate::domain::security::{LaunchKind, LaunchSecurity};
use crate::stage::Cx;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Checks guests that the host cannot read, and their keys.
pub fn check(domain: &Domain, cx: &mut Cx<'_>) {
    if let Some(security) = &domain.launch_security {
        launch(security, cx);
    }
    let ciphers = domain.keywrap.as_ref().map_or(&[][..], |k| &k.ciphers);
    for (i, cipher) in ciphers.iter().enumerate() {
        if let Some(name) = cipher.name.filter(|name| ciphers.iter().take(i).any(|c| c.name == Some(*name))) {
            let message = format!("<keywrap>: two <cipher> have the name {name}; which state holds?");
            cx.error(&codes::SECURITY, cipher.site, message);
        }
    }
}

fn launch(security: &LaunchSecurity, cx: &mut Cx<'_>) {
    let Some(kind) = security.kind else { return };
    let cap = match kind {
        LaunchKind::Sev => Cap::SevGuest,
        LaunchKind::SevSnp => Cap::SevSnpGuest,
        LaunchKind::S390Pv => Cap::S390PvGuest,
        LaunchKind::Tdx => Cap::TdxGuest,
    };
    if !cx.has(cap) {
        let message = format!("<launchSecurity type='{kind}'>: this QEMU has no such protection");
        cx.error_at(&codes::SECURITY, security.site, "type", message);
        return;
    }
    if !matches!(kind, LaunchKind::S390Pv | LaunchKind::Tdx) && security.policy.is_none() {
        let message = "<launchSecurity> needs a <policy>: what the host may do with the guest; there is none to get";
        cx.error(&codes::SECURITY, security.site, message);
    }
    // Sizes of the structures of SEV-SNP, bytes.
    let sizes = [
        ("guestVisibleWorkarounds", &security.workarounds, 16),
        ("idBlock", &security.id_block, 96),
        ("idAuth", &security.id_auth, 4096),
        ("hostData", &security.host_data, 32),
    ];
    for (name, text, size) in sizes {
        let Some(text) = text else { continue };
        let got = BASE64.decode(text).map_or(0, |bytes| bytes.len());
        if got != size {
            let message =
                format!("'{name}' stands for {size} bytes in base64, and the length here is {got}: unexpected");
            cx.error(&codes::SECURITY, security.site, message);
        }
    }
}
