//! Values on their way into an output: fitted into its language, or reported.

use crate::diag::{Code, Diagnostics, codes::emit};
use crate::escape::{Escaped, Language, Unfit};
use crate::plan::Cause;
use std::collections::BTreeSet;

/// Where emitters report what an output cannot express. Says each thing once.
pub struct Fitter<'a> {
    diags: &'a mut Diagnostics,
    said: BTreeSet<String>,
}

impl<'a> Fitter<'a> {
    /// Reports into `diags`.
    pub fn new(diags: &'a mut Diagnostics) -> Fitter<'a> {
        Fitter { diags, said: BTreeSet::new() }
    }

    /// `value` in language `L`, or none and a diagnostic.
    pub fn fit<L: Language>(&mut self, value: &str, cause: &Cause) -> Option<Escaped<L>> {
        self.take(Escaped::new(value), cause)
    }

    /// What a constructor of escaped text gave, or none and a diagnostic.
    pub fn take<T>(&mut self, result: Result<T, Unfit>, cause: &Cause) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(why) => {
                let message = if cause.what.is_empty() { why.to_string() } else { format!("{}: {why}", cause.what) };
                if self.said.insert(message.clone()) {
                    self.diags
                        .error(&emit::NOT_EXPRESSIBLE, cause.span, message)
                        .help("use a value without it, for example by another name or a symbolic link");
                }
                None
            }
        }
    }

    /// Reports a value that the host would not take as it is meant.
    pub fn out_of_range(&mut self, cause: &Cause, message: String, help: &str) {
        if self.said.insert(message.clone()) {
            self.diags.error(&emit::OUT_OF_RANGE, cause.span, message).help(help);
        }
    }

    /// Reports what `virtc run` can do, and this output cannot.
    pub fn only_by_run(&mut self, cause: &Cause, message: &str, help: &str) {
        self.diags.error(&crate::diag::codes::general::ONLY_BY_RUN, cause.span, message).help(help);
    }

    /// Reports what no output applies yet.
    pub fn not_applied(&mut self, cause: &Cause, message: String) {
        if self.said.insert(message.clone()) {
            self.diags
                .warning(&crate::diag::codes::general::NOT_YET, cause.span, message)
                .help("set it by hand, or leave it out");
        }
    }

    /// Says what a person has to know or to do.
    pub fn note(&mut self, code: &'static Code, cause: &Cause, message: String, help: String) {
        if self.said.insert(message.clone()) {
            self.diags.note(code, cause.span, message).help(help);
        }
    }

    /// Reports what a unit cannot do but the runner can.
    pub fn runner_only(&mut self, cause: &Cause, message: String) {
        if self.said.insert(message.clone()) {
            self.diags
                .warning(&emit::RUNNER_ONLY, cause.span, message)
                .help("'virtc run' applies it; a systemd unit cannot");
        }
    }
}
