//! What belongs to one kind of a thing is forgotten at the others, and contradictions are refused. The expectations were learnt from
//! libvirt 11.3 itself (`tests/oracle/`).

use virtc::caps::profiles;
use virtc::compile::{Compiled, Until, compile};
use virtc::host::Host;
use virtc::plan::Target;
use virtc::resolve::Options;
use virtc::vocab::Arch;

/// A domain with this in `<domain>` and that in `<devices>`, as libvirt would compile it.
fn compiled(domain: &str, devices: &str) -> Compiled {
    let text = format!(
        "<domain type='qemu'><name>vm</name><memory unit='MiB'>64</memory>{domain}\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{devices}</devices></domain>"
    );
    let caps = profiles::default(Arch::X86_64).expect("an embedded profile");
    let options = Options { target: Target::Libvirt, define: true, ..Options::default() };
    compile(text.as_bytes(), &Host::default(), &caps, &options, Until::Resolved)
}

fn normalised(domain: &str, devices: &str) -> String {
    let compiled = compiled(domain, devices);
    let faults: Vec<String> = compiled.diags.iter().map(|d| d.message.clone()).collect();
    match compiled.domain {
        Some(domain) if !compiled.diags.has_errors() => virtc::domain::print(&domain),
        _ => panic!("{faults:?}"),
    }
}

#[test]
fn what_has_no_meaning_is_not_printed() {
    let cases = [
        ("<clock offset='utc' timezone='x' basis='utc' start='3'/>", "", "<clock offset='utc'/>"),
        (
            "<clock offset='localtime' adjustment='5'/>",
            "",
            "<clock offset='variable' adjustment='5' basis='localtime'/>",
        ),
        ("<clock offset='variable'/>", "", "<clock offset='variable' adjustment='0' basis='utc'/>"),
        (
            "",
            "<controller type='sata' index='0' ports='4' vectors='2' maxGrantFrames='3'/>",
            "<controller type='sata' index='0'>",
        ),
        ("", "<audio id='1' type='none' driver='esd' path='/x'/>", "<audio id='1' type='none'/>"),
        ("", "<sound model='ich9' streams='2'><driver iommu='on'/></sound>", "<sound model='ich9'>"),
        (
            "",
            "<interface type='direct'><source dev='eth0' bridge='b'/><target dev='macvtap3'/></interface>",
            "<source dev='eth0' mode='vepa'/>",
        ),
    ];
    for (domain, devices, expected) in cases {
        let xml = normalised(domain, devices);
        assert!(xml.contains(expected), "{domain}{devices}: {xml}");
    }
    for empty in ["<pm/>", "<blkiotune/>", "<numatune/>", "<idmap/>", "<defaultiothread/>"] {
        assert!(!normalised(empty, "").contains(empty), "{empty}");
    }
}

#[test]
fn contradictions_are_refused_with_the_values_that_contradict() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("<on_reboot>rename-restart</on_reboot>", "", &["'rename-restart'", "'on_reboot'"]),
        ("<clock offset='timezone'/>", "", &["'timezone'"]),
        ("<clock offset='utc'><timer name='pit' tickpolicy='merge'/></clock>", "", &["pit tickpolicy 'merge'"]),
        ("<clock offset='utc'><timer name='hpet' track='guest'/></clock>", "", &["hpet", "track"]),
        ("", "<controller type='usb' model='piix3'/>", &["model type 'piix3'"]),
        (
            "",
            "<controller type='pci' index='0' model='pcie-root'><target chassisNr='4'/></controller>",
            &["'chassisNr'", "'none'"],
        ),
        ("", "<memballoon model='virtio'/><memballoon model='virtio'/>", &["second <memballoon>"]),
        ("", "<interface type='network'/>", &["type='network'", "<source>"]),
        ("", "<interface type='user'><ip address='10.0.0.1' prefix='48'/></interface>", &["'48'"]),
        ("", "<interface type='direct'><source dev='e'/><virtualport type='802.1Qbh'/></interface>", &["profileid"]),
        ("", "<disk type='file'><source file='/x'/><target dev='vda1' bus='virtio'/></disk>", &["'vda1'", "partition"]),
        ("", "<channel type='spicevmc'><target type='virtio'/></channel>", &["'spicevmc'", "spice display"]),
        ("", "<graphics type='vnc' passwd='secretsecret'/>", &["12", "8"]),
    ];
    for (domain, devices, words) in cases {
        let compiled = compiled(domain, devices);
        let faults: Vec<String> = compiled.diags.iter().map(|d| d.message.clone()).collect();
        assert!(faults.iter().any(|f| words.iter().all(|w| f.contains(w))), "{domain}{devices}: {faults:?}");
    }
}
