//! The words of the format: an enum for each value set that the model knows, made of `schema/*.kdl` by `build.rs`
//! (`enum=NAME` there). What a word means to virtc is an `impl` beside the model that holds it.

use crate::vocab::keywords;

include!(concat!(env!("OUT_DIR"), "/schema_words.rs"));
