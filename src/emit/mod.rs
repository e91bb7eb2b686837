//! Emitters: the Plan becomes artifacts, one folder a target language.
//!
//! Invariant: an emitter is a pure function of the [`Plan`](crate::plan::Plan); it never looks at the
//! domain, the host or the world. Whatever an output's language cannot express is a diagnostic.

pub mod argv;
pub mod escape;
