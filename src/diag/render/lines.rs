//! Lines and columns of a text.

/// Where the lines of a text begin.
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<u32>,
    /// How many characters begin before each block of [`BLOCK`] bytes: a file may be one long line.
    characters: Vec<u32>,
}

/// Bytes in a block of [`Lines::characters`].
const BLOCK: usize = 1024;

impl<'a> Lines<'a> {
    /// Finds the lines of `text`; linear, once a file.
    pub fn of(text: &'a str) -> Lines<'a> {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at as u32 + 1);
        let starts = std::iter::once(0).chain(ends).collect();
        let mut characters = vec![0];
        let mut before = 0;
        for block in text.as_bytes().chunks(BLOCK) {
            before += begins(block);
            characters.push(before);
        }
        Lines { text, starts, characters }
    }

    /// The line of a byte offset, from 0.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|s| *s as usize <= offset).max(1) - 1
    }

    /// Where a line begins, counted from 0; the end of the text for one that is not there.
    pub(super) fn start(&self, line: usize) -> usize {
        self.starts.get(line).map_or(self.text.len(), |s| *s as usize)
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    pub fn place(&self, offset: u32) -> (usize, usize) {
        let line = self.starts.partition_point(|s| *s <= offset).max(1);
        let from = self.starts[line - 1] as usize;
        let to = (offset as usize).clamp(from, self.text.len());
        (line, (self.before(to) - self.before(from)) as usize + 1)
    }

    /// How many characters begin before a byte of the text.
    fn before(&self, at: usize) -> u32 {
        let block = at / BLOCK;
        let rest = self.text.as_bytes().get(block * BLOCK..at).map_or(0, begins);
        self.characters.get(block).copied().unwrap_or(0) + rest
    }
}

/// How many characters begin in these bytes of UTF-8.
fn begins(bytes: &[u8]) -> u32 {
    bytes.iter().filter(|b| **b & 0xc0 != 0x80).count() as u32
}
