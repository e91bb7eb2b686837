//! Names of the artifacts of a domain.

use super::fit::Fitter;
use crate::escape::{Escaped, UnitName};
use crate::plan::{Cause, Instance, Plan, Process, Role};

/// Where the artifacts of a domain go, relative to the root of the tree.
pub struct Names {
    /// `virtc-NAME`, as systemd and file systems take it.
    pub stem: Escaped<UnitName>,
    /// NAME, spelled likewise.
    pub name: Escaped<UnitName>,
    /// Folder of units.
    pub unit_folder: &'static str,
    /// Ids of helpers, spelled likewise.
    helpers: Vec<(String, Escaped<UnitName>)>,
}

impl Names {
    /// The names of a domain; none if a name cannot be part of a file's.
    pub fn of(plan: &Plan, fit: &mut Fitter<'_>) -> Option<Names> {
        let cause = Cause { what: "name of the domain".into(), ..Cause::default() };
        let name = fit.fit::<UnitName>(&plan.name, &cause)?;
        let mut helpers = Vec::new();
        for process in plan.processes.iter().filter(|p| p.role != Role::Qemu) {
            helpers.push((process.id.clone(), fit.fit(&process.id, &process.cause)?));
            if name.as_str().len() + process.id.len() > 200 {
                fit.fit::<UnitName>(&format!("{}-{}", plan.name, process.id), &process.cause)?;
            }
        }
        let unit_folder = match plan.instance {
            Instance::System => "usr/lib/systemd/system",
            Instance::Session => "usr/lib/systemd/user",
        };
        Some(Names { stem: name.clone().between("virtc-", ""), name, unit_folder, helpers })
    }

    /// Path of the service of a process.
    pub fn unit(&self, process: &Process) -> String {
        format!("{}/{}", self.unit_folder, self.unit_name(process))
    }

    /// Name of the service of a process: `virtc-NAME.service`, `virtc-NAME-HELPER.service`.
    pub fn unit_name(&self, process: &Process) -> Escaped<UnitName> {
        Escaped::service(&self.stem, self.helper(process))
    }

    /// The id of a helper as it stands in names; none for QEMU.
    pub fn helper(&self, process: &Process) -> Option<&Escaped<UnitName>> {
        self.helpers.iter().find(|(id, _)| *id == process.id).map(|(_, spelled)| spelled)
    }

    /// Path of a file in the domain's own folder.
    pub fn share(&self, file: &str) -> String {
        format!("usr/share/virtc/{}/{file}", self.name)
    }
}
