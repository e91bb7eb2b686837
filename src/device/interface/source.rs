//! `<source>` of an interface: its attributes depend on the type of the interface.

use super::{Ip, Route};
use crate::bind::{Binder, Part, Shape, model};
use crate::device::address::{PciAddress, bind_pci, print_pci, print_zpci};
use crate::xml::{El, Site, XmlWriter};

model! {
    /// `<local>` of a UDP tunnel.
    pub struct Local = "local" {
        attr address: String = "address",
        attr port: u16 = "port",
    }
}

model! {
    /// `<reconnect>` of a vhost-user socket.
    pub struct Reconnect = "reconnect" {
        attr enabled: crate::vocab::YesNo = "enabled",
        attr timeout: u32 = "timeout",
    }
}

model! {
    /// The attributes and children that sources other than host devices have.
    pub struct SourceFields {
        attr network: String = "network",
        attr portgroup: String = "portgroup",
        attr bridge: String = "bridge",
        attr kind: String = "type",
        attr dev: String = "dev",
        attr path: String = "path",
        attr mode: String = "mode",
        attr address: String = "address",
        attr port: u16 = "port",
        attr name: String = "name",
        child local: Local,
        child reconnect: Reconnect,
        many ips: Ip,
        many routes: Route,
    }
}

/// What the interface is connected to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetSource {
    /// The attributes of `<source>`.
    pub fields: SourceFields,
    /// The host device of type `hostdev`.
    pub pci: Option<PciAddress>,
    /// How that is passed through; libvirt prints it before the source.
    pub driver: Option<super::Driver>,
    /// Where it stands.
    pub site: Site,
}

impl Part for NetSource {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        let hostdev = el.peek("type").is_some_and(|t| t.value() == "hostdev");
        let Some(source) = el.child("source") else { return };
        self.site = source.site();
        if hostdev {
            if let Some(address) = source.child("address")
                && cx.need::<String>(address, "type").is_some_and(|t| t == "pci")
            {
                self.pci = Some(bind_pci(address, cx));
            }
            return;
        }
        // The port that a running machine had: libvirt forgets it, as it makes a new one at each start.
        source.attr("portid");
        self.fields.bind(source, cx);
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(driver) = &self.driver {
            crate::bind::print_as("driver", driver, out);
        }
        if let Some(pci) = &self.pci {
            out.start("source");
            out.start("address");
            out.attr("type", "pci");
            print_pci(pci, out);
            print_zpci(pci, out);
            out.end();
            out.end();
        } else if !self.site.is_none() {
            out.start("source");
            self.fields.print_attrs(out);
            self.fields.print_body(out);
            out.end_unless_empty();
        }
    }
    fn shape(shape: &mut Shape) {
        let mut source = Shape::of::<SourceFields>();
        let mut address = Shape::default();
        for name in ["type", "domain", "bus", "slot", "function"] {
            address.attr(name);
        }
        source.children.push(("address", address));
        shape.children.push(("source", source));
    }
}
