//! Smart card readers.

use super::chardev::{self, Chardev, ChardevSource};
use super::controller::ControllerKind;
use super::info::DeviceInfo;
use super::{Family, device};
use crate::device::address::Address;
use crate::diag::codes::chardev as codes;
use crate::domain::Domain;
use crate::domain::model::{Binder, Model, Part, Shape, print_attr};
use crate::lower::{Grant, Lower};
use crate::plan::Props;
use crate::resolve::{Cx, Machine};
use crate::vocab::keywords;
use crate::xml::{El, Site, XmlWriter};

keywords! {
    /// `<smartcard mode='…'>`
    pub enum SmartcardMode {
        Host = "host",
        HostCertificates = "host-certificates",
        Passthrough = "passthrough",
    }
}

/// `<smartcard>`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Smartcard {
    /// `mode='…'`
    pub mode: Option<SmartcardMode>,
    /// What a reader in mode `passthrough` is connected to.
    pub source: ChardevSource,
    /// `<certificate>`: names of three certificates of the database.
    pub certificates: Vec<String>,
    /// `<database>`: folder of the database.
    pub database: Option<String>,
    /// Alias and address.
    pub info: DeviceInfo,
    /// Where it stands.
    pub site: Site,
}

device!(Smartcard, "smart card");

/// The database of NSS that a reader with certificates uses by default.
const DATABASE: &str = "/etc/pki/nssdb";

impl Part for Smartcard {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.mode = cx.need(el, "mode");
        match self.mode {
            Some(SmartcardMode::Passthrough) => {
                self.source.bind(el, cx);
                // libvirt reads no labels here.
                self.source.seclabels.clear();
            }
            Some(SmartcardMode::HostCertificates) => {
                self.certificates = el.children_named("certificate").filter_map(|e| cx.text(e)).collect();
                self.database = el.child("database").and_then(|e| cx.text(e));
            }
            Some(SmartcardMode::Host) | None => {}
        }
        self.info.bind(el, cx);
    }

    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "mode", &self.mode);
        if self.mode == Some(SmartcardMode::Passthrough) {
            self.source.print_attrs(out);
        }
    }

    fn print_body(&self, out: &mut XmlWriter) {
        if self.mode == Some(SmartcardMode::Passthrough) {
            self.source.print_body(out);
        }
        self.certificates.iter().for_each(|c| out.leaf("certificate", c));
        if let Some(database) = &self.database {
            out.leaf("database", database);
        }
        self.info.print_body(out);
    }

    fn shape(shape: &mut Shape) {
        shape.attr("mode");
        ChardevSource::shape(shape);
        shape.leaf("certificate");
        shape.leaf("database");
        DeviceInfo::shape(shape);
    }
}

impl Model for Smartcard {
    const ELEMENT: &'static str = "smartcard";
}

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
                let message = "the passthrough mode requires the type attribute of a character device";
                cx.error(&codes::SMARTCARD, self.site, message);
            }
            Some(SmartcardMode::Passthrough) => {
                chardev::rules(&self.source, self.site, cx);
                chardev::unix_needs_path(&self.source, self.source.site, cx);
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
                lx.touch_if_there(DATABASE, Grant::SYSTEM_CERTIFICATES, self.site, "smart card");
            }
            Some(SmartcardMode::HostCertificates) => {
                props = Props::driver("ccid-card-emulated");
                props.set("backend", "certificates");
                for (key, certificate) in ["cert1", "cert2", "cert3"].into_iter().zip(&self.certificates) {
                    props.set(key, certificate.clone());
                }
                let database = self.database.clone().unwrap_or_else(|| DATABASE.to_string());
                lx.touch(&database, Grant::CERTIFICATES, self.site, "smart card");
                props.set("db", database);
            }
            Some(SmartcardMode::Passthrough) => {
                let of =
                    Chardev { id: &id, site: self.site, family: "smart card", spicevmc: "smartcard", generated: None };
                let chardev = chardev::chardev(&self.source, of, lx);
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
