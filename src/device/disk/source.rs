//! `<source>` of a disk: which attributes it has depends on the type of the disk.

use crate::domain::model::{Binder, Part, Shape};
use crate::vocab::keywords;
use crate::xml::{El, Site, XmlWriter};

keywords! {
    /// The format of an image.
    pub enum Format {
        None = "none",
        Raw = "raw",
        Dir = "dir",
        Bochs = "bochs",
        Cloop = "cloop",
        Dmg = "dmg",
        Iso = "iso",
        Vpc = "vpc",
        Vdi = "vdi",
        Fat = "fat",
        Vhd = "vhd",
        Ploop = "ploop",
        Cow = "cow",
        Qcow = "qcow",
        Qcow2 = "qcow2",
        Qed = "qed",
        Vmdk = "vmdk",
    }
}

/// Where the content of a disk is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiskSource {
    /// Path of the file, block device or directory; none for an empty drive.
    pub path: Option<String>,
    /// The attribute that named it: `file`, `dev` or `dir`.
    pub attribute: &'static str,
    /// Where it stands.
    pub site: Site,
}

impl Part for DiskSource {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.attribute = match el.peek("type").map(|a| a.value()) {
            Some("block") => "dev",
            Some("dir") => "dir",
            _ => "file",
        };
        if let Some(source) = el.child("source") {
            self.site = source.site();
            self.path = cx.attr(source, self.attribute);
        }
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(path) = &self.path {
            out.start("source");
            out.attr(self.attribute, path);
            out.end();
        }
    }
    fn shape(shape: &mut Shape) {
        let mut source = Shape::default();
        source.attrs = vec!["file", "dev", "dir"];
        shape.children.push(("source", source));
    }
}
