//! `<launchSecurity>` and `<keywrap>`: guests that the host cannot read.

use crate::bind::{Binder, Model, Part, Shape, model, print_attr};
pub use crate::schema::words::{CipherName, LaunchKind};
use crate::vocab::{OnOff, YesNo};
use crate::xml::{El, Site, XmlWriter};

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
    /// TDX: what the guest's owner configures.
    pub mr_config_id: Option<String>,
    /// TDX: the guest's owner.
    pub mr_owner: Option<String>,
    /// TDX: what the owner configures, beside its identity.
    pub mr_owner_config: Option<String>,
    /// TDX: the service that signs quotes.
    pub quotes: Option<QuoteService>,
    /// Where it stands.
    pub site: Site,
}

/// Where the service of quotes listens, if it is not where Intel's does.
const QUOTE_SOCKET: &str = "/var/run/tdx-qgs/qgs.socket";

model! {
    /// `<quoteGenerationService>`: who signs what a TDX guest tells about itself.
    pub struct QuoteService = "quoteGenerationService" {
        attr path: String = "path",
    }
}

impl QuoteService {
    /// The socket of the service.
    pub fn socket(&self) -> &str {
        self.path.as_deref().unwrap_or(QUOTE_SOCKET)
    }
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
        if self.kind == Some(LaunchKind::Tdx) {
            self.mr_config_id = text("mrConfigId");
            self.mr_owner = text("mrOwner");
            self.mr_owner_config = text("mrOwnerConfig");
            self.quotes = el.child(QuoteService::ELEMENT).map(|e| QuoteService::read(e, cx));
            self.kernel_hashes = None;
        } else if self.kind == Some(LaunchKind::SevSnp) {
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
        if self.kind != Some(LaunchKind::Tdx) {
            self.cbitpos = el.child("cbitpos").and_then(|e| cx.text(e));
            self.reduced_phys_bits = el.child("reducedPhysBits").and_then(|e| cx.text(e));
        }
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
        let tdx = self.kind == Some(LaunchKind::Tdx);
        leaf(
            "policy",
            self.policy.map(|n| match (snp, tdx) {
                (true, _) => format!("0x{n:08x}"),
                (_, true) => format!("0x{n:x}"),
                _ => format!("0x{n:04x}"),
            }),
        );
        leaf("mrConfigId", self.mr_config_id.clone());
        leaf("mrOwner", self.mr_owner.clone());
        leaf("mrOwnerConfig", self.mr_owner_config.clone());
        leaf("guestVisibleWorkarounds", self.workarounds.clone());
        leaf("idBlock", self.id_block.clone());
        leaf("idAuth", self.id_auth.clone());
        leaf("hostData", self.host_data.clone());
        leaf("dhCert", self.dh_cert.clone());
        leaf("session", self.session.clone());
        if let Some(quotes) = &self.quotes {
            quotes.print(out);
        }
    }
    fn shape(shape: &mut Shape) {
        for a in ["type", "kernelHashes", "authorKey", "vcek"] {
            shape.attr(a);
        }
        let leaves = ["cbitpos", "reducedPhysBits", "policy", "guestVisibleWorkarounds", "idBlock", "idAuth"];
        for l in leaves {
            shape.leaf(l);
        }
        for l in ["hostData", "dhCert", "session", "mrConfigId", "mrOwner", "mrOwnerConfig"] {
            shape.leaf(l);
        }
        shape.child::<QuoteService>(QuoteService::ELEMENT);
    }
}

impl Model for LaunchSecurity {
    const ELEMENT: &'static str = "launchSecurity";
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
