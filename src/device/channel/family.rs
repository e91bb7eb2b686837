//! Channels: what the passes ask of the family.

use super::{Channel, ChannelTarget, ChannelTargetType, SPICE_AGENT, is_generated};
use crate::device::address::Address;
use crate::device::chardev::{self, SourceKind, SourceMode, lower::Chardev};
use crate::device::controller::ControllerKind;
use crate::device::family::Family;
use crate::device::info::DeviceInfo;
use crate::diag::codes::{address, chardev as codes, schema};
use crate::domain::Domain;
use crate::plan::{Cause, Directory, DirectoryRole, Need, Prop, Props, Use};
use crate::stage::Lower;
use crate::stage::{Cx, Machine};

impl Family for Channel {
    fn defaults(&mut self, _: &Machine, cx: &mut Cx<'_>) {
        if let Some(target) = &mut self.target {
            target.state = None;
            if target.kind != Some(ChannelTargetType::Guestfwd) {
                (target.address, target.port) = (None, None);
            }
        }
        if self.source.kind() != SourceKind::Unix {
            return;
        }
        // Sockets that libvirt generated are generated anew, as the name of the domain may have changed.
        let dir = &cx.env.host.directories.channel_target;
        if self.target_type() == Some(ChannelTargetType::Virtio)
            && self.source.path.as_deref().is_some_and(|path| is_generated(path, dir, self.name()))
        {
            self.source.path = None;
        }
        if self.source.path.is_none() {
            self.source.mode = Some(SourceMode::Bind);
        }
    }

    fn rules(&self, domain: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        chardev::rules::rules(&self.source, self.site, cx);
        let Some(target) = &self.target else {
            cx.error(
                &codes::TARGET,
                self.site,
                "<target> of a channel tells by its type how the guest sees it; it must be there",
            )
            .help("add <target type='virtio' name='org.qemu.guest_agent.0'/>");
            return;
        };
        match target.kind {
            Some(ChannelTargetType::Guestfwd) => self.guestfwd(target, cx),
            Some(ChannelTargetType::Xen) => {
                cx.error(
                    &codes::TARGET,
                    target.site,
                    "<target type='xen'> of a channel: that is Xen's, and QEMU has none of it",
                )
                .help("use type='virtio'");
            }
            _ => {}
        }
        if target.kind != Some(ChannelTargetType::Virtio) {
            chardev::rules::unix_needs_path(&self.source, self.source.site, cx);
        }
        let name = target.name.as_deref();
        if self.source.kind() == SourceKind::Spicevmc && name.is_some_and(|n| n != SPICE_AGENT) {
            cx.error_at(
                &codes::TARGET,
                target.site,
                "name",
                format!(
                    "a channel of type 'spicevmc' is found by the SPICE agent under its own name, not '{}'",
                    name.unwrap_or("")
                ),
            )
            .help(format!("use name='{SPICE_AGENT}'"));
        }
        // A socket is named after the channel when the XML names none.
        if self.source.kind() == SourceKind::Unix
            && self.source.path.is_none()
            && cx.env.is_guardian()
            && let Some(name) = name.filter(|n| n.contains('/') || matches!(*n, "." | ".."))
        {
            cx.error_at(
                &codes::TARGET,
                target.site,
                "name",
                format!("'{name}' cannot be the name of the channel's socket"),
            )
            .help("use a name without '/', or give <source mode='bind' path='…'/>");
        }
        let _ = domain;
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let generated = self.generated_socket(lx);
        let of = Chardev {
            id: &self.info.id,
            site: self.site,
            family: "channel",
            usage: Use::CharacterDevice,
            spicevmc: "vdagent",
            generated: generated.as_deref(),
        };
        let id = chardev::lower::chardev(&self.source, of, lx);
        let Some(target) = &self.target else { return };
        if target.kind == Some(ChannelTargetType::Guestfwd) {
            let address = lx.must(target.address.clone(), "the address of the channel", target.site);
            let port = lx.must(target.port, "the port of the channel", target.site);
            lx.need(Need::Inet, self.site, "channel");
            let forward = format!("tcp:{address}:{port}-chardev:{id}");
            let mut netdev = Props::with("type", "user");
            netdev.set("guestfwd", vec![Prop::from(Props::with("str", forward))]).set("id", self.info.id.clone());
            lx.netdev(netdev, self.site);
            return;
        }
        let mut props = Props::driver("virtserialport");
        port(&mut props, &self.info, lx);
        props.set("chardev", id).set("id", self.info.id.clone());
        let default = (self.source.kind() == SourceKind::Spicevmc).then(|| SPICE_AGENT.to_string());
        props.maybe("name", target.name.clone().or(default));
        lx.device(props, self);
    }
}

/// Adds `bus` and `nr` of a port on a virtio-serial controller.
pub fn port(props: &mut Props, info: &DeviceInfo, lx: &mut Lower<'_>) {
    match &info.address.address {
        Some(Address::VirtioSerial { controller, bus, port }) => {
            let id = lx.controller_id(ControllerKind::VirtioSerial, *controller);
            props.set("bus", format!("{id}.{bus}")).maybe("nr", *port);
        }
        None | Some(Address::Ccw(_)) => lx.address(props, info),
        Some(other) => {
            let kind = other.kind();
            let message = format!("a virtio serial device cannot be at an address of type '{kind}': it is invalid");
            lx.error(&address::KIND, info.address_site(), message).help("use type='virtio-serial', or no <address>");
        }
    }
}

impl Channel {
    fn guestfwd(&self, target: &ChannelTarget, cx: &mut Cx<'_>) {
        let address = target.address.as_deref();
        if address.is_none() {
            cx.error(
                &schema::MISSING_ATTRIBUTE,
                target.site,
                "<target type='guestfwd'> lacks its address: the channel must define one",
            );
        }
        if let Some(address) = address
            && address.parse::<std::net::Ipv4Addr>().is_err()
        {
            cx.error_at(
                &codes::TARGET,
                target.site,
                "address",
                format!("a guestfwd channel is in QEMU's IPv4 network: '{address}' is no address there"),
            )
            .help("use an address of the guest's user-mode network, such as 10.0.2.100");
        }
        if target.port.is_none() {
            cx.error(
                &schema::MISSING_ATTRIBUTE,
                target.site,
                "<target type='guestfwd'> lacks its port: the channel must define one",
            );
        }
    }

    /// Where QEMU listens when the XML names no socket.
    fn generated_socket(&self, lx: &mut Lower<'_>) -> Option<String> {
        if self.source.kind() != SourceKind::Unix || self.source.path.is_some() {
            return None;
        }
        let file = match (self.name(), &self.info.address.address) {
            (Some(name), _) => name.replace('/', "_"),
            (None, Some(Address::VirtioSerial { controller, bus, port })) => {
                format!("vioser-{controller:02}-{bus:02}-{:02}.sock", port.unwrap_or(0))
            }
            (None, _) => format!("{}.sock", self.info.id),
        };
        let dir = if lx.env.has_parent() {
            format!("{}/{}", lx.env.host.directories.channel_target, lx.paths.short)
        } else {
            format!("{}/channel", lx.paths.run)
        };
        if !lx.plan.directories.iter().any(|d| d.path == dir) {
            let cause = Cause { is_default: true, ..lx.cause(self.site, "default: sockets of channels") };
            lx.plan.directories.push(Directory { role: DirectoryRole::Runtime, path: dir.clone(), mode: 0o700, cause });
        }
        Some(format!("{dir}/{file}"))
    }
}
