//! `virtc schema`: the reference of the domain format.

use super::{Exit, Shared, complain, print};
use crate::schema::reference;
use std::path::PathBuf;

// Arguments of `virtc schema`.
#[derive(clap::Args)]
pub struct Args {
    /// An element, by its name or the end of its path: `disk`, `disk/source`, `/domain/os`; or an attribute of one: `disk/target/bus`
    path: Option<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The folder that Markdown pages are written to
    #[arg(short, long, value_name = "DIR", default_value = "docs/format")]
    output: PathBuf,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, Default)]
enum Format {
    /// A page for the terminal
    #[default]
    Text,
    /// All pages, into a folder
    Markdown,
    /// The whole format, for editors
    Json,
}

/// Prints a page, or writes all of them.
pub fn run(args: &Args, shared: &Shared) -> Exit {
    match args.format {
        Format::Text => text(args.path.as_deref(), shared),
        Format::Json => print(&format!("{:#}\n", reference::json())),
        Format::Markdown => markdown(args),
    }
}

fn text(query: Option<&str>, shared: &Shared) -> Exit {
    let all = reference::places();
    let mut hits = reference::find(&all, query.unwrap_or("domain"));
    if hits.is_empty() {
        hits = reference::with_attribute(&all, query.unwrap_or(""));
    }
    match hits.as_slice() {
        [] => {
            let query = query.unwrap_or("");
            match reference::similar(&all, query) {
                Some(name) => complain(&format!("the format has no element {query}; did you mean {name}?")),
                None => complain(&format!("the format has no element {query}; `virtc schema` shows the root")),
            }
            Exit::Usage
        }
        [first, others @ ..] => {
            let mut out = reference::text_page(first);
            if !others.is_empty() {
                out.push_str("\nAlso at\n");
                others.iter().take(20).for_each(|p| out.push_str(&format!("  {}\n", p.path)));
                if others.len() > 20 {
                    out.push_str(&format!("  and {} more places\n", others.len() - 20));
                }
            }
            print(&super::paper::page(&out, shared))
        }
    }
}

fn markdown(args: &Args) -> Exit {
    let write = || -> std::io::Result<usize> {
        std::fs::create_dir_all(&args.output)?;
        let pages = reference::markdown();
        for (name, text) in &pages {
            std::fs::write(args.output.join(name), text)?;
        }
        Ok(pages.len())
    };
    match write() {
        Ok(count) => print(&format!("{count} pages written to {}\n", args.output.display())),
        Err(e) => {
            complain(&format!("cannot write to {}: {e}", args.output.display()));
            Exit::Environment
        }
    }
}
