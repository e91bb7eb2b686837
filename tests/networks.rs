//! Networks of the host facts that virtc makes: what networkd, nftables and the machine's unit are told.

use crate::common;
use std::process::Command;

const DOMAIN: &str = "<domain type='qemu'><name>NAME</name><memory unit='MiB'>64</memory><os><type arch='x86_64'>hvm</type></os><devices>\
    <interface type='network'><source network='lab-net'/><model type='virtio'/></interface></devices></domain>";

fn facts(forward: &str, dhcp: &str) -> String {
    format!(
        "/- kdl-version 2\nhost-facts version=1\nmachine {{\narch \"x86_64\"\n}}\nnetwork \"lab-net\" {{\n{forward}\nbridge \"lab-br0\"\naddress \"192.168.77.1/24\"\n{dhcp}\n}}\n"
    )
}

/// Builds two machines in the network.
fn build(forward: &str, dhcp: &str) -> (tempfile::TempDir, std::process::Output) {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("host.kdl"), facts(forward, dhcp)).unwrap();
    let mut command = common::virtc();
    command.current_dir(root.path()).args(["--quiet", "build", "--host", "host.kdl", "-o", "out"]);
    for name in ["a", "b"] {
        std::fs::write(root.path().join(format!("{name}.xml")), DOMAIN.replace("NAME", name)).unwrap();
        command.arg(format!("{name}.xml"));
    }
    let output = command.output().unwrap();
    (root, output)
}

const DHCP: &str =
    "dhcp first=\"192.168.77.10\" last=\"192.168.77.19\" { host mac=\"52:54:00:00:00:0B\" address=\"192.168.77.15\" }";

#[test]
fn a_network_with_nat_is_declared() {
    let (root, output) = build("forward \"nat\"", DHCP);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |path: &str| std::fs::read_to_string(root.path().join("out/usr/lib").join(path)).unwrap();
    assert!(read("systemd/network/50-virtc-lab-net.netdev").ends_with("[NetDev]\nName=lab-br0\nKind=bridge\n"));
    let network = read("systemd/network/50-virtc-lab-net.network");
    for line in [
        "Name=lab-br0",
        "Address=192.168.77.1/24",
        "DHCPServer=yes",
        "PoolOffset=10\nPoolSize=10",
        "MACAddress=52:54:00:00:00:0b\nAddress=192.168.77.15",
    ] {
        assert!(network.contains(&format!("{line}\n")), "{line}: {network}");
    }
    for name in ["a", "b"] {
        let unit = read(&format!("systemd/system/virtc-{name}.service"));
        assert!(unit.contains("Requires=sys-subsystem-net-devices-lab\\x2dbr0.device\n"), "{unit}");
        assert!(unit.contains("Wants=systemd-networkd.service virtc-net-lab-net.service\n"), "{unit}");
        assert!(!unit.contains("type bridge") && unit.contains("master lab-br0"), "{unit}");
    }
    let rules = read("virtc/networks/lab-net.nft");
    assert!(rules.contains("oifname \"lab-br0\" ct state established,related accept\n"), "{rules}");
    let all = "ip saddr 192.168.77.1/24 ip daddr != { 192.168.77.1/24, 224.0.0.0/24, 255.255.255.255 } masquerade\n";
    assert!(rules.contains(all), "{rules}");
    let filter = read("systemd/system/virtc-net-lab-net.service");
    assert!(filter.contains("sysctl -q -w net.ipv4.ip_forward=1\n"), "{filter}");
    if common::is_root() && common::has("/usr/sbin/nft", "nftables") {
        let file = root.path().join("out/usr/lib/virtc/networks/lab-net.nft");
        let checked = Command::new("/usr/sbin/nft").args(["--check", "--file"]).arg(file).output().unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        // A container's kernel may refuse to be asked.
        assert!(checked.status.success() || said.contains("Operation not"), "{said}");
    }
}

#[test]
fn an_isolated_network_lets_nothing_through() {
    let (root, output) = build("", DHCP);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |path: &str| std::fs::read_to_string(root.path().join("out/usr/lib").join(path)).unwrap();
    assert!(!read("virtc/networks/lab-net.nft").contains("masquerade"));
    assert!(!read("systemd/system/virtc-net-lab-net.service").contains("ip_forward"));
    assert_eq!(read("virtc/networks/lab-net.nft").matches(" accept\n").count(), 1);
}

#[test]
fn a_network_of_others_is_left_to_them() {
    let (root, output) = build("forward \"nat\"", "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!root.path().join("out/usr/lib/systemd/network").exists());
}

#[test]
fn a_range_is_within_the_network() {
    for range in ["first=\"192.168.78.2\" last=\"192.168.78.9\"", "first=\"192.168.77.9\" last=\"192.168.77.2\""] {
        let (_root, output) = build("forward \"nat\"", &format!("dhcp {range}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains("VC1802"), "{said}");
    }
}

#[test]
fn passt_may_listen_on_low_ports_if_anybody_may_let_it() {
    let root = tempfile::tempdir().unwrap();
    let domain = DOMAIN.replace("NAME", "low").replace("type='network'", "type='user'").replace(
        "<source network='lab-net'/>",
        "<backend type='passt'/><portForward proto='tcp'><range start='8080'/><range start='80'/></portForward>",
    );
    std::fs::write(root.path().join("low.xml"), domain).unwrap();
    let build = |connect: &str| {
        let arguments = ["build", "--connect", connect, "low.xml", "-o", "out"];
        let output = common::virtc().current_dir(root.path()).args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        told
    };
    assert!(build("qemu:///session").contains("VC1805"));
    assert!(!build("qemu:///system").contains("VC1805"));
    let read = |path: &str| std::fs::read_to_string(root.path().join("out").join(path)).unwrap();
    let unit = read("usr/lib/systemd/system/virtc-low-passt-net0.service");
    assert!(unit.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE\n"), "{unit}");
    assert!(!read("usr/lib/systemd/system/virtc-low.service").contains("CAP_"));
}

#[test]
fn traffic_is_shaped_where_the_tap_is_made() {
    let root = tempfile::tempdir().unwrap();
    let shaped = "<bandwidth><inbound average='1000' peak='5000' burst='1024'/><outbound average='128'/></bandwidth><link state='down'/>";
    let domain = DOMAIN.replace("NAME", "vm").replace(
        "<interface type='network'><source network='lab-net'/>",
        &format!("<interface type='bridge'><source bridge='br0'/><target dev='tap7'/>{shaped}"),
    );
    std::fs::write(root.path().join("vm.xml"), domain).unwrap();
    let virtc = |args: &[&str]| {
        let output = common::virtc().current_dir(root.path()).arg("--quiet").args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    virtc(&["build", "vm.xml", "-o", "out"]);
    let unit = std::fs::read_to_string(root.path().join("out/usr/lib/systemd/system/virtc-vm.service")).unwrap();
    let script = virtc(&["argv", "vm.xml", "--format", "script"]);
    for line in [
        "tc qdisc add dev tap7 root handle 1: htb default 1\n",
        "tc class add dev tap7 parent 1: classid 1:1 htb rate 1000kbps ceil 5000kbps burst 1024kb\n",
        "tc qdisc add dev tap7 ingress\n",
        "police rate 128kbps burst 128kb mtu 64kb drop flowid :1\n",
    ] {
        assert!(unit.contains(line) && script.contains(line), "{line}: {unit}\n{script}");
    }
    // The cable is not plugged in.
    assert!(!unit.contains("master br0 up") && unit.contains("master br0\n"), "{unit}");
}

#[test]
fn a_network_that_nobody_knows_is_told_in_the_place_of_libvirt_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.xml"), DOMAIN.replace("NAME", "a")).unwrap();
    std::fs::write(folder.path().join("host.kdl"), facts("", "").replace("lab-net", "other")).unwrap();
    let argv = |more: &[&str]| {
        let output = common::virtc()
            .current_dir(folder.path())
            .args(["argv", "a.xml", "--host", "host.kdl"])
            .args(more)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (done, told) = argv(&[]);
    assert!(!done && told.contains("VC0501"), "{told}");
    let (done, told) = argv(&["--target", "libvirt"]);
    assert!(done && told.contains("VC0501") && told.contains("warning"), "{told}");
}
