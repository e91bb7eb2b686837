//! Writes the tiny guest, so that the examples and the tests need no download:
//!
//!     cargo run --example guest -- kernel kernel.img
//!     cargo run --example guest -- disk disk.img

// A program of its own, which writes what it is told to.
#![allow(clippy::disallowed_methods, clippy::expect_used)]

mod image;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (form, path) = match args.as_slice() {
        [form, path] => (form.as_str(), path),
        _ => {
            eprintln!("usage: guest kernel|disk FILE");
            return ExitCode::from(2);
        }
    };
    let bytes = match form {
        "kernel" => image::kernel(),
        "disk" => image::disk(),
        other => {
            eprintln!("guest: '{other}' is neither kernel nor disk");
            return ExitCode::from(2);
        }
    };
    match std::fs::write(path, bytes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest: cannot write {path}: {error}");
            ExitCode::from(4)
        }
    }
}
