//! `<source>` of a disk, backing store, data store or SCSI host device.

use super::credentials::{Auth, Encryption};
use super::kinds::{Format, StartupPolicy, StorageKind, VolumeMode};
use super::network::Network;
use crate::bind::{Binder, Model, Part, Shape, model, print_as, print_attr};
use crate::device::address::{PciAddress, bind_pci, print_pci};
use crate::domain::seclabel::SourceSeclabel;
pub use crate::schema::words::SliceType;
use crate::vocab::YesNo;
use crate::xml::{El, Site, XmlWriter};

model! {
    /// `<slice>`: the part of the source that holds the image. Bytes.
    pub struct Slice = "slice" {
        attr kind: SliceType = "type",
        need offset: u64 = "offset",
        need size: u64 = "size",
    }
}

model! {
    /// `<reconnect enabled='…' timeout='…'/>` of a UNIX socket, seconds.
    pub struct Reconnect = "reconnect" {
        key enabled: YesNo = "enabled",
        attr timeout: u32 = "timeout",
    }
}

model! {
    /// A UNIX socket to connect to.
    pub struct SocketSource {
        attr kind: String = "type",
        attr path: String = "path",
        attr mode: String = "mode",
        child reconnect: Reconnect,
    }
}

model! {
    /// `<reservations>`: SCSI persistent reservations by way of a privileged helper.
    pub struct Reservations = "reservations" {
        need managed: YesNo = "managed",
        attr migration: YesNo = "migration",
        child source: SocketSource = "source",
    }
}

impl Reservations {
    /// Whether the helper belongs to the domain.
    pub fn is_managed(&self) -> bool {
        self.managed.is_some_and(YesNo::is_yes)
    }
}

/// A namespace of an NVMe drive of the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nvme {
    /// The drive.
    pub address: PciAddress,
    /// The namespace, from 1.
    pub namespace: u64,
    /// Whether the drive is taken from its host driver and given back.
    pub managed: Option<YesNo>,
}

/// A volume of a storage pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VolumeRef {
    /// The pool.
    pub pool: String,
    /// The volume.
    pub volume: String,
    /// How an iSCSI volume is reached.
    pub mode: Option<VolumeMode>,
}

/// Where the content is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Location {
    /// Nowhere: an empty drive.
    #[default]
    Empty,
    /// A path; the kind says of what.
    Path(String),
    /// At a server.
    Network(Box<Network>),
    /// In a storage pool.
    Volume(VolumeRef),
    /// On an NVMe drive.
    Nvme(Nvme),
    /// Behind a vhost-user backend.
    VhostUser(SocketSource),
}

/// Where the content of a disk is, and how it is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StorageSource {
    /// What the source is: the `type` of the element around it.
    pub kind: StorageKind,
    /// Where it is.
    pub location: Location,
    /// Descriptors that the launcher hands in.
    pub fdgroup: Option<String>,
    /// What to do when it is not there.
    pub startup: Option<StartupPolicy>,
    /// The part that holds the image.
    pub slices: Vec<Slice>,
    /// Labels.
    pub seclabels: Vec<SourceSeclabel>,
    /// Credentials.
    pub auth: Option<Auth>,
    /// Encryption.
    pub encryption: Option<Encryption>,
    /// Persistent reservations.
    pub reservations: Option<Reservations>,
    /// Where a qcow2 image keeps its data, when not in itself.
    pub data_store: Option<Box<Layer>>,
    /// Where it stands.
    pub site: Site,
}

impl StorageKind {
    /// The attribute of `<source>` that holds the path.
    fn path_attribute(self) -> &'static str {
        match self {
            StorageKind::Block | StorageKind::Vhostvdpa => "dev",
            StorageKind::Dir => "dir",
            _ => "file",
        }
    }
}

impl StorageSource {
    /// Reads the `<source>` child of `el`, whose type is `kind`.
    pub fn bind_child(&mut self, kind: StorageKind, el: El<'_>, cx: &mut Binder<'_>) {
        self.kind = kind;
        if let Some(source) = el.child("source") {
            self.bind(source, cx);
        }
    }

    fn bind_location(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.location = match self.kind {
            StorageKind::Network => {
                let mut network = Network::default();
                network.bind(el, cx);
                Location::Network(Box::new(network))
            }
            StorageKind::Volume => {
                let (pool, volume) = (cx.attr(el, "pool"), cx.attr(el, "volume"));
                let mode = cx.attr(el, "mode");
                match (pool, volume) {
                    (Some(pool), Some(volume)) => Location::Volume(VolumeRef { pool, volume, mode }),
                    _ => Location::Empty,
                }
            }
            StorageKind::Nvme => {
                cx.need::<String>(el, "type");
                let namespace = cx.need(el, "namespace").unwrap_or(0);
                let managed = cx.attr(el, "managed");
                let address = el.child("address").map(|a| bind_pci(a, cx)).unwrap_or_default();
                Location::Nvme(Nvme { address, namespace, managed })
            }
            StorageKind::Vhostuser => {
                let mut socket = SocketSource::default();
                socket.bind(el, cx);
                Location::VhostUser(socket)
            }
            kind => match cx.attr::<String>(el, kind.path_attribute()) {
                // An empty path is how some programs say that there is no medium.
                Some(path) if !path.is_empty() => Location::Path(path),
                _ => Location::Empty,
            },
        };
    }

    /// Whether libvirt would print the element: it has an attribute or a child.
    pub fn says_something(&self) -> bool {
        !matches!(self.location, Location::Empty)
            || self.fdgroup.is_some()
            || self.startup.is_some()
            || !self.slices.is_empty()
            || !self.seclabels.is_empty()
            || self.auth.is_some()
            || self.encryption.is_some()
            || self.reservations.is_some()
            || self.data_store.is_some()
    }

    /// Whether the drive has no content.
    pub fn is_empty(&self) -> bool {
        match &self.location {
            Location::Empty => true,
            Location::Network(network) => network.protocol.is_none(),
            _ => false,
        }
    }

    /// The path, where the source is one.
    pub fn path(&self) -> Option<&str> {
        match &self.location {
            Location::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The server's side of a network source.
    pub fn network(&self) -> Option<&Network> {
        match &self.location {
            Location::Network(network) => Some(network),
            _ => None,
        }
    }

    /// The part of the source that holds the image, if not all of it.
    pub fn slice(&self) -> Option<&Slice> {
        self.slices.first()
    }
}

impl Part for StorageSource {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.bind_location(el, cx);
        self.fdgroup = cx.attr(el, "fdgroup");
        self.startup = cx.attr(el, "startupPolicy");
        // The position in the chain of a running guest means nothing to a new one.
        el.attr("index");
        if let Some(slices) = el.child("slices") {
            self.slices = slices.children_named("slice").map(|s| Slice::read(s, cx)).collect();
            // The only type is looked for by its name.
            self.slices.retain(|s| s.kind.is_some());
        }
        self.seclabels = crate::domain::seclabel::read_of_source(el, cx);
        self.auth = el.child("auth").map(|a| Auth::read(a, cx));
        self.encryption = el.child("encryption").map(|e| Encryption::read(e, cx));
        self.reservations = el.child("reservations").map(|r| Reservations::read(r, cx));
        self.data_store = el.child("dataStore").map(|d| {
            let mut layer = Layer::default();
            layer.bind(d, cx);
            Box::new(layer)
        });
    }

    fn print_attrs(&self, out: &mut XmlWriter) {
        match &self.location {
            Location::Empty => {}
            Location::Path(path) => out.attr(self.kind.path_attribute(), path),
            Location::Network(network) => network.print_attrs(out),
            Location::Volume(volume) => {
                out.attr("pool", &volume.pool);
                out.attr("volume", &volume.volume);
                print_attr(out, "mode", &volume.mode);
            }
            Location::Nvme(nvme) => {
                out.attr("type", "pci");
                print_attr(out, "managed", &nvme.managed);
                out.attr_display("namespace", nvme.namespace);
            }
            Location::VhostUser(socket) => socket.print_attrs(out),
        }
        print_attr(out, "fdgroup", &self.fdgroup);
        print_attr(out, "startupPolicy", &self.startup);
    }

    fn print_body(&self, out: &mut XmlWriter) {
        match &self.location {
            Location::Network(network) => network.print_body(out),
            Location::Nvme(nvme) => {
                out.start("address");
                print_pci(&nvme.address, out);
                out.end();
            }
            Location::VhostUser(socket) => socket.print_body(out),
            _ => {}
        }
        if !self.slices.is_empty() {
            out.start("slices");
            self.slices.iter().for_each(|s| s.print(out));
            out.end();
        }
        self.seclabels.iter().for_each(|s| s.print(out));
        if let Some(auth) = &self.auth {
            auth.print(out);
        }
        if let Some(encryption) = &self.encryption {
            encryption.print(out);
        }
        if let Some(reservations) = &self.reservations {
            reservations.print(out);
        }
        if let Some(layer) = &self.data_store {
            print_as("dataStore", layer, out);
        }
    }

    fn shape(shape: &mut Shape) {
        for name in [
            "file",
            "dev",
            "dir",
            "pool",
            "volume",
            "mode",
            "type",
            "managed",
            "namespace",
            "path",
            "fdgroup",
            "startupPolicy",
            "index",
        ] {
            shape.attr(name);
        }
        Network::shape(shape);
        let mut address = Shape::default();
        ["domain", "bus", "slot", "function"].into_iter().for_each(|name| address.attr(name));
        shape.children.push(("address", address));
        shape.child::<Reconnect>("reconnect");
        let mut slices = Shape::default();
        slices.child::<Slice>("slice");
        shape.children.push(("slices", slices));
        shape.child::<SourceSeclabel>("seclabel");
        shape.child::<Auth>("auth");
        shape.child::<Encryption>("encryption");
        shape.child::<Reservations>("reservations");
        // A data store is a source again; naming its own children once is enough.
        let mut store = Shape::default();
        store.attr("type");
        store.child::<LayerFormat>("format");
        shape.children.push(("dataStore", store));
    }
}

model! {
    /// `<metadata_cache>`: how much of a qcow2 image's tables is kept in memory.
    pub struct MetadataCache = "metadata_cache" {
        child max_size: MaxSize = "max_size",
    }
}

/// `<max_size unit='…'>`, printed in bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MaxSize {
    /// Bytes.
    pub bytes: u64,
}

impl Part for MaxSize {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        let unit: Option<String> = cx.attr(el, "unit");
        let number: u64 = cx.text(el).unwrap_or(0);
        let size = crate::vocab::Size::of(number, unit.as_deref().unwrap_or("bytes"));
        match size {
            Some(size) => self.bytes = size.0,
            None => {
                let message = format!("'{}' is no 'unit' that <max_size> knows", unit.unwrap_or_default());
                cx.diags.error(&crate::diag::codes::schema::WRONG_VALUE, el.span(), message);
            }
        }
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        out.attr("unit", "bytes");
    }
    fn print_body(&self, out: &mut XmlWriter) {
        out.text(&self.bytes.to_string());
    }
    fn shape(shape: &mut Shape) {
        shape.attr("unit");
        shape.text = true;
    }
}

model! {
    /// `<format>` of a backing store.
    pub struct LayerFormat = "format" {
        need kind: Format = "type",
        child cache: MetadataCache,
    }
}

/// `<backingStore>` or `<dataStore>`: an image below another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    /// What the source is; none: the chain ends here.
    pub kind: Option<StorageKind>,
    /// The format.
    pub format: Option<LayerFormat>,
    /// Where it is.
    pub source: StorageSource,
    /// The next image below; none: not known.
    pub backing: Option<Box<Layer>>,
    /// Whether it holds something, and does not say what it is: libvirt drops that.
    pub untyped: bool,
    /// Where it stands.
    pub site: Site,
}

impl Part for Layer {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.kind = cx.attr(el, "type");
        // See the attribute of the same name of <source>.
        el.attr("index");
        let Some(kind) = self.kind else {
            self.untyped = el.peek("type").is_none() && el.children().next().is_some();
            el.mark_all();
            return;
        };
        self.format = el.child("format").map(|f| LayerFormat::read(f, cx));
        self.source.bind_child(kind, el, cx);
        self.backing = bind_backing(el, cx);
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "type", &self.kind);
    }
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(format) = &self.format {
            format.print(out);
        }
        if self.source.says_something() {
            print_as("source", &self.source, out);
        }
        if let Some(backing) = &self.backing {
            print_as("backingStore", backing, out);
        }
    }
    fn shape(shape: &mut Shape) {
        shape.attr("type");
        shape.attr("index");
        shape.child::<LayerFormat>("format");
        shape.child::<StorageSource>("source");
        shape.children.push(("backingStore", Shape::default()));
    }
}

/// Reads the `<backingStore>` child of an element.
pub fn bind_backing(el: El<'_>, cx: &mut Binder<'_>) -> Option<Box<Layer>> {
    el.child("backingStore").map(|b| {
        let mut layer = Layer::default();
        layer.bind(b, cx);
        Box::new(layer)
    })
}
