use super::*;

const MINIMAL: &str = "/- kdl-version 2\nhost-facts version=1\nmachine { arch \"x86_64\"; }\n";

fn faults(text: &str) -> (Host, Vec<(String, String)>) {
    let mut diags = Diagnostics::new();
    let host = read(text, &mut diags);
    let list = diags
        .sorted()
        .iter()
        .map(|d| (d.message.clone(), text.get(d.span.range()).unwrap_or("<outside>").to_string()))
        .collect();
    (host, list)
}

#[test]
fn the_minimal_document_is_the_default() {
    let (host, list) = faults(MINIMAL);
    assert_eq!(list, []);
    assert_eq!(host, Host::default());
}

#[test]
fn every_fault_is_reported_in_one_run() {
    let text = r#"host-facts version=1
machine {
    arch "x86-64"
    page-size 4096
    cpu model="a" colour="red" { feature 5; }
    arch "aarch64"
}
numma { }
directories { lib "relative"; nvram "/n" "/m"; }
instance { mode "both"; log-timestamp "yes"; gluster-debug-level 10; }
secret value="x"
pci-device "0:0:0.9"
network "a" { forward "nat" { interface "e"; }; address "1.2.3.4"; }
clock now="yesterday"
"#;
    let (_, list) = faults(text);
    let places: Vec<&str> = list.iter().map(|(_, place)| place.trim()).collect();
    assert_eq!(
        places,
        [
            "\"x86-64\"",
            "4096",
            "colour=\"red\"",
            "5",
            "arch",
            "numma",
            "\"relative\"",
            "\"/m\"",
            "\"both\"",
            "\"yes\"",
            "10",
            "secret",
            "\"0:0:0.9\"",
            "\"1.2.3.4\"",
            "now=\"yesterday\"",
        ]
    );
}

#[test]
fn an_unknown_node_gets_a_guess() {
    let text = format!("{MINIMAL}enviroment {{ }}\n");
    let mut diags = Diagnostics::new();
    read(&text, &mut diags);
    let help = diags.sorted()[0].help.clone().unwrap_or_default();
    assert!(help.starts_with("did you mean 'environment'?"), "{help}");
    // A newer virtc may have written it.
    assert!(!diags.has_errors() && diags.sorted()[0].span.start > 0);
}

#[test]
fn what_is_missing_is_reported() {
    let (_, list) = faults("machine { page-size \"4KiB\"; }");
    let messages: Vec<&str> = list.iter().map(|(message, _)| message.as_str()).collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    let (_, list) = faults("host-facts version=2");
    assert_eq!(list.len(), 2, "{list:?}");
}

#[test]
fn values_arrive_where_they_belong() {
    let text = format!(
        "{MINIMAL}{}",
        r##"
numa { node 1 cpus="4-7" memory="2GiB"; node 0 cpus="0-3" { pages "4KiB" "2MiB"; }; placement-advice "0"; }
hugepages { mount "/a" page-size="2MiB"; mount "/b" page-size="1GiB" default=#true; }
environment { PATH "/bin"; HOME "/root"; }
vnc { tls #true; tls-secret "6fd3f62d-9fe7-4a4e-a869-7acd6376d8ea"; }
migration tls-dir="/x"
random "seed:00ff"
secret usage-type="ceph" usage="me" value="key"
start "web" {
    after "db" "cache"
    wants "db"
}
fd-group "g" count=2 writable=#true
"##
    );
    let (host, list) = faults(&text);
    assert_eq!(list, []);
    assert_eq!(host.numa.nodes_of_cpus(&[3, 4]), [0, 1]);
    assert_eq!(host.numa.advice(), [0]);
    assert_eq!(host.numa.node(0).map(|n| n.pages.clone()), Some(vec![4096, 2 << 20]));
    assert_eq!(host.default_hugepage_mount().map(|m| m.path.as_str()), Some("/b"));
    assert_eq!(host.env("HOME"), Some("/root"));
    assert!(host.vnc.tls && host.vnc.tls_secret.is_some());
    assert_eq!(host.migration.tls_dir, "/x");
    assert_eq!(host.random, Random::Seed(vec![0, 255]));
    assert_eq!(host.secret_by_usage(SecretUsage::Ceph, "me").map(|s| s.value.as_str()), Some("key"));
    assert_eq!(host.fd_group("g").map(|g| (g.count, g.writable)), Some((2, true)));
    assert_eq!(
        host.start("web").map(|s| (s.after.len(), s.wants.as_slice())),
        Some((2, ["db".to_string()].as_slice()))
    );
}

#[test]
fn no_machine_waits_for_itself() {
    let order = |text: &str| faults(&format!("{MINIMAL}{text}")).1;
    assert_eq!(
        order("start \"a\" { after \"b\"; }\nstart \"b\" { after \"c\"; }\nstart \"d\" { after \"a\" \"c\"; }"),
        []
    );
    for circle in [
        "start \"a\" { after \"a\"; }",
        "start \"a\" { after \"b\"; }\nstart \"b\" { after \"c\"; }\nstart \"c\" { after \"a\"; }",
    ] {
        let list = order(circle);
        assert_eq!(list.len(), 1, "{circle}: {list:?}");
        assert!(format!("{list:?}").contains("an order without a circle"), "{list:?}");
    }
    assert_eq!(order("start \"a\" { after \"b\"; }\nstart \"a\" { wants \"b\"; }").len(), 1);
}

#[test]
fn what_is_written_is_read_again() {
    let text = format!(
        "{MINIMAL}{}",
        r##"
random "seed:00ff"
clock now="2009-02-13T23:31:30Z" timezone="VIR00:30"
ports vnc=5901 vnc-websocket=5700 spice=5901 spice-tls=5902 rdp=3389
numa { node 1 cpus="4-7" memory="2GiB" free="3KiB"; node 0 cpus="0-3" { pages "4KiB" "2MiB"; }; placement-advice "0"; }
hugepages { mount "/a" page-size="2MiB"; mount "/b \"c\" \n \u{202e}" page-size="1GiB" default=#true; }
environment { PATH "/bin"; "a b" "é"; "true" ""; }
instance { mode "session"; domain-id 7; security-driver "selinux"; seccomp-sandbox "off"; gluster-debug-level 9; }
security { user "qemu"; group "kvm"; dynamic-ownership #false; allow-unconfined #true; allow-path "/a"; allow-program "/opt/qemu"; selinux range="s0:c0.c99"; apparmor complain=#true; }
process { swtpm-user "tss"; set-process-name #true; max-files 5; max-core "3B"; device-acl "/dev/null"; helper "pr" path="/y"; }
directories { lib "/l"; }
vnc { listen "::"; tls #true; tls-verify #true; tls-secret "6fd3f62d-9fe7-4a4e-a869-7acd6376d8ea"; sasl #true; sasl-dir "/s"; password "p"; auto-unix-socket #true; allow-host-audio #true; }
backup tls-dir="/x"
firmware { descriptors "/f"; nvram-template code="/c" vars="/v"; }
vhost-user { descriptors "/v"; helper "/h" type="gpu" { feature "virgl"; }; helper "/i" type="fs"; }
swtpm socket="/s" { tpm-version "2.0"; }
nbdkit "/n" enabled=#true { plugin "curl"; }
secret usage-type="ceph" usage="me" value="key"
secret "6fd3f62d-9fe7-4a4e-a869-7acd6376d8ea" value=""
network "n;x" { forward "hostdev" managed=#true { interface "e"; }; bridge "b"; address "::1/64" "1.2.3.4/8"; virtualport "802.1Qbg"; port plug="hostdev-pci" bridge="b" address="0001:02:03.4" managed=#false trust-guest-rx-filters=#true; }
storage-pool "p" type="iscsi" state="inactive" { host "h"; device "d"; target "/t"; auth type="chap" username="u" secret="6fd3f62d-9fe7-4a4e-a869-7acd6376d8ea"; volume "v" type="block" path="/p"; }
pci-device "0000:01:00.0" vendor=0x1cc1 device=0x8201 class=0x010802 iommu-group=14 express=#false physfn="0000:01:00.1"
scsi-device host=0 bus=1 target=2 unit=1074872354 sg="sg0"
link "/dev/disk/by-id/a" to="/dev/sda"
image "/srv/a" backing="/srv/b" backing-format="raw" data-file="/srv/c"
mount "/nfs" type="nfs4"
mount "/nfs/b" type="nfs4" labels=#true
start "web" { after "db" "cache"; wants "db"; }
fd-group "g" count=2 writable=#true
"##
    );
    let (mut host, list) = faults(&text);
    assert_eq!(list, []);
    host.machine = Machine {
        cpu: Some(HostCpu {
            model: "m".into(),
            vendor: Some("v".into()),
            sockets: 1,
            cores: 2,
            threads: 3,
            features: vec!["a".into()],
        }),
        physical_address_bits: 48,
        kvm_max_vcpus: 1,
        vhost_net: VhostNetPolicy::Never,
        vsock_next_cid: 4,
        drm_render_node: Some("/r".into()),
        cdrom: vec!["/c".into()],
        tpm: Some(Tpm { path: "/t".into(), cancel_path: Some("/u".into()) }),
        ..host.machine
    };
    let written = super::super::write(&host, "a test");
    let (again, list) = faults(&written);
    assert_eq!(list, [], "{written}");
    assert_eq!(again, host, "{written}");
}

#[test]
fn garbage_never_panics() {
    let text = format!(
        "{MINIMAL}numa {{ node 0 cpus=\"0-3\" memory=\"1GiB\" {{ pages \"4KiB\" \"2MiB\"; }} }}\nenvironment {{ A \"é\"; }}\nsecret \"6fd3f62d-9fe7-4a4e-a869-7acd6376d8ea\" value=#\"x\"#\n"
    );
    for end in (0..text.len()).filter(|i| text.is_char_boundary(*i)) {
        let (_, list) = faults(&text[..end]);
        assert!(list.iter().all(|(_, place)| place != "<outside>"), "{end}");
    }
    let replacements =
        ["{", "}", "\"", "/*", "/-", "\\", "#", "(", "=", "\u{0}", "9999999999999999999999", "é", "-", "0x"];
    for at in (0..text.len()).filter(|i| text.is_char_boundary(*i)) {
        for replacement in replacements {
            let mutated = format!("{}{replacement}{}", &text[..at], &text[at..]);
            faults(&mutated);
        }
    }
    for deep in
        ["a {".repeat(100_000), "/*".repeat(100_000), "(".repeat(10_000), "/-".repeat(10_000), "\\".repeat(10_000)]
    {
        let (_, list) = faults(&deep);
        assert!(!list.is_empty());
    }
}
