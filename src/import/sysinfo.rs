//! `-smbios` and `-fw_cfg`: what firmware tells the guest.

use super::Import;
use super::element::Element;

/// Number of an SMBIOS table, its element, the name of its entries in both worlds.
const TABLES: &[(&str, &str, &[&str])] = &[
    ("0", "bios", &["vendor", "version", "date", "release"]),
    ("1", "system", &["manufacturer", "product", "version", "serial", "uuid", "sku", "family"]),
    ("2", "baseBoard", &["manufacturer", "product", "version", "serial", "asset", "location"]),
    ("3", "chassis", &["manufacturer", "version", "serial", "asset", "sku"]),
];

impl Import {
    /// `<sysinfo>` of both kinds.
    pub fn sysinfo(&mut self) -> Vec<Element> {
        let mut smbios = Element::new("sysinfo").attr("type", "smbios");
        let mut any = false;
        for (place, mut options) in self.command.find("smbios", "") {
            let Some(kind) = options.take("type") else { continue };
            let table = match kind.as_str() {
                "11" => {
                    let values = options.take_all("value");
                    let mut table = Element::new("oemStrings");
                    table.push_all(values.into_iter().map(|value| Element::leaf("entry", value)));
                    table
                }
                _ => {
                    let Some((_, name, entries)) = TABLES.iter().find(|(number, ..)| *number == kind) else { continue };
                    let mut table = Element::new(*name);
                    for entry in *entries {
                        table.push_all(options.take(entry).map(|v| Element::leaf("entry", v).attr("name", entry)));
                    }
                    table
                }
            };
            // A second table of a kind, and what only QEMU knows, stay as they are.
            if options.is_empty() && kind == "11" && smbios.has("oemStrings") {
                self.command.mark(place);
                smbios.inside("oemStrings").push_all(table.children().iter().cloned());
                continue;
            }
            if !options.is_empty() || table.is_empty() || smbios.has(table.name()) {
                continue;
            }
            self.command.mark(place);
            any = true;
            smbios.push(table);
        }
        let mut out = Vec::new();
        if any {
            self.one_uuid(&mut smbios);
            out.push(smbios);
        }
        out.extend(self.firmware_entries());
        out
    }

    /// The table may hold no other UUID than the domain; a domain that has none takes the table's.
    fn one_uuid(&mut self, smbios: &mut Element) {
        let entry = |e: &&Element| e.get("name") == Some("uuid");
        let uuid = smbios.find("system").and_then(|s| s.children().iter().find(entry)).map(|e| e.text_of().to_string());
        self.uuid = uuid.filter(|_| !self.command.has("uuid"));
    }

    /// `-fw_cfg` entries.
    fn firmware_entries(&mut self) -> Option<Element> {
        let mut all = Element::new("sysinfo").attr("type", "fwcfg");
        for (place, mut entry) in self.command.find("fw_cfg", "name") {
            let (Some(name), text, file) = (entry.take("name"), entry.take("string"), entry.take("file")) else {
                continue;
            };
            // The format has the entries that QEMU leaves to its users.
            let reserved = ["opt/ovmf/", "opt/org.qemu/"].iter().any(|prefix| name.starts_with(prefix));
            if !entry.is_empty() || !name.starts_with("opt/") || reserved {
                continue;
            }
            let element = match (text, file) {
                (Some(text), None) => Element::leaf("entry", text).attr("name", name),
                (None, Some(file)) => Element::new("entry").attr("name", name).attr("file", self.path(&file)),
                _ => continue,
            };
            self.command.mark(place);
            all.push(element);
        }
        all.has("entry").then_some(all)
    }
}
