//! Answers.

use crate::emit::selinux::short;
use crate::plan::{Cause, Plan};

/// What kind of answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing in the domain asks for it.
    Unasked,
    /// The domain asks for the thing, but for less.
    TooLittle,
    /// The domain asks for it, by another path than the module saw.
    OtherPath,
    /// What virtc makes grants it: something older is in force.
    Granted,
    /// The file does not have the label that it is to have.
    Label,
    /// The labels are right; the policy of the host lacks a rule, or a boolean is off.
    Policy,
}

impl Verdict {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Unasked => "unasked",
            Verdict::TooLittle => "too-little",
            Verdict::OtherPath => "other-path",
            Verdict::Granted => "granted",
            Verdict::Label => "label",
            Verdict::Policy => "policy",
        }
    }
}

/// The answer to one denial.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What kind of answer.
    pub verdict: Verdict,
    /// What in the domain it concerns; none when nothing asks for it.
    pub cause: Option<Cause>,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// What the host says about the files of a domain.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// A path of the domain, and where its links lead.
    pub links: Vec<(String, String)>,
    /// An image of the domain, and a file that its header names.
    pub backing: Vec<(String, String)>,
}

/// Nothing in the domain asks for it.
pub(super) fn unasked(message: String, help: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Unasked, cause: None, message, help: help.into() }
}

/// What helps when the policy of the host lacks a rule.
pub(super) fn policy_help(plan: &Plan) -> String {
    let short = short(plan);
    format!(
        "install the module of the tree (semodule -i virtc_{short}.cil) and look into its selinux/booleans for what is off"
    )
}
