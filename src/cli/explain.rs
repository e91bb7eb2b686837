//! `virtc explain`: what a diagnostic code means.

use super::{Exit, Shared, complain, print};
use crate::diag::codes;

/// Arguments of `virtc explain`.
#[derive(clap::Args)]
pub struct Args {
    /// A diagnostic code, such as VC0103; without one, all codes are listed
    code: Option<String>,
}

/// Explains a code.
pub fn run(args: &Args, _: &Shared) -> Exit {
    let Some(id) = &args.code else {
        let mut out = String::new();
        for (topic, all) in codes::TOPICS {
            out.push_str(&format!("{topic}\n"));
            all.iter().for_each(|c| out.push_str(&format!("  {}  {}\n", c.id, c.name)));
        }
        return print(&out);
    };
    match codes::find(id) {
        Some(code) => print(&format!("{} {}\n\n{}\n", code.id, code.name, code.explain)),
        None => {
            complain(&format!("no diagnostic has the code {id}; `virtc explain` lists all codes"));
            Exit::Usage
        }
    }
}
