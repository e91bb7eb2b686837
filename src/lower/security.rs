//! Guests that the host cannot read.

use crate::diag::codes::machine as codes;
use crate::domain::security::{LaunchKind, LaunchSecurity};
use crate::plan::{Props, Use};
use crate::stage::{Grant, Lower};
use crate::vocab::YesNo;

/// The object behind `-machine confidential-guest-support=`.
pub fn launch(lx: &mut Lower<'_>) {
    let Some(security) = &lx.domain.launch_security else { return };
    let Some(kind) = security.kind else { return };
    match kind {
        LaunchKind::Sev => sev(lx, security),
        LaunchKind::SevSnp => snp(lx, security),
        LaunchKind::Tdx => tdx(lx, security),
        LaunchKind::S390Pv => {
            let mut props = Props::with("qom-type", "s390-pv-guest");
            props.set("id", "lsec0");
            lx.object(props, security.site, "launchSecurity");
        }
    }
}

/// What SEV and SEV-SNP share: the encryption bit, from the XML or as the host has it.
fn common(lx: &mut Lower<'_>, security: &LaunchSecurity, kind: &'static str) -> Option<Props> {
    let host = lx.env.caps.sev.as_ref();
    let cbitpos = security.cbitpos.or(host.map(|s| s.cbitpos));
    let reduced = security.reduced_phys_bits.or(host.map(|s| s.reduced_phys_bits));
    let (Some(cbitpos), Some(reduced)) = (cbitpos, reduced) else {
        lx.error(&codes::SECURITY, security.site, "the host does not tell 'cbitpos' and 'reducedPhysBits' of SEV")
            .help("give <cbitpos> and <reducedPhysBits> in <launchSecurity>");
        return None;
    };
    let mut props = Props::with("qom-type", kind);
    props.set("id", "lsec0").set("cbitpos", cbitpos).set("reduced-phys-bits", reduced);
    lx.touch("/dev/sev", Grant::SYSTEM_NODE, Use::LaunchSecurity, security.site, "launchSecurity");
    Some(props)
}

fn sev(lx: &mut Lower<'_>, security: &LaunchSecurity) {
    let Some(mut props) = common(lx, security, "sev-guest") else { return };
    props.maybe("policy", security.policy);
    // The values are put into these files before the start.
    if security.dh_cert.is_some() {
        props.set("dh-cert-file", format!("{}/dh_cert.base64", lx.paths.lib));
    }
    if security.session.is_some() {
        props.set("session-file", format!("{}/session.base64", lx.paths.lib));
    }
    props.maybe("kernel-hashes", security.kernel_hashes.map(YesNo::is_yes));
    lx.object(props, security.site, "launchSecurity");
}

fn tdx(lx: &mut Lower<'_>, security: &LaunchSecurity) {
    let mut props = Props::with("qom-type", "tdx-guest");
    props.set("id", "lsec0");
    props.maybe("mrconfigid", security.mr_config_id.clone());
    props.maybe("mrowner", security.mr_owner.clone());
    props.maybe("mrownerconfig", security.mr_owner_config.clone());
    if let Some(quotes) = &security.quotes {
        let mut socket = Props::with("type", "unix");
        socket.set("path", quotes.socket().to_string());
        props.set("quote-generation-socket", socket);
        lx.touch(quotes.socket(), Grant::PEER_SOCKET, Use::LaunchSecurity, security.site, "launchSecurity: quotes");
    }
    props.maybe("attributes", security.policy);
    lx.object(props, security.site, "launchSecurity");
}

fn snp(lx: &mut Lower<'_>, security: &LaunchSecurity) {
    let Some(mut props) = common(lx, security, "sev-snp-guest") else { return };
    props.maybe("kernel-hashes", security.kernel_hashes.map(YesNo::is_yes));
    props.maybe("policy", security.policy);
    props.maybe("guest-visible-workarounds", security.workarounds.clone());
    props.maybe("id-block", security.id_block.clone());
    props.maybe("id-auth", security.id_auth.clone());
    props.maybe("host-data", security.host_data.clone());
    props.maybe("author-key-enabled", security.author_key.map(YesNo::is_yes));
    props.maybe("vcek-disabled", security.vcek.map(|v| !v.is_yes()));
    lx.object(props, security.site, "launchSecurity");
}
