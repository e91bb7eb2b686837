//! The scripts of a unit that give files away and take them back.

use super::plans;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

/// The script of the line with this key that is about owners which are noted, as systemd hands it to the shell.
fn script(unit: &str, key: &str) -> String {
    let line = unit.lines().find(|l| l.starts_with(key) && l.contains("/run/virtc-owners/")).expect("a line");
    let (_, rest) = line.split_once(" -ec \"").expect("a script");
    let (script, _) = rest.split_once("\" sh ").expect("its end");
    script.replace("$$", "$").replace("%%", "%").replace("\\\"", "\"")
}

fn run(script: &str, arguments: &[&str]) {
    let status = Command::new("/bin/sh").args(["-ec", script, "sh"]).args(arguments).status();
    assert!(status.is_ok_and(|s| s.success()), "{script}");
}

#[test]
fn owners_are_noted_and_come_back() {
    let tree = plans::tree(&plans::server());
    let unit = plans::text(&tree, ".service");
    let (give, take) = (script(unit, "ExecStartPre="), script(unit, "ExecStopPost="));
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str| dir.path().join(name).display().to_string();
    let own = std::fs::metadata(dir.path()).expect("the directory");
    let (image, later) = (file("an image"), file("made later"));
    std::fs::write(&image, "").expect("written");
    let before = format!("{}:{}", own.uid(), own.gid());
    // Only root gives files away.
    let other = if own.uid() == 0 { "64999:64998".to_string() } else { before.clone() };
    let owner = |path: &str| std::fs::metadata(path).map(|m| format!("{}:{}", m.uid(), m.gid())).expect("a file");
    let note = file("notes/one");
    let given = [note.as_str(), &other, &later, &other, &image];
    run(&give, &given);
    assert_eq!(owner(&image), other);
    assert_eq!(std::fs::read_to_string(&note).expect("the note"), format!("-\n{before}\n"));
    // A second start without an end in between does not take the account for the owner before.
    run(&give, &given);
    std::fs::write(&later, "").expect("written");
    run(&take, &[&note, &later, &image]);
    assert_eq!((owner(&image), owner(&later)), (before.clone(), before));
    assert!(!std::path::Path::new(&note).exists());
    run(&take, &[&note, &image]);
}
