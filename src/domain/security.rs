//! `<launchSecurity>` and `<keywrap>`: guests that the host cannot read.

use crate::bind::{Binder, Model, Part, Shape, model, print_attr};
use crate::vocab::{OnOff, YesNo, keywords};
use crate::xml::{El, Site, XmlWriter};

keywords! {
    /// `<launchSecurity type='…'>`
    pub enum LaunchKind { Sev = "sev", SevSnp = "sev-snp", S390Pv = "s390-pv" }
}

/// `<launchSecurity>`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LaunchSecurity {
    /// Which technology.
    pub kind: Option<LaunchKind>,
    /// Whether QEMU tells the guest the hashes of kernel, initrd and command line.
    pub kernel_hashes: Option<YesNo>,
    /// Whether the key of the author is part of the identity (SNP).
    pub author_key: Option<YesNo>,
    /// Whether the chip's own key signs reports (SNP).
    pub vcek: Option<YesNo>,
    /// Which bit of a page table entry marks an encrypted page.
    pub cbitpos: Option<u32>,
    /// How many bits of physical addresses are lost.
    pub reduced_phys_bits: Option<u32>,
    /// What the guest allows.
    pub policy: Option<u64>,
    /// The owner's Diffie-Hellman certificate.
    pub dh_cert: Option<String>,
    /// The owner's session.
    pub session: Option<String>,
    /// SNP: guest visible workarounds.
    pub workarounds: Option<String>,
    /// SNP: identity.
    pub id_block: Option<String>,
    /// SNP: signature of the identity.
    pub id_auth: Option<String>,
    /// SNP: data of the host.
    pub host_data: Option<String>,
    /// Where it stands.
    pub site: Site,
}

impl Part for LaunchSecurity {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.kind = cx.need(el, "type");
        if self.kind == Some(LaunchKind::S390Pv) {
            return;
        }
        self.kernel_hashes = cx.attr(el, "kernelHashes");
        let text = |name: &str| el.child(name).map(|e| e.text().trim().to_string()).filter(|t| !t.is_empty());
        if self.kind == Some(LaunchKind::SevSnp) {
            self.author_key = cx.attr(el, "authorKey");
            self.vcek = cx.attr(el, "vcek");
            self.workarounds = text("guestVisibleWorkarounds");
            self.id_block = text("idBlock");
            self.id_auth = text("idAuth");
            self.host_data = text("hostData");
        } else {
            self.dh_cert = text("dhCert");
            self.session = text("session");
        }
        // What belongs to the other kind is passed over.
        el.mark_all();
        self.cbitpos = el.child("cbitpos").and_then(|e| cx.text(e));
        self.reduced_phys_bits = el.child("reducedPhysBits").and_then(|e| cx.text(e));
        self.policy = el.child("policy").and_then(|e| cx.text(e));
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "type", &self.kind);
        print_attr(out, "kernelHashes", &self.kernel_hashes);
        print_attr(out, "authorKey", &self.author_key);
        print_attr(out, "vcek", &self.vcek);
    }
    fn print_body(&self, out: &mut XmlWriter) {
        let snp = self.kind == Some(LaunchKind::SevSnp);
        let mut leaf = |name: &'static str, value: Option<String>| {
            if let Some(value) = value {
                out.leaf(name, &value);
            }
        };
        leaf("cbitpos", self.cbitpos.map(|n| n.to_string()));
        leaf("reducedPhysBits", self.reduced_phys_bits.map(|n| n.to_string()));
        leaf("policy", self.policy.map(|n| if snp { format!("0x{n:08x}") } else { format!("0x{n:04x}") }));
        leaf("guestVisibleWorkarounds", self.workarounds.clone());
        leaf("idBlock", self.id_block.clone());
        leaf("idAuth", self.id_auth.clone());
        leaf("hostData", self.host_data.clone());
        leaf("dhCert", self.dh_cert.clone());
        leaf("session", self.session.clone());
    }
    fn shape(shape: &mut Shape) {
        for a in ["type", "kernelHashes", "authorKey", "vcek"] {
            shape.attr(a);
        }
        let leaves = ["cbitpos", "reducedPhysBits", "policy", "guestVisibleWorkarounds", "idBlock", "idAuth"];
        for l in leaves {
            shape.leaf(l);
        }
        for l in ["hostData", "dhCert", "session"] {
            shape.leaf(l);
        }
    }
}

impl Model for LaunchSecurity {
    const ELEMENT: &'static str = "launchSecurity";
}

keywords! {
    /// `<cipher name='…'>`
    pub enum CipherName { Aes = "aes", Dea = "dea" }
}

model! {
    /// `<cipher>`: whether keys are wrapped for this cipher (s390x).
    pub struct Cipher = "cipher" {
        need name: CipherName = "name",
        need state: OnOff = "state",
    }
}

model! {
    /// `<keywrap>`
    pub struct Keywrap = "keywrap" {
        many ciphers: Cipher,
    }
}
