//! Smart card readers.

pub(crate) mod family;

use super::chardev::ChardevSource;
use super::info::{DeviceInfo, device};
use crate::bind::{Binder, Model, Part, Shape, print_attr};
pub use crate::schema::words::SmartcardMode;
use crate::xml::{El, Site, XmlWriter};

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
