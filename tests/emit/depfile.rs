//! make reads the dependency file.

use super::{plans, tools};
use std::process::Command;
use virtc::diag::Diagnostics;
use virtc::emit::{self, Extras, Templates};

#[test]
fn make_sees_exactly_the_inputs() {
    let Some(make) = tools::tool("make", "make") else { return };
    let root = tempfile::tempdir().unwrap();
    let inputs: Vec<String> = [
        "vm.xml",
        "a b.xml",
        "c#d.xml",
        "e$f.xml",
        "g%h.xml",
        "i:j.xml",
        "k%%l.xml",
        "m*n.xml",
        "o[p].xml",
        "~q.xml",
        "r\\s.xml",
        "t\\ u.xml",
        "w|x",
        "y?z",
        "&1",
    ]
    .map(String::from)
    .to_vec();
    for input in &inputs {
        std::fs::write(root.path().join(input), "").unwrap();
    }
    let mut diags = Diagnostics::new();
    let extras = Extras { inputs: &inputs, target_prefix: "out put/", ..Extras::default() };
    let tree = emit::all(&plans::server(), &extras, &Templates::built_in(), &mut diags);
    assert!(diags.is_empty());
    plans::write(&tree, root.path());
    let target = root.path().join("out put/usr/share/virtc/web/plan.json");
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    let goal = "out put/usr/share/virtc/web/plan.json";
    let recipe = format!("include web.d\n{}:\n\ttrue\n", goal.replace(' ', "\\ "));
    std::fs::write(root.path().join("Makefile"), recipe).unwrap();
    let query = |expected: bool, why: &str| {
        let (fresh, output) = tools::run(Command::new(&make).current_dir(root.path()).args(["-q", goal]));
        assert_eq!(fresh, expected, "{why}: {output}");
    };
    let at = |path: &std::path::Path, seconds| {
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
    };
    std::fs::write(&target, "").unwrap();
    inputs.iter().for_each(|input| at(&root.path().join(input), 1000));
    at(&target, 2000);
    query(true, "nothing changed");
    for input in &inputs {
        at(&root.path().join(input), 3000);
        query(false, input);
        at(&root.path().join(input), 1000);
    }
    // A removed input is no fault of make, but a reason to compile.
    std::fs::remove_file(root.path().join("vm.xml")).unwrap();
    let (_, output) = tools::run(Command::new(&make).current_dir(root.path()).args(["-n", goal]));
    assert!(!output.contains("No rule"), "{output}");
}
