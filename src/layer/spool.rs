//! The content of a file that passes by, kept for those who must look at it from several sides.

use std::fs::File;
use std::io::{Cursor, Read, Seek, Write};

use super::elf;
use crate::error::{Error, Result};

/// What is kept in memory of a file; the rest goes to a file without a name.
const IN_MEMORY: usize = 4 << 20;

/// What is kept of any file: the first line of a script fits.
pub(super) const HEAD: u64 = 512;

/// Keeps what is wanted of one file after the other: the beginning of any, and the whole of machine code, whose tables
/// lie anywhere in it.
pub(super) struct Spool {
    memory: Vec<u8>,
    /// How much of the file is wanted, whatever it is.
    wanted: u64,
    file: Option<File>,
}

/// Both are read in place.
pub(super) trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

impl Spool {
    pub fn new() -> Spool {
        Spool { memory: Vec::new(), wanted: HEAD, file: None }
    }

    /// What comes next is another file, of which so much is wanted.
    pub fn begin(&mut self, wanted: Option<u64>) {
        self.memory.clear();
        self.file = None;
        self.wanted = wanted.unwrap_or(HEAD).max(HEAD);
    }

    pub fn put(&mut self, piece: &[u8]) -> Result<()> {
        let is_code = match self.memory.len() {
            0 => piece.starts_with(elf::MAGIC),
            _ => self.memory.starts_with(elf::MAGIC),
        };
        let room = match is_code {
            true => IN_MEMORY - self.memory.len(),
            false => self.wanted.saturating_sub(self.memory.len() as u64) as usize,
        };
        let (kept, rest) = piece.split_at(piece.len().min(room));
        self.memory.extend_from_slice(kept);
        if !is_code || rest.is_empty() {
            return Ok(());
        }
        let fail = |source| Error::Write { path: std::env::temp_dir(), source };
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut file = tempfile::tempfile().map_err(fail)?;
                file.write_all(&self.memory).map_err(fail)?;
                self.file.insert(file)
            }
        };
        file.write_all(rest).map_err(fail)
    }

    /// The beginning of the file, as much as is wanted of it.
    pub fn head(&self) -> &[u8] {
        let end = self.memory.len().min(self.wanted as usize);
        &self.memory[..end]
    }

    /// Reads in the whole file, when it is machine code.
    pub fn with_file<T>(&mut self, read: impl FnOnce(&mut dyn ReadSeek) -> Option<T>) -> Option<T> {
        match &mut self.file {
            Some(file) => read(file),
            None => read(&mut Cursor::new(&self.memory)),
        }
    }
}
