//! Text to [`Document`]: elements, attributes and text, each with its place in the source.
//!
//! The reader refuses what domain XML never needs and attackers like (document types, entities,
//! deep nesting, huge files), and collects its faults instead of stopping at the first.

mod document;
mod parse;
mod write;

pub use document::{Attr, Document, El, Namespace, Site};
pub use parse::{MAX_DEPTH, MAX_SIZE, parse};
pub use write::{XmlWriter, escape};
