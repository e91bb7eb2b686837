//! Emitters: the Plan becomes artifacts, one folder a target language.
//!
//! Invariant: an emitter is a pure function of the [`Plan`]; it never looks at the domain, the host or
//! the world. A value reaches a text only as [`Escaped`](crate::escape::Escaped); what an output's language cannot
//! express is a diagnostic. To add an output: a folder with a function from the Plan to [`Artifact`]s,
//! a line in [`all`], and a test that asks the program which reads it.

pub mod apparmor;
pub mod argv;
mod artifact;
pub mod cgroup;
pub mod depfile;
pub mod devices;
pub mod fit;
pub mod limits;
pub mod manifest;
mod names;
pub mod networks;
mod rooted;
pub mod selinux;
pub(crate) mod shaping;
pub mod systemd;
pub mod sysusers;
pub mod template;
pub mod tmpfiles;
mod traced;
pub mod udev;

pub use artifact::{Artifact, Extras, describe};
pub use fit::Fitter;
pub use names::Names;
pub use template::Templates;
pub use traced::{Mark, Traced};

use crate::diag::Diagnostics;
use crate::plan::Plan;

/// The tree of a domain, by path. Incomplete if `diags` holds errors.
pub fn all(plan: &Plan, extras: &Extras<'_>, templates: &Templates, diags: &mut Diagnostics) -> Vec<Artifact> {
    let Some(names) = Names::of(plan, &mut Fitter::new(diags)) else { return Vec::new() };
    // Then nobody reads what cannot have any: only that it is there counts.
    let only_faults = templates.are_unfilled();
    let mut tree = systemd::emit(plan, &names, templates, diags);
    tree.extend(sysusers::emit(plan, &names, templates, diags));
    tree.extend(tmpfiles::emit(plan, &names, templates, diags));
    tree.extend(udev::emit(plan, &names, templates, diags));
    tree.extend(networks::emit(plan, &names, diags));
    tree.extend(apparmor::emit(plan, &names, templates, diags));
    tree.extend(selinux::emit(plan, &names, templates, diags));
    tree.extend(cgroup::emit(plan, &names, diags));
    for process in &plan.processes {
        let file = names.helper(process).map_or("argv".to_string(), |helper| format!("argv.{helper}"));
        let mut text = String::new();
        if !only_faults {
            argv::write(&mut text, process, argv::Format::Lines);
        }
        tree.push(Artifact::new(names.share(&file), text));
    }
    tree.push(Artifact::new(names.share("plan.json"), if only_faults { String::new() } else { plan_json(plan) }));
    tree.push(Artifact::new(names.share("domain.xml"), extras.domain_xml.to_string()));
    if let Some(depfile) = depfile::emit(&tree, &names, extras, diags) {
        tree.push(depfile);
    }
    tree.push(Artifact::new(names.share("files"), String::new()));
    tree.push(Artifact::new(names.share(manifest::FILE), String::new()));
    tree.sort_by(|a, b| a.path.cmp(&b.path));
    if only_faults {
        return tree;
    }
    // The list of all files, for packages and for removing the tree.
    let list = tree.iter().map(|a| format!("{}\n", a.path)).collect();
    if let Some(files) = tree.iter_mut().find(|a| a.path == names.share("files")) {
        files.contents = list;
    }
    let manifest = manifest::emit(plan, &names, extras, &tree);
    if let Some(place) = tree.iter_mut().find(|a| a.path == manifest.path) {
        *place = manifest;
    }
    tree
}

/// `plan.json`: the Plan for other programs and for the runner.
pub fn plan_json(plan: &Plan) -> String {
    // A Plan holds no map with other keys than text and no float, so that it always is JSON.
    let mut text = serde_json::to_string_pretty(plan).unwrap_or_default();
    text.push('\n');
    text
}
