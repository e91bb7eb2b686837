//! sysusers.d: the account that is a machine's alone. What keeps machines apart on every host is that nothing of one
//! belongs to the account of another.

use super::artifact::Artifact;
use super::fit::Fitter;
use super::names::Names;
use super::template::{Fields, Templates};
use crate::diag::Diagnostics;
use crate::escape::{AccountName, UnitText};
use crate::plan::{Cause, Instance, Plan};

/// The file; none for an account that others use too, which the administrator has made.
pub fn emit(plan: &Plan, names: &Names, templates: &Templates, diags: &mut Diagnostics) -> Option<Artifact> {
    let user = plan.confinement.user.as_deref().filter(|_| plan.confinement.own_account)?;
    if plan.instance != Instance::System {
        return None;
    }
    let mut fit = Fitter::new(diags);
    let cause = Cause { what: "account of the machine".into(), ..Cause::default() };
    let mut fields = Fields::new();
    fields.maybe::<UnitText>("title", fit.fit(&plan.name, &cause));
    fields.maybe::<AccountName>("user", fit.fit(user, &cause));
    let contents = templates.render("sysusers", &fields, diags);
    Some(Artifact::traced(format!("usr/lib/sysusers.d/{}.conf", names.stem), contents))
}
