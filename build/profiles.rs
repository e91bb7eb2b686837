//! Writes the capabilities that come with virtc as numbers of lines.
//!
//! One release of QEMU says nearly what the one before it said: of twenty-four thousand lines in all profiles, three thousand
//! differ. Each of them is kept once; a profile is a list of their numbers, and is read as it stands, with nothing to unpack.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// The Rust source of `LINES`, `ENDS` and `FILES` for the profiles in `folder`.
pub fn tables(folder: &Path) -> Result<String, String> {
    let mut lines = Lines::default();
    let mut files = String::new();
    for path in profiles(folder)? {
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let numbers = text.lines().map(|line| lines.number(line)).collect::<Result<Vec<u16>, String>>()?;
        let _ = writeln!(files, "({name:?}, &{numbers:?}),");
    }
    let Lines { text, ends, .. } = lines;
    Ok(format!(
        "/// All lines, one behind the other.\nstatic LINES: &str = {text:?};\n\
         /// Where each line ends, and the next one begins.\nstatic ENDS: [u32; {}] = {ends:?};\n\
         /// The name of each profile, and its lines.\nstatic FILES: &[(&str, &[u16])] = &[\n{files}];\n",
        ends.len()
    ))
}

/// The profiles of a folder, in the order of their names.
fn profiles(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let of = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(of)? {
        let path = entry.map_err(of)?.path();
        if path.extension().is_some_and(|e| e == "caps") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The lines that have been seen.
#[derive(Default)]
struct Lines {
    text: String,
    ends: Vec<usize>,
    numbers: BTreeMap<String, u16>,
}

impl Lines {
    /// The number of a line.
    fn number(&mut self, line: &str) -> Result<u16, String> {
        if let Some(number) = self.numbers.get(line) {
            return Ok(*number);
        }
        let number = u16::try_from(self.ends.len()).map_err(|_| "there are more lines than numbers".to_string())?;
        self.text.push_str(line);
        self.ends.push(self.text.len());
        self.numbers.insert(line.to_string(), number);
        Ok(number)
    }
}
