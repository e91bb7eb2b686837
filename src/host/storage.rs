//! Host facts about paths: where links lead, what the headers of images name, which file systems are mounted.

use super::facts::Path;
use super::kdl::Reader;
use super::{Host, Lines};
use ::kdl::KdlNode;

/// A symbolic link, or a folder behind one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// The path that may stand in a domain.
    pub path: String,
    /// Where it leads, without any link.
    pub to: String,
}

/// What the header of an image says. Only what is here is followed; a domain's guest may have written it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// The image.
    pub path: String,
    /// The image below it.
    pub backing: Option<String>,
    /// The format of that image, as the header has it.
    pub backing_format: Option<String>,
    /// The file with its content (qcow2 with an external data file).
    pub data_file: Option<String>,
}

/// A mounted file system that treats labels otherwise than the root does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    /// Where.
    pub path: String,
    /// Its type, as the kernel names it: `nfs4`.
    pub kind: String,
    /// Whether its files carry SELinux labels of their own.
    pub labels: bool,
}

pub(super) fn read_link(r: &mut Reader, node: &KdlNode) -> Option<Link> {
    let mut e = r.entries(node);
    let path: Option<Path> = e.required_arg("the path");
    let to: Option<Path> = e.required_prop("to");
    e.finish();
    r.no_children(node);
    Some(Link { path: path?.0, to: to?.0 })
}

pub(super) fn read_image(r: &mut Reader, node: &KdlNode) -> Option<Image> {
    let mut e = r.entries(node);
    let path: Option<Path> = e.required_arg("the path");
    let backing: Option<Path> = e.prop("backing");
    let backing_format = e.prop("backing-format");
    let data_file: Option<Path> = e.prop("data-file");
    e.finish();
    r.no_children(node);
    Some(Image { path: path?.0, backing: backing.map(|p| p.0), backing_format, data_file: data_file.map(|p| p.0) })
}

pub(super) fn read_mount(r: &mut Reader, node: &KdlNode) -> Option<Mount> {
    let mut e = r.entries(node);
    let path: Option<Path> = e.required_arg("the path");
    let kind: Option<String> = e.required_prop("type");
    let labels = e.prop("labels").unwrap_or(false);
    e.finish();
    r.no_children(node);
    Some(Mount { path: path?.0, kind: kind?, labels })
}

/// Writes the nodes.
pub(super) fn write(w: &mut Lines, host: &Host) {
    if !(host.links.is_empty() && host.images.is_empty() && host.mounts.is_empty()) {
        w.gap();
    }
    for mount in &host.mounts {
        w.node("mount").text(&mount.path).prop("type", &mount.kind);
        if mount.labels {
            w.prop_truth("labels", true);
        }
    }
    for link in &host.links {
        w.node("link").text(&link.path).prop("to", &link.to);
    }
    for image in &host.images {
        w.node("image").text(&image.path).prop_if("backing", image.backing.as_deref());
        w.prop_if("backing-format", image.backing_format.as_deref()).prop_if("data-file", image.data_file.as_deref());
    }
}

/// What of a path lies behind a folder: nothing, or `/` and more.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

impl Host {
    /// Where a path leads if links are on its way.
    pub fn resolve(&self, path: &str) -> Option<String> {
        if self.links.is_empty() {
            return None;
        }
        let mut now = path.to_string();
        // Links may lead to links; the kernel gives up after 40.
        for _ in 0..40 {
            let longest = |link: &&Link| link.path.len();
            let Some(link) = self.links.iter().filter(|l| below(&now, &l.path).is_some()).max_by_key(longest) else {
                break;
            };
            let Some(rest) = below(&now, &link.path) else { break };
            let next = format!("{}{rest}", link.to.trim_end_matches('/'));
            if next == now {
                break;
            }
            now = next;
        }
        (now != path).then_some(now)
    }

    /// What the header of an image says.
    pub fn image(&self, path: &str) -> Option<&Image> {
        self.images.iter().find(|i| i.path == path)
    }

    /// The mounted file system that a path lies on, among those that are known.
    pub fn mount_of(&self, path: &str) -> Option<&Mount> {
        self.mounts.iter().filter(|m| below(path, &m.path).is_some()).max_by_key(|m| m.path.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_folders_and_of_links() {
        let link = |path: &str, to: &str| Link { path: path.into(), to: to.into() };
        let mut host = Host::default();
        assert_eq!(host.resolve("/a"), None);
        host.links = vec![link("/images", "/srv/data/"), link("/srv/data/a", "/dev/sda"), link("/loop", "/loop")];
        assert_eq!(host.resolve("/images/a").as_deref(), Some("/dev/sda"));
        assert_eq!(host.resolve("/images/b/c").as_deref(), Some("/srv/data/b/c"));
        assert_eq!(host.resolve("/imagesb"), None);
        assert_eq!(host.resolve("/loop"), None);
    }
}
