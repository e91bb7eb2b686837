//! The nodes of a chain of images.

use super::access::{self, ImageUse};
use super::backend::{Backend, backend};
use super::{nbdkit, secrets};
use crate::caps::Cap;
use crate::device::storage::{
    Auth, Encryption, EncryptionEngine, EncryptionFormat, Format, Layer, Location, StorageKind, StorageSource,
};
use crate::domain::seclabel::SourceSeclabel;
use crate::plan::{Prop, Props};
use crate::stage::Lower;

/// What a disk says about every image of its chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChainOptions<'a> {
    /// `direct` and `no-flush`.
    pub cache: Option<(bool, bool)>,
    /// How requests are submitted.
    pub aio: Option<&'static str>,
    /// What happens to discarded blocks.
    pub discard: Option<&'static str>,
    /// Whether blocks of zeroes are recognised.
    pub detect_zeroes: Option<&'static str>,
    /// Whether they are recognised below the topmost image, too.
    pub zeroes_below: bool,
    /// Whether filters above the images pass on what is discarded.
    pub filters_discard: bool,
    /// Whether qcow2 keeps discarded clusters.
    pub discard_no_unref: Option<bool>,
    /// Tables of the topmost image that are kept in memory, bytes.
    pub metadata_cache: Option<u64>,
    /// Whether the guest can only read.
    pub readonly: bool,
    /// Whether other guests may write.
    pub shareable: bool,
    /// Whether the content is lost at the end.
    pub floppy: bool,
    /// Whether it is an optical drive.
    pub cdrom: bool,
    /// Name of the disk, for causes.
    pub disk: &'a str,
}

/// The topmost image of a chain.
pub struct Chain<'a> {
    /// Where it is.
    pub source: &'a StorageSource,
    /// Its format.
    pub format: Format,
    /// Credentials.
    pub auth: Option<&'a Auth>,
    /// Encryption.
    pub encryption: Option<&'a Encryption>,
    /// The image below.
    pub backing: Option<&'a Layer>,
    /// The number of its nodes; those below follow.
    pub number: u32,
}

/// One image of a chain.
struct Image<'a> {
    source: &'a StorageSource,
    format: Format,
    auth: Option<&'a Auth>,
    encryption: Option<&'a Encryption>,
    metadata_cache: Option<u64>,
    number: u32,
    top: bool,
    /// Labels of the topmost image.
    labels: &'a [SourceSeclabel],
    readonly: bool,
    /// Node of the data file.
    data: Option<String>,
}

/// How the format node names what lies below.
enum Below {
    /// Not known: QEMU reads it from the image.
    Unknown,
    /// Nothing.
    Nothing,
    /// This node.
    Node(String),
}

/// Adds the nodes of a chain, the lowest image first. Gives the name of the topmost node.
pub fn chain(chain: &Chain<'_>, options: &ChainOptions<'_>, lx: &mut Lower<'_>) -> Option<String> {
    // From the top down: numbers go that way; then from the bottom up: nodes go that way.
    let mut layers = Vec::new();
    // Where the chain goes on in headers.
    let mut headers = None;
    let mut number = chain.number + 1 + u32::from(chain.source.data_store.is_some());
    let mut next = chain.backing;
    let mut ended = false;
    while let Some(layer) = next {
        if layer.kind.is_none() {
            ended = true;
            break;
        }
        layers.push((layer, number));
        number += 1 + u32::from(layer.source.data_store.is_some());
        next = layer.backing.as_deref();
    }
    if !ended {
        let (source, format) = match layers.last() {
            Some((layer, _)) => (&layer.source, layer.format.as_ref().and_then(|f| f.kind).unwrap_or(Format::Raw)),
            None => (chain.source, chain.format),
        };
        if let Location::Path(path) = &source.location {
            let site = if source.site.is_none() { lx.domain.site } else { source.site };
            headers = Some((path.clone(), format, site));
        }
    }
    let mut below = if ended { Below::Nothing } else { Below::Unknown };
    for (layer, number) in layers.into_iter().rev() {
        let format = layer.format.as_ref();
        let mut image = Image {
            source: &layer.source,
            format: format.and_then(|f| f.kind).unwrap_or(Format::Raw),
            auth: layer.source.auth.as_ref(),
            encryption: layer.source.encryption.as_ref(),
            metadata_cache: format.and_then(|f| f.cache.as_ref()).and_then(|c| c.max_size.as_ref()).map(|s| s.bytes),
            number,
            top: false,
            labels: &chain.source.seclabels,
            readonly: true,
            data: None,
        };
        image.data = data_file(&image, options, lx);
        below = Below::Node(self::image(&image, below, options, lx)?);
    }
    let mut top = Image {
        source: chain.source,
        format: chain.format,
        auth: chain.auth,
        encryption: chain.encryption,
        metadata_cache: options.metadata_cache,
        number: chain.number,
        top: true,
        labels: &chain.source.seclabels,
        readonly: options.readonly,
        data: None,
    };
    top.data = data_file(&top, options, lx);
    let node = self::image(&top, below, options, lx);
    if let Some((path, format, site)) = headers {
        crate::stage::chain::chain(&path, format, options.disk, &chain.source.seclabels, site, lx);
    }
    node
}

/// Adds the nodes of the data file of an image; gives the name of the topmost.
fn data_file(of: &Image<'_>, options: &ChainOptions<'_>, lx: &mut Lower<'_>) -> Option<String> {
    let layer = of.source.data_store.as_deref()?;
    let data = Image {
        source: &layer.source,
        format: Format::Raw,
        auth: layer.source.auth.as_ref(),
        encryption: layer.source.encryption.as_ref(),
        metadata_cache: None,
        number: of.number + 1,
        top: false,
        labels: of.labels,
        readonly: of.readonly,
        data: None,
    };
    image(&data, Below::Unknown, options, lx)
}

impl Image<'_> {
    fn luks(&self) -> bool {
        self.encryption.is_some_and(|e| e.engine != Some(EncryptionEngine::Librbd)) && self.format == Format::Raw
    }

    /// Whether the bytes are not the content as it stands. Block jobs of older QEMUs write the name of
    /// the topmost node into other images, for which it must be a format node.
    fn has_format_node(&self, lx: &Lower<'_>) -> bool {
        self.format != Format::Raw
            || self.luks()
            || self.source.kind == StorageKind::Dir
            || !lx.has(Cap::BlockjobBackingMaskProtocol)
    }
}

/// Adds the nodes of one image; gives the name of the topmost.
fn image(image: &Image<'_>, below: Below, options: &ChainOptions<'_>, lx: &mut Lower<'_>) -> Option<String> {
    let site = if image.source.site.is_none() { lx.domain.site } else { image.source.site };
    let storage = format!("libvirt-{}-storage", image.number);
    let format_node = format!("libvirt-{}-format", image.number);
    let by_nbdkit = nbdkit::serves(image.source, lx);
    secrets::objects(image.source, image.auth, image.encryption, &storage, by_nbdkit, lx);
    let access = ImageUse {
        readonly: image.readonly,
        shareable: options.shareable && image.top,
        top: image.top,
        labels: image.labels,
        what: options.disk,
        site,
    };
    let layered = image.has_format_node(lx);
    let slice = image.source.slice();
    let mut node = storage.clone();
    let mut props = if by_nbdkit {
        let Image { source, auth, readonly, .. } = *image;
        nbdkit::Fetched { source, auth, readonly, node: &storage, disk: options.disk }.node(lx)
    } else {
        let how = Backend {
            source: image.source,
            auth: image.auth,
            encryption: image.encryption,
            node: &storage,
            aio: options.aio,
            floppy: options.floppy,
            cdrom: options.cdrom,
            readonly: image.readonly,
        };
        let props = backend(&how, lx)?;
        access::source(image.source, &access, lx);
        props
    };
    props.set("node-name", storage);
    let one_descriptor = lx.hands_over_descriptors()
        && image.source.fdgroup.as_deref().and_then(|g| lx.env.host.fd_group(g)).is_some_and(|g| g.count == 1);
    if layered || slice.is_some() {
        common(&mut props, image, options, if one_descriptor { Layered::Fixed } else { Layered::Below });
    } else {
        common(&mut props, image, options, Layered::Top);
    }
    lx.blockdev(props, site, "disk");
    if let Some(slice) = slice {
        let name = format!("libvirt-{}-slice-sto", image.number);
        let mut props = Props::driver("raw");
        let offset = lx.must(slice.offset, "the offset of a <slice>", slice.site);
        let size = lx.must(slice.size, "the size of a <slice>", slice.site);
        props.set("file", node).set("offset", offset).set("size", size);
        props.set("node-name", name.clone());
        common(&mut props, image, options, if layered { Layered::Below } else { Layered::Top });
        lx.blockdev(props, site, "disk");
        node = name;
    }
    if !layered {
        return Some(node);
    }
    let mut props = Props::with("node-name", format_node.clone());
    common(&mut props, image, options, Layered::Top);
    format(&mut props, image, options);
    props.set("file", node);
    match below {
        Below::Unknown => {}
        _ if !image.format.has_backing() => {}
        Below::Nothing => {
            props.set("backing", Prop::Null);
        }
        Below::Node(name) => {
            props.set("backing", name);
        }
    }
    lx.blockdev(props, site, "disk");
    Some(format_node)
}

/// Which node of an image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layered {
    /// Below others.
    Below,
    /// Below others, with one descriptor, so that it cannot be reopened for writing.
    Fixed,
    /// The topmost.
    Top,
}

/// Adds the properties that all nodes have.
fn common(props: &mut Props, image: &Image<'_>, options: &ChainOptions<'_>, place: Layered) {
    match place {
        Layered::Below => {
            props.set("auto-read-only", true).set("discard", "unmap");
        }
        Layered::Fixed => {
            props.set("read-only", image.readonly).set("discard", "unmap");
        }
        Layered::Top => {
            props.set("read-only", image.readonly).maybe("discard", options.discard);
            if image.top || options.zeroes_below {
                props.maybe("detect-zeroes", options.detect_zeroes);
            }
        }
    }
    if let Some((direct, no_flush)) = options.cache {
        let mut cache = Props::with("direct", direct);
        cache.set("no-flush", no_flush);
        props.set("cache", cache);
    }
}

/// Adds driver and options of a format node.
fn format(props: &mut Props, image: &Image<'_>, options: &ChainOptions<'_>) {
    let secret = || secrets::encryption_id(&format!("libvirt-{}-format", image.number), 0);
    if image.luks() {
        props.set("driver", "luks").set("key-secret", secret());
        return;
    }
    props.set("driver", driver(image.format));
    if !matches!(image.format, Format::Qcow | Format::Qcow2) {
        return;
    }
    if let Some(encryption) = image.encryption.filter(|e| e.engine != Some(EncryptionEngine::Librbd)) {
        let kind = if encryption.format == Some(EncryptionFormat::Qcow) { "aes" } else { "luks" };
        let mut encrypt = Props::with("format", kind);
        encrypt.set("key-secret", secret());
        props.set("encrypt", encrypt);
    }
    props.maybe("cache-size", image.metadata_cache);
    props.maybe("discard-no-unref", options.discard_no_unref);
    props.maybe("data-file", image.data.clone());
}

/// QEMU's name of a format.
fn driver(format: Format) -> &'static str {
    match format {
        // A directory is served as a file system; the content is that.
        Format::Fat | Format::None => "raw",
        Format::Ploop => "parallels",
        Format::Vhd => "vhdx",
        other => other.as_str(),
    }
}
