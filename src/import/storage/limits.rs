//! Limits of disks: groups of QEMU, those of one disk and those that several share.

use super::super::Import;
use super::super::element::Element;

/// Limits: QEMU's name, the element of `<iotune>`.
const LIMITS: &[(&str, &str)] = &[
    ("bps-total", "total_bytes_sec"),
    ("bps-read", "read_bytes_sec"),
    ("bps-write", "write_bytes_sec"),
    ("iops-total", "total_iops_sec"),
    ("iops-read", "read_iops_sec"),
    ("iops-write", "write_iops_sec"),
    ("bps-total-max", "total_bytes_sec_max"),
    ("bps-read-max", "read_bytes_sec_max"),
    ("bps-write-max", "write_bytes_sec_max"),
    ("iops-total-max", "total_iops_sec_max"),
    ("iops-read-max", "read_iops_sec_max"),
    ("iops-write-max", "write_iops_sec_max"),
    ("bps-total-max-length", "total_bytes_sec_max_length"),
    ("bps-read-max-length", "read_bytes_sec_max_length"),
    ("bps-write-max-length", "write_bytes_sec_max_length"),
    ("iops-total-max-length", "total_iops_sec_max_length"),
    ("iops-read-max-length", "read_iops_sec_max_length"),
    ("iops-write-max-length", "write_iops_sec_max_length"),
    ("iops-size", "size_iops_sec"),
];

impl Import {
    /// The groups of limits of a disk. One that only it has are its own limits; others are groups of the domain.
    pub(super) fn limits(
        &mut self,
        disk: &mut Element,
        groups: Vec<String>,
        device: Option<&str>,
    ) -> Vec<(&'static str, String)> {
        let mut own: Vec<(&'static str, String)> = Vec::new();
        let mut filters = Element::new("throttlefilters");
        for (at, id) in groups.into_iter().enumerate() {
            let Some((place, group)) = self.group(&id) else { continue };
            let name = id.strip_prefix("throttle-").unwrap_or(&id).to_string();
            let shared = name.strip_prefix("iotune-");
            let users = self
                .command
                .values("blockdev")
                .filter(|b| b.contains(&format!("\"{id}\"")) || b.contains(&format!("={id}")))
                .count();
            let alone = Some(name.as_str()) == device || !id.starts_with("throttle-");
            if at == 0 && own.is_empty() && (alone || shared.is_some()) {
                own = group.clone();
                let shared = shared.or((users > 1).then_some(name.as_str()));
                own.extend(shared.map(|name| ("group_name", name.to_string())));
                self.command.mark(place);
                continue;
            }
            self.command.mark(place);
            // The lowest comes first.
            filters.insert(Element::new("throttlefilter").attr("group", &name));
            self.keep_group(place, &name, group);
        }
        if !filters.is_empty() {
            disk.push(filters);
        }
        own
    }

    /// Place and limits of a group.
    fn group(&mut self, id: &str) -> Option<(usize, Vec<(&'static str, String)>)> {
        let (place, mut group) = self.command.any_by("object", "qom-type", "id", id)?;
        if group.get("qom-type") != Some("throttle-group") {
            return None;
        }
        group.take("qom-type");
        group.take("id");
        let mut limits = group.take_below("x-");
        limits.graft("", group.take_below("limits."));
        let mut out = Vec::new();
        for (key, name) in LIMITS {
            if let Some(value) = limits.take(key).filter(|v| v != "0") {
                out.push((*name, value));
            }
        }
        self.leave(&format!("the limits '{id}'"), limits);
        self.leave(&format!("the limits '{id}'"), group);
        Some((place, out))
    }

    /// Limits that no disk is under yet are kept for those that get under them.
    pub fn idle_groups(&mut self) {
        for (place, group) in self.command.find("object", "qom-type") {
            let (Some("throttle-group"), Some(id)) = (group.get("qom-type"), group.get("id")) else { continue };
            let Some((_, limits)) = self.group(id) else { continue };
            let name = id.strip_prefix("throttle-").unwrap_or(id);
            self.command.mark(place);
            self.keep_group(place, name, limits);
        }
    }

    /// A group of the domain, in the order of the command line.
    fn keep_group(&mut self, place: usize, name: &str, limits: Vec<(&'static str, String)>) {
        self.groups.entry(place).or_insert_with(|| {
            let mut element = Element::new("throttlegroup").child(Element::leaf("group_name", name));
            element.push_all(limits.into_iter().map(|(name, value)| Element::leaf(name, value)));
            element
        });
    }
}
