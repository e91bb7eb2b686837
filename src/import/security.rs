//! Guests that the host cannot read.

use super::Import;
use super::element::Element;
use super::options::Options;

/// Texts of `<launchSecurity>`: QEMU's name, the element.
const TEXTS: &[(&str, &str)] = &[
    ("cbitpos", "cbitpos"),
    ("reduced-phys-bits", "reducedPhysBits"),
    ("policy", "policy"),
    ("attributes", "policy"),
    ("guest-visible-workarounds", "guestVisibleWorkarounds"),
    ("id-block", "idBlock"),
    ("id-auth", "idAuth"),
    ("host-data", "hostData"),
    ("mrconfigid", "mrConfigId"),
    ("mrowner", "mrOwner"),
    ("mrownerconfig", "mrOwnerConfig"),
];

impl Import {
    /// `<launchSecurity>` of the object that `-machine confidential-guest-support=` names.
    pub fn launch_security(&mut self, machine: &mut Options) -> Option<Element> {
        let id = machine.get("confidential-guest-support").or(machine.get("memory-encryption"))?.to_string();
        let (place, mut object) = self.command.find_by("object", "qom-type", "id", &id)?;
        let kind = match object.get("qom-type")? {
            "sev-guest" => "sev",
            "sev-snp-guest" => "sev-snp",
            "tdx-guest" => "tdx",
            "s390-pv-guest" => "s390-pv",
            _ => return None,
        };
        self.command.mark(place);
        machine.take_any(&["confidential-guest-support", "memory-encryption"]);
        machine.take("memory-encryption");
        object.take("qom-type");
        object.take("id");
        let mut out = Element::new("launchSecurity").attr("type", kind);
        let yes = |on: bool| if on { "yes" } else { "no" };
        if let Some(on) = object.take_switch("kernel-hashes") {
            out.set("kernelHashes", yes(on));
        }
        if let Some(on) = object.take_switch("author-key-enabled") {
            out.set("authorKey", yes(on));
        }
        if let Some(off) = object.take_switch("vcek-disabled") {
            out.set("vcek", yes(!off));
        }
        for (key, name) in TEXTS {
            let value = match *name {
                "policy" => object.take_number(key).map(|n| format!("{n:#x}")),
                _ => object.take(key),
            };
            out.push_all(value.map(|value| Element::leaf(*name, value)));
        }
        if let Some(path) = object.take("quote-generation-socket.path") {
            object.same("quote-generation-socket.type", &["unix"]);
            out.push(Element::new("quoteGenerationService").attr("path", path));
        }
        for (key, name) in [("dh-cert-file", "dhCert"), ("session-file", "session")] {
            if let Some(file) = object.take(key) {
                self.left_out(
                    object.span,
                    format!("{key}={file} of '{id}': give what the file holds, in base64, as <{name}>"),
                );
            }
        }
        self.leave(&format!("'{id}'"), object);
        Some(out)
    }
}
