//! Writes the page: `virtc-explorer MODULE.wasm PAGE.html EXAMPLE.xml…`. It begins with the first of the examples.

use base64::Engine;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(module), Some(page)) = (arguments.next(), arguments.next()) else {
        return Err(std::io::Error::other("virtc-explorer MODULE.wasm PAGE.html EXAMPLE.xml…"));
    };
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&std::fs::read(module)?)?;
    let module = base64::engine::general_purpose::STANDARD.encode(packed.finish()?);
    let example = |file: String| {
        let name = Path::new(&file).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok((name, std::fs::read_to_string(&file)?))
    };
    let mut examples: Vec<(String, String)> = arguments.map(example).collect::<std::io::Result<_>>()?;
    let mut seen = std::collections::BTreeSet::new();
    examples.retain(|(name, _)| seen.insert(name.clone()));
    std::fs::write(page, virtc::explorer::live::shell(&module, &examples))
}
