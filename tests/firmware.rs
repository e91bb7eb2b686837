//! Which firmware a domain gets from the descriptors of the host, and where its variables are kept.

use virtc::caps::profiles;
use virtc::compile::{Compiled, Until, compile};
use virtc::emit::argv::tokens;
use virtc::host::{DescriptorFile, Host, InstanceMode};
use virtc::plan::{Plan, Target};
use virtc::stage::Options;
use virtc::vocab::{Arch, Release};

/// A descriptor of firmware for q35 machines.
fn descriptor(mapping: &str, features: &str) -> DescriptorFile {
    let text = format!(
        r#"{{"interface-types":["uefi"],"mapping":{mapping},"targets":[{{"architecture":"x86_64","machines":["pc-q35-*"]}}],
        "features":[{features}]}}"#
    );
    DescriptorFile { path: "/usr/share/qemu/firmware/x.json".to_string(), text }
}

/// A host with firmware in flash of both formats, in writable flash, and in memory beside the device uefi-vars.
fn host() -> Host {
    let mut host = Host::default();
    host.files.firmware = vec![
        descriptor(
            r#"{"device":"flash","mode":"split","executable":{"filename":"/code.qcow2","format":"qcow2"},
            "nvram-template":{"filename":"/vars.qcow2","format":"qcow2"}}"#,
            "",
        ),
        descriptor(
            r#"{"device":"flash","mode":"split","executable":{"filename":"/code.fd","format":"raw"},
            "nvram-template":{"filename":"/vars.fd","format":"raw"}}"#,
            "",
        ),
        descriptor(r#"{"device":"flash","mode":"combined","executable":{"filename":"/both.fd","format":"raw"}}"#, ""),
        descriptor(
            r#"{"device":"memory","filename":"/vars-in-qemu.fd","uefi-vars":{"template":"/vars.json"}}"#,
            r#""enrolled-keys","secure-boot","host-uefi-vars""#,
        ),
    ];
    host
}

/// What becomes of a domain that is defined now.
fn compiled(os: &str, target: Target) -> Compiled {
    compiled_as(os, target, true)
}

fn compiled_as(os: &str, target: Target, define: bool) -> Compiled {
    compiled_on(&host(), os, target, define)
}

fn compiled_on(host: &Host, os: &str, target: Target, define: bool) -> Compiled {
    let text = format!(
        "<domain type='qemu'><name>vm</name><memory unit='MiB'>64</memory><os{os}</os><features><acpi/></features></domain>"
    )
    .replace("TYPE", "<type arch='x86_64' machine='q35'>hvm</type>");
    let caps = profiles::named("qemu-10.0", Arch::X86_64).expect("an embedded profile");
    let options = Options { target, define, ..Options::default() };
    compile(text.as_bytes(), host, &caps, &options, Until::Planned)
}

fn plan(os: &str, target: Target) -> Plan {
    plan_as(os, target, true)
}

fn plan_as(os: &str, target: Target, define: bool) -> Plan {
    let compiled = compiled_as(os, target, define);
    let faults: Vec<String> = compiled.diags.iter().map(|d| d.message.clone()).collect();
    compiled.plan.unwrap_or_else(|| panic!("{os}: {faults:?}"))
}

fn argv(plan: &Plan) -> String {
    tokens(plan.qemu().expect("a QEMU process")).join("\n")
}

const TODAY: Target = Target::Libvirt(Release::new(12, 8));

#[test]
fn a_varstore_is_a_file_that_the_device_of_qemu_writes() {
    let plan = plan(" firmware='efi'>TYPE<varstore/>", Target::Standalone);
    let line = argv(&plan);
    assert!(line.contains("-bios\n/vars-in-qemu.fd\n"), "{line}");
    assert!(
        line.contains(r#"{"driver":"uefi-vars-x64","jsonfile":"/var/lib/libvirt/qemu/varstore/vm.json"}"#),
        "{line}"
    );
    let access = plan.access.iter().find(|a| a.path.ends_with("/varstore/vm.json")).expect("an access to the store");
    assert!(access.perms.read && access.perms.write);
    let file = plan.files.iter().find(|f| f.path.ends_with("/varstore/vm.json")).expect("a file that is made");
    assert_eq!(file.template.as_deref(), Some("/vars.json"));
}

#[test]
fn code_and_variables_are_chosen_by_their_formats() {
    // A store of another format than its template is no longer called after it.
    for (define, os, code, vars) in [
        (true, " firmware='efi'>TYPE", "/code.qcow2", "vm_VARS.qcow2"),
        (true, " firmware='efi'>TYPE<loader format='raw'/>", "/code.fd", "vm_VARS.fd"),
        (false, " firmware='efi'>TYPE<nvram templateFormat='raw' format='qcow2'/>", "/code.fd", "vm_VARS.qcow2"),
        (false, " firmware='efi'>TYPE<nvram templateFormat='qcow2' format='raw'/>", "/code.qcow2", "vm_VARS.fd"),
    ] {
        let line = argv(&plan_as(os, TODAY, define));
        assert!(line.contains(&format!("\"{code}\"")) && line.contains(vars), "{os}: {line}");
    }
    let line = argv(&plan(" firmware='efi'>TYPE<loader readonly='no'/>", TODAY));
    assert!(line.contains("\"/both.fd\"") && !line.contains("VARS"), "{line}");
}

#[test]
fn what_keeps_no_variables_or_keeps_them_elsewhere_takes_no_store() {
    for os in [
        ">TYPE<loader type='pflash' readonly='yes'>/code.fd</loader><varstore/>",
        ">TYPE<loader type='pflash' readonly='no'>/both.fd</loader><nvram>/vars.fd</nvram>",
        ">TYPE<loader type='rom' readonly='no'>/code.fd</loader>",
        ">TYPE<loader type='rom' stateless='yes'>/code.fd</loader><varstore/>",
        " firmware='efi'>TYPE<nvram/><varstore/>",
        " firmware='bios'>TYPE<varstore/>",
        " firmware='efi'>TYPE<varstore template='/other.json'/>",
    ] {
        for target in [TODAY, Target::Standalone] {
            assert!(compiled(os, target).plan.is_none(), "compiles: {os}");
        }
    }
}

/// Nobody but root has the folder of the system's stores; libvirt's own answer is not this.
#[test]
fn a_machine_of_a_user_has_its_variables_in_the_home() {
    let mut host = host();
    host.instance.mode = InstanceMode::Session;
    let of = |host: &Host, os: &str, target| compiled_on(host, os, target, true).plan.expect("a plan");
    let unit = |plan: &Plan| {
        let (mut diags, templates) = (virtc::diag::Diagnostics::new(), virtc::emit::Templates::built_in());
        let tree = virtc::emit::all(plan, &virtc::emit::Extras::default(), &templates, &mut diags);
        tree.into_iter().find(|a| a.path.ends_with("/virtc-vm.service")).expect("a unit").contents
    };
    let flash = unit(&of(&host, " firmware='efi'>TYPE<nvram format='raw'/>", Target::Standalone));
    let made = "ExecStartPre=/bin/mkdir -p -m 0700 %h/.local/state/virtc/nvram\n";
    assert!(flash.contains(made), "{flash}");
    assert!(flash.contains("ExecStartPre=-/bin/cp -n -- /vars.fd %h/.local/state/virtc/nvram/vm_VARS.fd\n"), "{flash}");
    let memory = unit(&of(&host, " firmware='efi'>TYPE<varstore/>", Target::Standalone));
    assert!(memory.contains(made) && memory.contains("/vars.json %h/.local/state/virtc/nvram/vm.json\n"), "{memory}");
    // Facts that name another folder hold.
    host.directories.nvram = "/srv/vars".into();
    let told = unit(&of(&host, " firmware='efi'>TYPE<nvram format='raw'/>", Target::Standalone));
    assert!(told.contains("ExecStartPre=-/bin/cp -n -- /vars.fd /srv/vars/vm_VARS.fd\n"), "{told}");
    assert!(argv(&of(&host, " firmware='efi'>TYPE<nvram format='raw'/>", TODAY)).contains("/srv/vars/vm_VARS.fd"));
}
