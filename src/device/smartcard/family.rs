//! Smart card readers: what the passes ask of the family.

use super::{DATABASE, Smartcard, SmartcardMode};
use crate::device::address::Address;
use crate::device::chardev::{self, lower::Chardev};
use crate::device::controller::ControllerKind;
use crate::device::family::Family;
use crate::diag::codes::chardev as codes;
use crate::domain::Domain;
use crate::plan::{Props, Use};
use crate::stage::{Cx, Machine};
use crate::stage::{Grant, Lower};

impl Family for Smartcard {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn rules(&self, domain: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        let first = domain.devices.iter().flat_map(|d| d.smartcards.first()).next();
        if first.is_some_and(|s| s.site != self.site) {
            cx.error(
                &codes::SMARTCARD,
                self.site,
                "two <smartcard> devices need a QEMU binary with support for multiple cards, which this one lacks",
            );
        }
        match self.mode {
            Some(SmartcardMode::Passthrough) if self.source.kind.is_none() => {
                let message = "<smartcard mode='passthrough'> without a type: nothing says how the reader is reached";
                cx.error(&codes::SMARTCARD, self.site, message);
            }
            Some(SmartcardMode::Passthrough) => {
                chardev::rules::rules(&self.source, self.site, cx);
                chardev::rules::unix_needs_path(&self.source, self.source.site, cx);
            }
            Some(SmartcardMode::HostCertificates) => {
                if self.certificates.len() != 3 {
                    cx.error(
                        &codes::SMARTCARD,
                        self.site,
                        format!(
                            "mode='host-certificates' names three certificates, and here are {}",
                            self.certificates.len()
                        ),
                    );
                }
                for certificate in self.certificates.iter().filter(|c| c.is_empty() || c.contains(',')) {
                    // QEMU itself takes a list of names here, so that a comma is ambiguous in old versions.
                    if certificate.is_empty() {
                        cx.error(&codes::SMARTCARD, self.site, "the name of a certificate is empty");
                    }
                }
                if let Some(database) = self.database.as_ref().filter(|d| !d.starts_with('/')) {
                    cx.error(&codes::SMARTCARD, self.site, format!("expecting absolute path: {database}"))
                        .help("name the folder of the certificate database from the root");
                }
            }
            Some(SmartcardMode::Host) | None => {}
        }
        if let Some(address) = &self.info.address.address
            && !matches!(address, Address::Ccid { .. })
        {
            cx.error(
                &codes::SMARTCARD,
                self.info.address_site(),
                format!(
                    "a <smartcard> sits on a 'ccid' controller; an address of type '{}' is none of those",
                    address.kind()
                ),
            );
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let id = self.info.id.clone();
        let mut props;
        match self.mode {
            Some(SmartcardMode::Host) => {
                props = Props::driver("ccid-card-emulated");
                props.set("backend", "nss-emulated");
                // The library's own choice, as no database is named (libcacard, vcard_emul_nss.c).
                lx.touch_if_there(DATABASE, Grant::SYSTEM_CERTIFICATES, Use::SmartCard, self.site, "smart card");
            }
            Some(SmartcardMode::HostCertificates) => {
                props = Props::driver("ccid-card-emulated");
                props.set("backend", "certificates");
                for (key, certificate) in ["cert1", "cert2", "cert3"].into_iter().zip(&self.certificates) {
                    props.set(key, certificate.clone());
                }
                let database = self.database.clone().unwrap_or_else(|| DATABASE.to_string());
                lx.touch(&database, Grant::CERTIFICATES, Use::SmartCard, self.site, "smart card");
                props.set("db", database);
            }
            Some(SmartcardMode::Passthrough) => {
                let of = Chardev {
                    id: &id,
                    site: self.site,
                    family: "smart card",
                    usage: Use::SmartCard,
                    spicevmc: "smartcard",
                    generated: None,
                };
                let chardev = chardev::lower::chardev(&self.source, of, lx);
                props = Props::driver("ccid-card-passthru");
                props.set("chardev", chardev);
            }
            None => return,
        }
        props.set("id", id);
        if let Some(Address::Ccid { controller, .. }) = &self.info.address.address {
            props.set("bus", format!("{}.0", lx.controller_id(ControllerKind::Ccid, *controller)));
        }
        lx.device(props, self);
    }
}
