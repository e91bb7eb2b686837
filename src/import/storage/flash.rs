//! Firmware in flash: `-pflash`, `-drive if=pflash`, and the block nodes that a machine names.

use super::super::Import;
use super::super::element::Element;
use super::super::options::{Options, is_on};
use super::medium::Medium;
use crate::diag::Span;

impl Import {
    /// Flash that the machine names by its block nodes: 0 is the code, 1 the variables.
    pub fn pflash_node(&mut self, os: &mut Element, index: u32, node: &str, span: Span) {
        match self.node(node) {
            Some(medium) => self.pflash(os, index, medium),
            None => self.left_out(span, format!("the flash '{node}', whose block node is not there")),
        }
    }

    /// `-drive if=pflash` and `-pflash`.
    pub fn pflash_drives(&mut self, os: &mut Element) {
        let mut index = 0;
        for (place, drive) in self.command.find("drive", "") {
            if drive.get("if") == Some("pflash") {
                let unit = drive.get("unit").and_then(|u| u.parse().ok()).unwrap_or(index);
                let mut drive = drive;
                ["if", "unit", "id", "index"].iter().for_each(|key| drop(drive.take(key)));
                if let Some(medium) = self.drive(&mut drive, place) {
                    self.pflash(os, unit, medium);
                }
                index += 1;
            }
        }
        for argument in self.command.take(&["pflash"]) {
            let mut drive = Options::at(argument.span).with("file", argument.value.unwrap_or_default());
            if let Some(medium) = self.drive(&mut drive, usize::MAX) {
                self.pflash(os, index, medium);
            }
            index += 1;
        }
    }

    /// Whether the flash is for code in system management mode alone.
    fn secure_flash(&mut self) -> bool {
        for (place, global) in self.command.find("global", "") {
            let long = global.get("driver") == Some("cfi.pflash01") && global.get("property") == Some("secure");
            let value = if long { global.get("value") } else { global.get("cfi.pflash01.secure") };
            if value.is_some_and(is_on) {
                // Without system management mode nothing could write to it; QEMU takes that, the format does not.
                let off = self
                    .command
                    .values("machine")
                    .chain(self.command.values("M"))
                    .any(|m| Options::parse(m, "type").get("smm") == Some("off"));
                if off {
                    let text =
                        "secure=on of the flash, which needs system management mode, and smm=off switches that off";
                    self.idle(global.span, text);
                }
                self.command.mark(place);
                return !off;
            }
        }
        false
    }

    fn pflash(&mut self, os: &mut Element, index: u32, mut medium: Medium) {
        medium.places.iter().for_each(|&p| self.command.mark(p));
        std::mem::take(&mut medium.left).into_iter().for_each(|left| self.leave("the flash", left));
        let Some(mut source) = medium.source.take() else { return };
        source.push_all(std::mem::take(&mut medium.inside));
        let format = medium.driver.get("type").filter(|f| *f != "raw").map(str::to_string);
        let path = source.get("file").or_else(|| source.get("dev")).unwrap_or_default().to_string();
        let element = match index {
            0 => {
                let readonly = if medium.readonly { "yes" } else { "no" };
                let secure = self.secure_flash();
                let loader = Element::leaf("loader", path).attr("readonly", readonly);
                loader.maybe("secure", secure.then_some("yes")).attr("type", "pflash")
            }
            _ if medium.kind == "file" => Element::leaf("nvram", path),
            _ => Element::new("nvram").attr("type", medium.kind).child(source),
        };
        os.push(element.maybe("format", format));
    }
}
