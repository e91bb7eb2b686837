//! Every test that starts virtual machines: a program of its own, so that they have the processors for themselves
//! (`cargo test` runs one program after the other).

mod common;

#[path = "../examples/guest/image.rs"]
mod image;

mod domains;
mod examples;
mod runner;
