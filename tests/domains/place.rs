//! Where one domain runs: a folder with the files that its XML names, the programs it talks to, and a registry
//! of its own.

use super::peers::Peers;
use crate::common;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The folder that the domains name; the test has another in its place.
pub const FOLDER: &str = "/srv/vm";

/// The host facts of a domain that has no file of its own beside it.
const HOST: &str = "/- kdl-version 2\nhost-facts version=1\nmachine { arch \"x86_64\"; }\n";

/// Values of secrets: the name of the file, the value.
const SECRETS: [(&str, &str); 4] = [
    ("6b1f2a36-5e7a-4f0e-9d35-0d3c7d1e8f11", "luks one"),
    ("volume%2Fvault qcow2", "luks two"),
    ("0f3c1d2e-1111-4a4a-8b8b-123456789abc", "0123456789abcdef"),
    ("5c0d5b1e-0b6a-4f0a-9b58-3d6c2f4e7a10", "pass phrase"),
];

pub fn run(program: &str, args: &[&str]) -> Output {
    let out = Command::new(program).args(args).stdin(Stdio::null()).output();
    let out = out.unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    out
}

pub struct Place {
    dir: TempDir,
    pub name: String,
    /// The XML as it can run here.
    pub text: String,
    pub peers: Peers,
}

impl Place {
    /// Makes what the domain in `file` names.
    pub fn of(file: &Path) -> Place {
        let dir = tempfile::Builder::new().prefix("vd").tempdir().expect("a folder");
        let text = std::fs::read_to_string(file).expect("the domain");
        let name = file.file_stem().and_then(|n| n.to_str()).expect("a name").to_string();
        let mut place = Place { dir, name, text, peers: Peers::default() };
        place.make();
        place.text = place
            .moved(&place.text)
            .replace("<domain type='kvm'", "<domain type='qemu'")
            .replace("mode='host-passthrough'", "mode='maximum'");
        std::fs::write(place.path("vm.xml"), &place.text).expect("written");
        let host = std::fs::read_to_string(file.with_extension("kdl")).unwrap_or_else(|_| HOST.to_string());
        std::fs::write(place.path("host.kdl"), place.moved(&host)).expect("written");
        place
    }

    /// A path of the domains' folder, in this place.
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn moved(&self, text: &str) -> String {
        text.replace(FOLDER, self.dir.path().to_str().expect("UTF-8"))
    }

    fn names(&self, file: &str) -> bool {
        ["'", "<", "/"].iter().any(|end| self.text.contains(&format!("{FOLDER}/{file}{end}")))
    }

    fn make(&mut self) {
        let sparse = |name: &str, size: u64| {
            let file = std::fs::File::create(self.path(name)).expect("made");
            file.set_len(size).expect("a size");
        };
        let raw = [
            ("a.img", 16),
            ("b.img", 16),
            ("c.img", 16),
            ("d.img", 16),
            ("e.img", 16),
            ("f.img", 16),
            ("base.img", 16),
            ("shared.img", 16),
            ("boot.iso", 2),
            ("nvdimm.img", 64),
            ("pmem.img", 32),
        ];
        for (name, mib) in raw {
            sparse(name, mib << 20);
        }
        sparse("floppy.img", 1440 << 10);
        std::fs::write(self.path("fwcfg.bin"), "firmware").expect("written");
        for folder in ["share", "floppy", "secrets"] {
            std::fs::create_dir(self.path(folder)).expect("made");
            std::fs::write(self.path(&format!("{folder}/file")), "content").expect("written");
        }
        for (name, value) in SECRETS {
            std::fs::write(self.path(&format!("secrets/{name}")), value).expect("written");
        }
        let image = |name: &str, args: &[&str]| {
            let mut all = vec!["create", "-q"];
            all.extend(args);
            let path = self.path(name);
            all.extend([path.as_str(), "16M"]);
            // A busy processor cannot be measured, and qemu-img gives up on that when it makes a key.
            let tried = (0..5).any(|_| Command::new("qemu-img").args(&all).output().is_ok_and(|o| o.status.success()));
            assert!(tried, "qemu-img {all:?}");
        };
        for (name, format) in [
            ("a.qcow2", "qcow2"),
            ("b.qcow2", "qcow2"),
            ("c.qcow2", "qcow2"),
            ("a.vmdk", "vmdk"),
            ("a.vdi", "vdi"),
            ("a.vhd", "vpc"),
        ] {
            if self.names(name) {
                image(name, &["-f", format]);
            }
        }
        if self.names("top.qcow2") {
            let below = |name: &str, base: &str, format: &str| {
                let base = self.path(base);
                run("qemu-img", &["create", "-q", "-f", "qcow2", "-F", format, "-b", &base, &self.path(name)]);
            };
            below("mid.qcow2", "base.img", "raw");
            below("mid.qcow2.copy", "base.img", "raw");
            below("top.qcow2", "mid.qcow2", "qcow2");
        }
        if self.names("luks.img") {
            let luks = |value: &str, format: &str, option: &str, name: &str| {
                let secret = format!("secret,id=s,data={value}");
                image(name, &["--object", &secret, "-f", format, "-o", option]);
            };
            luks("luks one", "luks", "key-secret=s,iter-time=10", "luks.img");
            luks("luks two", "qcow2", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", "luks.qcow2");
        }
        if self.names("kernel") {
            std::fs::write(self.path("kernel"), crate::image::kernel()).expect("written");
        }
        if self.names("pipe") {
            run("mkfifo", &[&self.path("pipe")]);
        }
        if self.name == "spice-tls" {
            self.certificates();
        }
        let mut peers = Peers::default();
        if self.names("nbd.sock") {
            peers.nbd(&self.path("nbd.sock"), "disk", &self.path("d.img"));
            image("nbd.qcow2", &["-f", "qcow2"]);
            peers.nbd(&self.path("nbd-qcow2.sock"), "over,there", &self.path("nbd.qcow2"));
            peers.vhost_user_blk(&self.path("vhost-blk.sock"), &self.path("e.img"));
        }
        if self.names("egd.sock") {
            peers.listener(&self.path("egd.sock"));
        }
        if self.names("vhost-net.sock") {
            peers.vhost_user_net(&self.path("vhost-net.sock"));
        }
        self.peers = peers;
        if self.names("loop") {
            self.attach_loop();
        }
        if self.text.contains("/dev/ttyS0") && !common::given(common::opens("/dev/ttyS0"), "/dev/ttyS0 (a null device)")
        {
            let source = "<source path='/dev/ttyS0'/>";
            self.text = self.text.replace(source, "").replace("<serial type='dev'>", "<serial type='null'>");
        }
    }

    /// A certificate of an authority of its own, once with a plain key, once with one that has a passphrase.
    fn certificates(&self) {
        let [plain, locked] = ["pki", "pki-locked"].map(|name| self.path(name));
        for folder in [&plain, &locked] {
            std::fs::create_dir(folder).expect("made");
        }
        let openssl = |args: &str| {
            run(
                "openssl",
                &args.split(' ').map(|a| if a == "PHRASE" { "pass:pass phrase" } else { a }).collect::<Vec<_>>(),
            );
        };
        openssl(&format!(
            "req -x509 -newkey rsa:2048 -noenc -days 2 -subj /CN=authority -keyout {plain}/ca-key.pem -out {plain}/ca-cert.pem"
        ));
        openssl(&format!(
            "req -newkey rsa:2048 -noenc -subj /CN=localhost -keyout {plain}/server-key.pem -out {plain}/request"
        ));
        openssl(&format!(
            "x509 -req -in {plain}/request -CA {plain}/ca-cert.pem -CAkey {plain}/ca-key.pem -CAcreateserial -days 2 \
             -out {plain}/server-cert.pem"
        ));
        openssl(&format!("pkcs8 -topk8 -in {plain}/server-key.pem -passout PHRASE -out {locked}/server-key.pem"));
        for name in ["ca-cert.pem", "server-cert.pem"] {
            std::fs::copy(format!("{plain}/{name}"), format!("{locked}/{name}")).expect("copied");
        }
    }

    /// A loop device over an image; where there are none, the image itself is at its place.
    fn attach_loop(&mut self) {
        let found = Command::new("losetup").args(["--find", "--show", &self.path("c.img")]).output();
        let device =
            found.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string());
        match device {
            Some(device) => {
                std::os::unix::fs::symlink(&device, self.path("loop")).expect("linked");
                self.peers.loop_device(device);
            }
            None => {
                common::skip("a loop device (the disk is a file)");
                self.text =
                    self.text.replace("<disk type='block'", "<disk type='file'").replace("source dev=", "source file=");
                std::fs::copy(self.path("c.img"), self.path("loop")).expect("copied");
            }
        }
    }

    /// Where this place's machines are registered.
    pub fn registry(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// A virtc command in this place.
    pub fn virtc(&self, args: &[&str]) -> Command {
        let mut command = common::virtc();
        command
            .args(args)
            .env("VIRTC_RUNTIME_DIR", self.registry())
            .env("XDG_STATE_HOME", self.dir.path().join("state"));
        command.stdin(Stdio::null());
        command
    }

    /// Starts the domain; the status and what virtc says. Where that is allowed, it is alone in a network namespace that has
    /// the bridge of the domains: ports are free there, and the host keeps its network.
    pub fn start(&self) -> (bool, String) {
        let [file, host, secrets] = ["vm.xml", "host.kdl", "secrets"].map(|name| self.path(name));
        let virtc = self.virtc(&[
            "run",
            "-d",
            &file,
            "--connect",
            "qemu:///session",
            "--host",
            &host,
            "--secrets",
            &secrets,
            "--ready-timeout",
            "60",
        ]);
        let mut command = if common::makes_networks() {
            let mut command = Command::new("unshare");
            // passt needs a default route.
            let make = "ip link set lo up && ip link add vtestbr0 type bridge && ip address add 192.0.2.9/24 dev vtestbr0 && \
                        ip link set vtestbr0 up && ip route add default via 192.0.2.1 && exec \"$0\" \"$@\"";
            command.args(["--net", "sh", "-c", make]).arg(virtc.get_program()).args(virtc.get_args());
            command.envs(virtc.get_envs().filter_map(|(k, v)| Some((k, v?)))).stdin(Stdio::null());
            command
        } else {
            virtc
        };
        let out = command.output().expect("virtc runs");
        // The terminal's rendering breaks long lines.
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        let words: Vec<&str> = text.split_whitespace().filter(|w| *w != "│").collect();
        (out.status.success(), words.join(" "))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Also after a failed comparison.
        let _ =
            self.virtc(&["stop", "--timeout", "0", &self.name]).stderr(Stdio::null()).stdout(Stdio::null()).status();
    }
}
