//! `virtc argv --format script`: a shell runs it for every example, with programs in place of QEMU, its helpers and ip(8).

use crate::common;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

fn examples() -> Vec<PathBuf> {
    let found = std::fs::read_dir(common::root().join("examples")).unwrap().map(|e| e.unwrap().path());
    let mut found = Vec::from_iter(found.filter(|p| p.extension().is_some_and(|e| e == "xml")));
    found.sort();
    found
}

fn argv(file: &Path, format: &str) -> String {
    let facts = common::root().join("examples/host.kdl");
    let mut command = common::virtc();
    let output = command.args(["--quiet", "argv", "--format", format, "--host"]).arg(facts).arg(file).output().unwrap();
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The sockets that the script waits for.
fn sockets(script: &str) -> impl Iterator<Item = &str> {
    script.lines().filter_map(|l| l.strip_prefix("until [ -S \"$run\"")?.split_once(" ]")).map(|(path, _)| path)
}

#[test]
fn a_shell_runs_every_example() {
    for file in examples() {
        let root = tempfile::tempdir().unwrap();
        let (place, name) = (root.path(), file.display());
        let mut script = argv(&file, "script");
        // In place of all programs: what notes its words and ends.
        let stub = place.join("stub");
        common::write_program(&stub, &format!("#!/bin/sh\necho \"$0 $*\" >>{}/said\n", place.display()));
        let qemu = place.join("qemu");
        common::write_program(
            &qemu,
            &format!("#!/bin/sh\nfor w; do printf '%s\\n' \"$w\"; done >{}/words\n", place.display()),
        );
        common::write_program(&place.join("id"), "#!/bin/sh\necho 1000\n");
        common::write_program(&place.join("cp"), "#!/bin/sh\n: >\"$2\"\n");
        for program in ["ip", "modprobe"] {
            std::fs::copy(&stub, place.join(program)).unwrap();
        }
        let lines = argv(&file, "lines");
        let program = lines.lines().find(|l| l.starts_with('/')).unwrap();
        script = script.replace(&format!(" {program} "), &format!(" {} ", qemu.display()));
        for helper in [
            "/usr/bin/swtpm",
            "/usr/bin/swtpm_setup",
            "/usr/libexec/virtiofsd",
            "/usr/lib/qemu/virtiofsd",
            "/usr/bin/passt",
            "/usr/bin/qemu-img",
        ] {
            script = script.replace(&format!("{helper} "), &format!("{} ", stub.display()));
        }
        let text = place.join("script");
        std::fs::write(&text, &script).unwrap();
        let (run, state) = (place.join("run"), place.join("state"));
        let listeners = Vec::from_iter(sockets(&script).map(|socket| {
            let path = run.join(format!("virtc{}", socket.trim_matches('\'')));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            UnixListener::bind(path).unwrap()
        }));
        let path = format!("{}:{}", place.display(), std::env::var("PATH").unwrap());
        let mut sh = Command::new("sh");
        sh.arg(&text).env("PATH", path).env("XDG_RUNTIME_DIR", &run).env("XDG_STATE_HOME", &state);
        let output = sh.output().unwrap();
        assert!(output.status.success(), "{name}: {}\n{script}", String::from_utf8_lossy(&output.stderr));
        drop(listeners);
        // QEMU got the words of the plain form, with the folders of a user.
        let words = std::fs::read_to_string(place.join("words")).unwrap();
        let expected = lines.lines().skip_while(|l| !l.starts_with('/')).skip(1);
        let expected = expected.map(|l| l.replace("/run/virtc/", &format!("{}/virtc/", run.display())));
        let expected = expected.map(|l| l.replace("/var/lib/virtc/", &format!("{}/virtc/", state.display())));
        assert_eq!(Vec::from_iter(words.lines()), Vec::from_iter(expected), "{name}");
        let left =
            Vec::from_iter(std::fs::read_dir(run.join("virtc")).into_iter().flatten().map(|e| e.unwrap().path()));
        assert!(left.is_empty(), "{name} leaves {left:?}");
    }
}
