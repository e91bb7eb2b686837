//! `virtc import argv`: what `virtc argv` printed comes back as the same machine, and command lines as people write
//! them become domains that compile.

use std::collections::BTreeMap;
use std::path::Path;
use virtc::caps::fitting;
use virtc::compile::{Until, compile_for};
use virtc::diag::Diagnostics;
use virtc::emit::argv::{Format, tokens, write};
use virtc::host::Host;
use virtc::import;
use virtc::plan::Plan;
use virtc::stage::Options;

fn plan(xml: &[u8], name: &str) -> Plan {
    let compiled = compile_for(xml, &Host::default(), &fitting, &Options::default(), Until::Planned);
    let faults: Vec<&str> = compiled.diags.iter().map(|d| d.message.as_str()).collect();
    compiled.plan.unwrap_or_else(|| panic!("{name} does not compile: {faults:?}"))
}

fn compiled(xml: &[u8]) -> Option<Plan> {
    compile_for(xml, &Host::default(), &fitting, &Options::default(), Until::Planned).plan
}

/// The only command line of a text.
fn line(text: &str, name: &str) -> (import::Line, Diagnostics) {
    let around = import::Around { name, base: "/srv/vm", environment: &[] };
    let mut diags = Diagnostics::new();
    let mut lines = import::command_lines(text.as_bytes(), &around, &mut diags);
    assert_eq!(lines.len(), 1, "{name}: {:?}", messages(&diags));
    (lines.remove(0), diags)
}

fn messages(diags: &Diagnostics) -> Vec<String> {
    diags.sorted().iter().map(|d| format!("{} {}", d.code.id, d.message)).collect()
}

fn imported(text: &str, name: &str, base: &str) -> (String, Vec<String>) {
    let (line, mut diags) = line(text, name);
    let imported = import::domain(&line, base, &compiled);
    diags.extend(imported.notes);
    (imported.xml, messages(&diags))
}

fn inputs(folder: &str, extension: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut out: Vec<(String, String)> = std::fs::read_dir(&folder)
        .expect("a folder of the project")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("text"))
        })
        .collect();
    out.sort();
    assert!(!out.is_empty(), "{} holds no .{extension}", folder.display());
    out
}

/// The words of QEMU's command line, in an order that does not depend on that of arguments and properties.
fn words_of(plan: &Plan) -> Vec<String> {
    let sorted = |word: String| match serde_json::from_str::<BTreeMap<String, serde_json::Value>>(&word) {
        Ok(properties) => format!("{properties:?}"),
        Err(_) => word,
    };
    let mut words: Vec<String> = tokens(plan.qemu().expect("a QEMU")).into_iter().map(sorted).collect();
    words.sort();
    words
}

#[test]
fn the_command_line_of_every_example_comes_back() {
    for (name, xml) in inputs("examples", "xml") {
        let before = plan(xml.as_bytes(), &name);
        for format in [Format::Shell, Format::Lines, Format::Json] {
            let mut text = String::new();
            write(&mut text, before.qemu().expect("a QEMU"), format);
            let (xml, _) = imported(&text, &name, "/");
            let after = plan(xml.as_bytes(), &name);
            let (before, after) = (words_of(&before), words_of(&after));
            assert!(before == after, "{name} is another machine:\n{before:#?}\n{after:#?}\n{xml}");
        }
    }
}

#[test]
fn command_lines_as_people_write_them() {
    for (name, text) in inputs("tests/import", "sh") {
        let (xml, notes) = imported(&text, &name, "/srv/vm");
        plan(xml.as_bytes(), &name);
        insta::with_settings!({ prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("import_{name}"), format!("{}\n{xml}", notes.join("\n")));
        });
    }
}

/// Every word of a command line is in the domain, is told in a note, or is one that virtc writes by itself.
#[test]
fn nothing_is_lost_in_silence() {
    let line = "qemu-system-x86_64 -nodefaults -frob 1 -device frobnicator,id=f,x=y -device virtio-net-pci,netdev=n,frob=7 \
                -netdev user,id=n,restrict=on -device e1000,netdev=m,frob=7 -netdev user,id=m -cpu host,frob=9 \
                -machine frob=3 -boot frob=4 -drive file=sheepdog:x,if=virtio -audiodev frob,id=a";
    let (xml, notes) = imported(line, "line", "/");
    let told = format!("{}\n{xml}", notes.join("\n"));
    for word in
        ["-frob", "frobnicator", "restrict=on", "property=frob,value=9", "frob=3", "frob=4", "sheepdog:x", "frob,id=a"]
    {
        assert!(notes.iter().any(|n| n.contains(word)), "{word} is told nowhere:\n{told}");
    }
    // The card of a network that is handed through is handed through with it.
    assert!(xml.contains("<qemu:property name='frob' type='unsigned' value='7'/>"), "{told}");
}

/// The tables of switches and PCI devices know what the QEMU of this machine knows.
#[test]
fn the_tables_know_what_qemu_knows() {
    let ask = |arguments: &[&str]| {
        let output = std::process::Command::new("/usr/bin/qemu-system-x86_64").args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (Some(help), Some(devices)) = (ask(&["-help"]), ask(&["-device", "help"])) else {
        eprintln!("SKIP: no QEMU here");
        return;
    };
    for line in help.lines().filter_map(|l| l.strip_prefix('-')) {
        let name: String = line.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
        let name = name.trim_start_matches('-');
        assert!(import::switches::takes_value(name).is_some(), "-{name} is in no table");
    }
    for line in devices.lines().filter(|l| l.contains(", bus PCI")) {
        let name = line.split('"').nth(1).unwrap_or_default();
        assert!(import::is_pci(name), "{name} is not known as a PCI device");
    }
}
