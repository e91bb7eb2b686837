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

/// Words of a command line, and what of the domain they become.
#[test]
fn words_become_elements() {
    let pc = "qemu-system-x86_64 -M pc -nodefaults";
    let q35 = "qemu-system-x86_64 -M q35 -nodefaults";
    let slot =
        |slot: u32| format!("<address type='pci' domain='0x0000' bus='0x00' slot='{slot:#04x}' function='0x0'/>");
    let cases: Vec<(String, Vec<String>)> = vec![
        // QEMU puts cards first, then devices, then drives.
        (
            format!("{pc} -drive file=/a,format=raw,if=virtio -device virtio-rng-pci -nic user,model=e1000"),
            vec![
                format!("<model type='e1000'/>\n      {}", slot(2)),
                format!("random</backend>\n      {}", slot(3))
                    .replace("random</backend>", "<backend model='builtin'/>"),
                format!("bus='virtio'/>\n      {}", slot(4)),
            ],
        ),
        (format!("{pc} -device e1000,netdev=n,addr=2 -netdev user,id=n -device AC97"), vec![slot(2), slot(3)]),
        (format!("{q35} -usb -device usb-tablet"), vec!["model='ich9-ehci1'".into(), "startport='4'".into()]),
        (format!("{q35} -device qemu-xhci,id=x -device usb-kbd,bus=x.0"), vec!["<address type='usb' bus='0'/>".into()]),
        (
            format!(
                "{pc} -device virtio-scsi-pci,id=s -drive file=/a,if=none,id=a,format=raw -device scsi-hd,drive=a \
                     -drive file=/b,if=none,id=b,format=raw -device scsi-hd,drive=b,bus=s.0"
            ),
            vec!["target='0' unit='0'".into(), "target='1' unit='0'".into()],
        ),
        (
            format!("{q35} -drive file=/a,if=none,id=a,format=raw -device nvme,drive=a,serial=S1"),
            vec!["<serial>S1</serial>".into(), "dev='nvme0n1' bus='nvme'".into()],
        ),
        (
            format!("{pc} -debugcon file:/srv/vm/firmware.log -global isa-debugcon.iobase=0x402"),
            vec!["<target type='isa-debug'>".into(), "iobase='0x402'".into()],
        ),
        (format!("{pc} -usb -usbdevice host:046d:c52b"), vec!["<vendor id='0x046d'/>".into()]),
        (format!("{pc} -soundhw pcspk"), vec!["<sound model='pcspk'".into()]),
        (
            format!("{pc} -net nic,vlan=1,model=e1000 -net user,vlan=1 -net nic,vlan=2,model=rtl8139 -net user,vlan=2"),
            vec!["<model type='e1000'/>".into(), "<model type='rtl8139'/>".into()],
        ),
        (format!("{pc} -m 1G,slots=2,maxmem=4G -smp 2"), vec!["<cell id='0' cpus='0-1' memory='1048576'".into()]),
        (
            format!("{q35} -netdev user,id=n -device virtio-net-pci,netdev=n,disable-legacy=on,disable-modern=off"),
            vec!["<model type='virtio-non-transitional'/>".into()],
        ),
        (
            format!("{pc} -netdev user,id=n -device virtio-net-pci,netdev=n,disable-legacy=off,disable-modern=on"),
            vec!["name='disable-legacy' type='string' value='off'".into()],
        ),
        (
            format!("{pc} -audiodev pa,id=a,out.frequency=48000 -device AC97,audiodev=a"),
            vec!["<output fixedSettings='yes'>".into()],
        ),
        ("qemu-system-arm -M versatilepb -hda /a.img".into(), vec!["model='lsilogic'".into()]),
        ("qemu-system-aarch64 -M raspi3b".into(), vec!["<vcpu>4</vcpu>".into()]),
        ("qemu-system-i386 -M pc".into(), vec!["qemu32</model>".into()]),
        (
            format!("{q35} -bios /b.fd -device uefi-vars-x64,jsonfile=v.json"),
            vec!["<loader type='rom'>/b.fd</loader>".into(), "<varstore path='/v.json'/>".into()],
        ),
        // What the format has no place for keeps the whole device.
        (
            format!("{q35} -bios /b.fd -device uefi-vars-x64,jsonfile=/v.json,force-secure-boot=on"),
            vec!["<qemu:arg value='uefi-vars-x64,jsonfile=/v.json,force-secure-boot=on'/>".into()],
        ),
        (
            "qemu-system-aarch64 -M virt -bios /b.fd -device uefi-vars-sysbus,jsonfile=/v.json".into(),
            vec!["<varstore path='/v.json'/>".into()],
        ),
        (
            format!("{pc} -fw_cfg opt/ovmf/X-PciMmio64Mb,string=65536"),
            vec!["<qemu:arg value='opt/ovmf/X-PciMmio64Mb,string=65536'/>".into()],
        ),
    ];
    for (line, wanted) in cases {
        let (xml, _) = imported(&line, "line", "/");
        for part in wanted {
            assert!(xml.contains(&part), "{line}: no {part}\n{xml}");
        }
        assert!(compiled(xml.as_bytes()).is_some(), "{line}\n{xml}");
    }
}

/// The monitor of a libvirt is virtc's own, in both forms in which QEMU takes it; another's stays.
#[test]
fn a_monitor_is_one_in_either_form() {
    for form in
        ["-mon chardev=ID,id=m,mode=control", "-object {\"qom-type\":\"monitor-qmp\",\"id\":\"m\",\"chardev\":\"ID\"}"]
    {
        let line = |id: &str, chardev: &str| {
            let form = form.replace("ID", id);
            format!(
                "qemu-system-x86_64 -M pc -nodefaults -chardev socket,id={id},{chardev},server=on {}",
                form.replace('{', "'{").replace('}', "}'")
            )
        };
        let (xml, _) = imported(&line("charmonitor", "fd=27"), "line", "/");
        assert!(!xml.contains("qemu:arg"), "{xml}");
        let (xml, _) = imported(&line("mine", "path=/run/mine"), "line", "/");
        assert!(xml.contains("<qemu:arg value='socket,id=mine,path=/run/mine,server=on'/>"), "{xml}");
    }
}

/// What is handed through names its files in full: nobody knows where the machine will be started.
#[test]
fn files_that_are_handed_through_are_absolute() {
    let line = "qemu-system-x86_64 -M pc -nodefaults -D log.txt -drive file=./n.img,if=none,id=n,format=raw -device usb-bot,drive=n";
    let (xml, _) = imported(line, "line", "/srv/vm");
    assert!(xml.contains("value='/srv/vm/log.txt'") && xml.contains("file=/srv/vm/n.img,if=none"), "{xml}");
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
