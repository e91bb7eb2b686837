//! The grammar of the domain format, and the check of a document against it.
//!
//! `schema/*.kdl` is the one place that lists elements, attributes, values, units and cardinalities
//! (docs/SCHEMA.md tells how to read and change it). `build.rs` compiles it into tables; [`validate`]
//! looks a document up in them.

mod explain;
mod fix;
mod habits;
pub mod known;
mod phrases;
pub mod reference;
mod suggest;
pub mod tables;
mod validate;
mod variants;
mod wording;
pub mod words;
mod younger;

pub use suggest::{architecture, meant, nearest};
pub use validate::{Flagged, Grade, Watch, validate, validate_watched};
pub use younger::Younger;
