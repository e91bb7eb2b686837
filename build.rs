//! Compiles `schema/*.kdl`, the grammar of the domain format, into static tables (`src/schema/tables.rs`
//! includes them), so that a run of virtc spends no time on reading it, and its words into the enums of the
//! model (`src/schema/words.rs`). The capabilities that come with virtc become tables, too (`src/caps/profiles.rs`).

// Cargo shows what stops it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

#[path = "build/form.rs"]
mod form;
#[path = "build/pattern.rs"]
mod pattern;
#[path = "build/profiles.rs"]
mod profiles;
#[path = "build/words.rs"]
mod words;
#[path = "build/write.rs"]
mod write;

fn main() {
    println!("cargo::rerun-if-changed=schema");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=src/caps/profiles");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR for build scripts");
    let folder = std::path::Path::new(&root).join("schema");
    let made = form::read_folder(&folder).and_then(|grammar| Ok((write::tables(&grammar)?, words::enums(&grammar)?)));
    let (tables, words) = made.unwrap_or_else(|message| panic!("the schema is wrong: {message}"));
    let profiles = profiles::tables(&std::path::Path::new(&root).join("src/caps/profiles"));
    let profiles = profiles.unwrap_or_else(|message| panic!("a profile is wrong: {message}"));
    for (name, text) in [("schema_tables.rs", tables), ("schema_words.rs", words), ("profiles.rs", profiles)] {
        let path = std::path::Path::new(&out).join(name);
        if let Err(e) = std::fs::write(&path, text) {
            panic!("{}: {e}", path.display());
        }
    }
    link_unwinder();
    pack_relocations();
    shrink(std::path::Path::new(&out));
}

/// Packs the addresses that the loader has to correct at every start: fifteen thousand of them take 360 KB as a list and 10 KB
/// packed, and what is not there is not read. glibc knows the form since 2.36, Debian 12's.
fn pack_relocations() {
    let is = |key: &str, value: &str| std::env::var(key).is_ok_and(|v| v == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") && is("CARGO_CFG_TARGET_ARCH", "x86_64")
    {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Puts the unwinder into the program where the C compiler has it as an archive. As a library of its own it is one more file
/// to open at every start, and its constructor asks the processor what it can do, which a hypervisor makes slow: a
/// tenth of the time of checking a file.
fn link_unwinder() {
    let is = |key: &str, value: &str| std::env::var(key).is_ok_and(|v| v == value);
    if !is("CARGO_CFG_TARGET_OS", "linux")
        || !is("CARGO_CFG_TARGET_ENV", "gnu")
        || std::env::var("TARGET") != std::env::var("HOST")
    {
        return;
    }
    // The compiler prints the bare name back when it does not have the file.
    let archive = std::process::Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    if archive.is_ok_and(|found| found.stdout.starts_with(b"/")) {
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// Makes a release smaller by what only the linker can do.
///
/// - Nobody reads the tables for unwinding, because a panic aborts (`Cargo.toml`), and they are an eighth of the program. The
///   standard library brings its own, so that no flag of the compiler avoids them.
/// - Functions that came out the same are one.
///
/// The linkers of GNU and LLVM take the first, that of LLVM the second; each is tried. Who has chosen a linker or flags of his
/// own is left alone.
fn shrink(out: &std::path::Path) {
    const SCRIPT: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) *(.gcc_except_table .gcc_except_table.*) } }\n\
                          INSERT AFTER .text;\n";
    let is = |key: &str, value: &str| std::env::var(key).is_ok_and(|v| v == value);
    let said = |key: &str| std::env::var(key).is_ok_and(|v| !v.is_empty());
    let own = ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_LINKER"].iter().any(|key| said(key));
    let known = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") && is("PROFILE", "release");
    let script = out.join("no-unwinding.ld");
    if own || !known || std::fs::write(&script, SCRIPT).is_err() {
        return;
    }
    let without_tables = ["-Wl,--no-eh-frame-hdr".to_string(), format!("-Wl,-T,{}", script.display())];
    for arguments in [&without_tables[..], &["-Wl,--icf=all".to_string()]] {
        if links_with(arguments, out) {
            arguments.iter().for_each(|argument| println!("cargo::rustc-link-arg-bins={argument}"));
        }
    }
}

/// Whether the linker takes these arguments.
fn links_with(arguments: &[String], out: &std::path::Path) -> bool {
    let (Some(rustc), Some(target)) = (std::env::var_os("RUSTC"), std::env::var_os("TARGET")) else { return false };
    let source = out.join("nothing.rs");
    if std::fs::write(&source, "fn main() {}\n").is_err() {
        return false;
    }
    let mut command = std::process::Command::new(rustc);
    command.arg("--target").arg(target).args(["-C", "panic=abort", "-o"]).arg(out.join("nothing")).arg(source);
    command.args(arguments.iter().flat_map(|argument| ["-C".to_string(), format!("link-arg={argument}")]));
    command.output().is_ok_and(|done| done.status.success())
}
