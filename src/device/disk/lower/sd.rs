//! SD cards: the board has the slot, so that only `-drive if=sd` reaches it.

use crate::device::disk::Disk;
use crate::device::storage::StorageKind;
use crate::device::storage::lower::{Backend, Chain, ChainOptions, ImageUse, backend, objects, touch};
use crate::plan::Props;
use crate::stage::Lower;

/// Adds the `-drive` of an SD card.
pub fn drive(disk: &Disk, chain: &Chain<'_>, options: &ChainOptions<'_>, lx: &mut Lower<'_>) {
    let node = format!("drive-{}", disk.info.id);
    let how = Backend {
        source: chain.source,
        auth: chain.auth,
        encryption: chain.encryption,
        node: &node,
        aio: None,
        floppy: false,
        cdrom: false,
        readonly: options.readonly,
    };
    objects(chain.source, chain.auth, chain.encryption, &node, false, lx);
    let Some(file) = backend(&how, lx) else { return };
    let how = ImageUse {
        readonly: options.readonly,
        shareable: options.shareable,
        top: true,
        labels: &chain.source.seclabels,
        what: disk.dev(),
        site: disk.site,
    };
    touch(chain.source, &how, lx);
    let mut props = Props::new();
    match chain.source.path() {
        Some(path) if chain.source.kind != StorageKind::Dir => props.set("file", path.to_string()),
        _ => props.set("file", file),
    };
    let index = lx.must(disk.number(), "the number in the name of the disk", disk.site);
    props.set("format", chain.format.as_str()).set("if", "sd").set("index", index);
    if options.readonly {
        props.set("readonly", true);
    }
    props.maybe("discard", options.discard).maybe("detect-zeroes", options.detect_zeroes);
    if disk.cache() != crate::device::disk::Cache::Default {
        props.set("cache", disk.cache().as_str());
    }
    props.maybe("aio", options.aio);
    lx.options("-drive", props, disk.site, "SD card");
}
