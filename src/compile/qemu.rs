//! The QEMU that a domain is compiled for: what the domain says about it, and what the user is told.

use crate::caps::{Cap, Chosen, Fit, Wanted, retirement};
use crate::diag::{Diagnostics, Span, codes::qemu as codes};
use crate::host::Host;
use crate::plan::MadeFor;
use crate::schema;
use crate::vocab::Arch;
use crate::xml::{Document, El};

/// What the document says about the QEMU that it is for. Nothing is judged yet: a word that is wrong is none.
pub fn wanted<'d>(doc: &'d Document<'_>, host: &Host) -> Wanted<'d> {
    let kind = os_type(doc);
    let word = |name| kind.and_then(|k| k.peek(name)).map(|a| a.value());
    let devices = doc.root().and_then(|r| inside(r, "devices"));
    let emulator = devices.and_then(|d| inside(d, "emulator")).map(|e| e.text().trim()).filter(|e| !e.is_empty());
    let arch = word("arch").and_then(schema::architecture).or_else(|| arch_of_emulator(emulator?));
    Wanted { arch: arch.or(Some(host.machine.arch)), machine: word("machine"), emulator }
}

fn os_type<'d>(doc: &'d Document<'_>) -> Option<El<'d>> {
    inside(inside(doc.root()?, "os")?, "type")
}

/// The first child with this name, not marked as used.
fn inside<'d>(parent: El<'d>, name: &str) -> Option<El<'d>> {
    parent.children().find(|e| e.is(name))
}

/// The architecture that QEMU's own name tells: `qemu-system-aarch64`.
fn arch_of_emulator(path: &str) -> Option<Arch> {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name).strip_prefix("qemu-system-")?;
    Arch::ALL.iter().copied().find(|arch| arch.qemu_name() == name)
}

/// Says what is remarkable about the choice, at the machine type.
pub fn tell(chosen: &Chosen<'_>, doc: &Document<'_>, diags: &mut Diagnostics) {
    let place = os_type(doc).map_or(Span::NONE, |k| k.peek("machine").map_or(k.span(), |a| a.span()));
    match &chosen.fit {
        Fit::Fits => {}
        Fit::Retired { gone_with } => {
            let name = os_type(doc).and_then(|k| k.peek("machine")).map_or("", |a| a.value());
            let gone = retirement::short(*gone_with);
            diags
                .warning(
                    &codes::RETIRED,
                    place,
                    format!("no QEMU since {gone} has the machine type '{name}': compiled for QEMU {}", short(chosen)),
                )
                .help(format!(
                    "on a host with a newer QEMU it does not start: {}; or name the QEMU that the host has (--caps)",
                    retirement::successor(name)
                ));
        }
        Fit::Distribution(distribution) => {
            diags
                .note(
                    &codes::DISTRIBUTION,
                    place,
                    format!(
                        "the machine type is one of {distribution}'s own QEMU: compiled as if QEMU {} had it",
                        short(chosen)
                    ),
                )
                .help("on such a host compile with --here, or name the QEMU's capabilities (--caps)");
        }
        Fit::NotAsked(why) => {
            diags
                .warning(&codes::NOT_ASKED, place, format!("{why}: compiled with the {}", chosen.from))
                .help("install that QEMU here, or compile for another host without --here");
        }
    }
}

fn short(chosen: &Chosen<'_>) -> String {
    retirement::short(chosen.caps.version)
}

/// What the Plan remembers of the choice.
pub fn made_for(chosen: &Chosen<'_>) -> MadeFor {
    MadeFor {
        version: chosen.caps.version.to_string(),
        capabilities: chosen.from.to_string(),
        monitor_objects: chosen.caps.has(Cap::ObjectMonitorQmp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    fn read(text: &str) -> (Option<Arch>, Option<String>, Option<String>) {
        let mut diags = Diagnostics::new();
        let doc = xml::parse(text.as_bytes(), &mut diags);
        let wanted = wanted(&doc, &Host::default());
        (wanted.arch, wanted.machine.map(str::to_string), wanted.emulator.map(str::to_string))
    }

    #[test]
    fn the_domain_says_which_qemu_it_is_for() {
        let all = "<domain><!-- <type arch='sparc'/> --><os><type machine='virt' arch = \"aarch64\">hvm</type></os>\
                   <devices><emulator> /opt/qemu </emulator></devices></domain>";
        assert_eq!(read(all), (Some(Arch::Aarch64), Some("virt".into()), Some("/opt/qemu".into())));
        let named = "<domain><devices><emulator>/usr/bin/qemu-system-riscv64</emulator></devices></domain>";
        assert_eq!(read(named).0, Some(Arch::Riscv64));
        for nothing in
            ["<domain/>", "<domain><os><type arch='x'/></os></domain>", "<os><type arch='aarch64'/></os>", "\u{1}"]
        {
            assert_eq!(read(nothing), (Some(Arch::X86_64), None, None), "{nothing}");
        }
    }
}
