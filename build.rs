//! Compiles `schema/*.kdl`, the grammar of the domain format, into static tables (`src/schema/tables.rs`
//! includes them), so that a run of virtc spends no time on reading it.

#[path = "build/form.rs"]
mod form;
#[path = "build/pattern.rs"]
mod pattern;
#[path = "build/write.rs"]
mod write;

fn main() {
    println!("cargo::rerun-if-changed=schema");
    println!("cargo::rerun-if-changed=build");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR for build scripts");
    let folder = std::path::Path::new(&root).join("schema");
    let text = form::read_folder(&folder).and_then(|grammar| write::tables(&grammar));
    match text {
        Ok(text) => {
            let path = std::path::Path::new(&out).join("schema_tables.rs");
            if let Err(e) = std::fs::write(&path, text) {
                panic!("{}: {e}", path.display());
            }
        }
        Err(message) => panic!("the schema is wrong: {message}"),
    }
}
