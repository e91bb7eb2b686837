//! The Makefile dependency file: every input that was read, so that make knows when to compile anew.

use super::artifact::{Artifact, Extras};
use super::fit::Fitter;
use super::names::Names;
use crate::diag::Diagnostics;
use crate::escape::MakePath;
use crate::plan::Cause;

/// `NAME.d`: the plan depends on the inputs; and each input gets an empty rule, so that make does not
/// stop when one is removed.
pub fn emit(tree: &[Artifact], names: &Names, extras: &Extras<'_>, diags: &mut Diagnostics) -> Option<Artifact> {
    let mut fit = Fitter::new(diags);
    let cause = Cause { what: "dependency file".into(), ..Cause::default() };
    let plan = tree.iter().find(|a| a.path.ends_with("/plan.json"))?;
    let target = fit.fit::<MakePath>(&format!("{}{}", extras.target_prefix, plan.path), &cause)?;
    let target = target.as_str().replace('%', "\\%");
    let mut inputs = Vec::new();
    for input in extras.inputs {
        inputs.push(fit.fit::<MakePath>(input, &cause)?);
    }
    let mut text = format!("{target}:");
    for input in &inputs {
        text.push_str(" \\\n  ");
        text.push_str(input.as_str());
    }
    text.push('\n');
    for input in inputs.iter().filter(|input| !input.as_str().contains('%')) {
        text.push_str(&format!("\n{input}:\n"));
    }
    Some(Artifact::new(format!("{}.d", names.name), text))
}
