use super::*;

const XML: &str = "<qemuCaps>
  <emulator>/usr/bin/qemu&amp;x</emulator>
  <qemuctime>0</qemuctime>
  <selfctime>0</selfctime>
  <selfvers>0</selfvers>
  <flag name='kvm'/>
  <flag name='device.json'/>
  <version>10000001</version>
  <microcodeVersion>7</microcodeVersion>
  <package>Debian 1:10.0+ds=1</package>
  <arch>x86_64</arch>
  <hostCPU type='kvm' model='base' migratability='yes'>
    <property name='aes' type='boolean' value='true' migratable='yes'/>
    <property name='family' type='number' value='23'/>
    <property name='model-id' type='string' value='A  CPU   '/>
    <property name='note' type='string' value=''/>
    <deprecatedFeatures>
      <property name='bpb'/>
      <property name='te'/>
    </deprecatedFeatures>
    <hostDeprecatedFeatures>
      <property name='te'/>
    </hostDeprecatedFeatures>
  </hostCPU>
  <cpu type='kvm' name='max' typename='max-x86_64-cpu' usable='yes'/>
  <cpu type='kvm' name='EPYC' typename='EPYC-x86_64-cpu' usable='no' deprecated='yes'>
    <blocker name='a'/>
    <blocker name='b'/>
  </cpu>
  <machine type='kvm' name='pc-q35-10.0' alias='q35' hotplugCpus='yes' maxCpus='4096' default='yes' defaultCPU='qemu64-x86_64-cpu' numaMemSupported='yes' defaultRAMid='pc.ram' deprecated='yes' acpi='yes'/>
  <machine type='tcg' name='none' maxCpus='1' acpi='no'/>
  <gic version='3' kernel='yes' emulated='no'/>
  <sev>
    <cbitpos>51</cbitpos>
    <reducedPhysBits>1</reducedPhysBits>
    <pdh>AQ==</pdh>
    <certChain>AQ</certChain>
    <cpu0Id>Bl</cpu0Id>
    <maxGuests>1</maxGuests>
    <maxESGuests>2</maxESGuests>
  </sev>
  <sgx supported='yes'>
    <flc>no</flc>
    <sgx1>yes</sgx1>
    <sgx2>no</sgx2>
    <section_size unit='KiB'>524288</section_size>
    <sections>
      <section node='0' size='262144' unit='KiB'/>
      <section node='1' size='262144' unit='KiB'/>
    </sections>
  </sgx>
  <hypervCapabilities supported='yes'>
    <cap name='relaxed'/>
    <cap name='vapic'/>
    <spinlocks>4095</spinlocks>
    <stimer_direct>on</stimer_direct>
    <tlbflush_direct>off</tlbflush_direct>
    <tlbflush_extended>on</tlbflush_extended>
    <vendor_id>Linux KVM Hv</vendor_id>
  </hypervCapabilities>
</qemuCaps>
";

fn good(text: &str) -> Capabilities {
    let mut diags = Diagnostics::new();
    let caps = read(text.as_bytes(), &mut diags);
    assert!(diags.is_empty(), "{diags:?}");
    caps.expect("capabilities without a fault")
}

fn bad(text: &str) -> Vec<(String, String)> {
    let mut diags = Diagnostics::new();
    assert_eq!(read(text.as_bytes(), &mut diags), None, "{text}");
    let place = |d: &&crate::diag::Diagnostic| text.get(d.span.range()).unwrap_or("<outside>").to_string();
    diags.sorted().iter().map(|d| (d.message.clone(), place(d))).collect()
}

#[test]
fn libvirts_form_is_read_and_written() {
    let caps = good(XML);
    assert_eq!(caps.emulator, "/usr/bin/qemu&x");
    assert!(caps.at_least(10, 0) && !caps.at_least(10, 1) && caps.has(Cap::DeviceJson) && !caps.has(Cap::Tcg));
    assert_eq!(caps.canonical_machine(Accel::Kvm, "q35"), Some("pc-q35-10.0"));
    assert_eq!(caps.canonical_machine(Accel::Kvm, "pc-q35-10.0"), Some("pc-q35-10.0"));
    assert_eq!(caps.canonical_machine(Accel::Kvm, "pc"), None);
    assert_eq!(caps.default_machine(Accel::Kvm).map(|m| m.max_cpus), Some(4096));
    let blockers: Vec<_> = caps.cpu(Accel::Kvm, "EPYC").expect("a model").blockers.iter().collect();
    assert_eq!(blockers, ["a", "b"]);
    assert_eq!(libvirt_write::write(&caps), XML);
}

#[test]
fn the_compact_form_holds_the_same() {
    let caps = good(XML);
    let text = compact_write::write(&caps);
    assert_eq!(good(&text), caps, "{text}");
    let line = "machine pc-q35-10.0 alias=q35 default max-cpus=4096 hotplug-cpus numa-mem deprecated acpi=yes";
    assert!(text.contains(line), "{text}");
}

#[test]
fn faults_have_their_place() {
    let list = bad(&XML.replace("'true' migratable='yes'", "'maybe' migratable='perhaps'"));
    assert_eq!(list.len(), 1, "{list:?}");
    assert!(list[0].1.contains("'maybe'"), "{list:?}");
    let list = bad(&XML.replace("<arch>x86_64</arch>", ""));
    assert!(list[0].0.contains("<arch>"), "{list:?}");
    let list = bad(&XML[..XML.len() - 20]);
    assert_eq!(list.len(), 1, "{list:?}");
    assert!(!bad("").is_empty() && !bad("<domain/>").is_empty() && !bad("\0\u{1}").is_empty());
    let list = bad("virtc-capabilities 1\narch x86_64\nversion 7.2.0\ncpu x\nmachine\nbogus line\nflag kvm tcg\n");
    let lines: Vec<&str> = list.iter().map(|(_, place)| place.as_str()).collect();
    assert_eq!(lines, ["cpu x", "machine", "bogus line", "flag kvm tcg"]);
}

#[test]
fn what_a_newer_libvirt_writes_is_read_in_silence() {
    let text = XML.replace("<flag name='kvm'/>", "<flag name='teleport'/><novel><deep>x</deep></novel>");
    let mut diags = Diagnostics::new();
    let caps = read(text.as_bytes(), &mut diags);
    assert!(caps.is_some_and(|c| !c.has(Cap::Kvm)));
    assert!(diags.is_empty(), "{diags:?}");
    let mut diags = Diagnostics::new();
    assert!(read(b"virtc-capabilities 1\nversion 7.2.0\narch x86_64\nflag a\nflag b\n", &mut diags).is_some());
    let told: Vec<String> = diags.iter().map(|d| d.message.clone()).collect();
    assert_eq!(told, ["2 things are not known here and not used: the flag 'a', the flag 'b'"]);
}

#[test]
fn garbage_never_panics() {
    let compact = compact_write::write(&good(XML));
    for text in [XML, compact.as_str()] {
        for end in 0..text.len() {
            read(&text.as_bytes()[..end], &mut Diagnostics::new());
        }
        for at in 0..text.len() {
            for replacement in
                [&b"<"[..], b">", b"&", b"'", b"%", b"=", b" ", b"\n", b"\0", b"\xff", b"<!DOCTYPE", b"]]>", b"-9"]
            {
                let mutated = [&text.as_bytes()[..at], replacement, &text.as_bytes()[at + 1..]].concat();
                read(&mutated, &mut Diagnostics::new());
            }
        }
    }
    read("<a>".repeat(100_000).as_bytes(), &mut Diagnostics::new());
    read("<qemuCaps>".repeat(100_000).as_bytes(), &mut Diagnostics::new());
}
