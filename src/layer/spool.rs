//! The content of a file that passes by, kept for those who must look at it from several sides.

use std::fs::File;
use std::io::{Cursor, Read, Seek, Write};

use super::elf;
use super::survey::{SHOWN, Wanted};
use crate::error::{Error, Result};

/// What is kept in memory of a file; the rest goes to a file without a name.
const IN_MEMORY: usize = 4 << 20;

/// What is kept of a file on disk; nothing is told of a larger one.
const ON_DISK: u64 = 2 << 30;

/// What is kept of any file: the first line of a script fits.
const HEAD: u64 = 512;

/// Keeps what is wanted of one file after the other: the beginning of any, and the whole of machine code, whose tables
/// lie anywhere in it, and of what is asked for.
pub(super) struct Spool {
    memory: Vec<u8>,
    /// How much of the file is wanted, whatever it is.
    wanted: u64,
    /// Whether all of it is.
    whole: bool,
    file: Option<File>,
    /// How much is in `file`.
    filed: u64,
}

/// A file that is read in place.
pub trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

impl Spool {
    pub fn new() -> Spool {
        Spool { memory: Vec::new(), wanted: HEAD, whole: false, file: None, filed: 0 }
    }

    /// What comes next is another file, of which so much is wanted.
    pub fn begin(&mut self, wanted: Wanted) {
        self.memory.clear();
        (self.file, self.filed) = (None, 0);
        self.wanted = beginning(wanted);
        self.whole = wanted == Wanted::Whole;
    }

    pub fn put(&mut self, piece: &[u8]) -> Result<()> {
        let is_code = match self.memory.len() {
            0 => piece.starts_with(elf::MAGIC),
            _ => self.memory.starts_with(elf::MAGIC),
        };
        let whole = self.whole || is_code;
        let room = match whole {
            true => IN_MEMORY - self.memory.len(),
            false => self.wanted.saturating_sub(self.memory.len() as u64) as usize,
        };
        let (kept, rest) = piece.split_at(piece.len().min(room));
        self.memory.extend_from_slice(kept);
        if !whole || rest.is_empty() {
            return Ok(());
        }
        self.filed += rest.len() as u64;
        if self.filed > ON_DISK {
            self.file = None;
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

    /// Reads the beginning of the file, as much as is wanted of it, and what is kept of the whole.
    pub fn read<T>(&mut self, read: impl FnOnce(&[u8], &mut dyn ReadSeek) -> Option<T>) -> Option<T> {
        if self.filed > ON_DISK {
            return None;
        }
        let head = &self.memory[..self.memory.len().min(self.wanted as usize)];
        match &mut self.file {
            Some(file) => read(head, file),
            None => read(head, &mut Cursor::new(&self.memory)),
        }
    }
}

/// How much of a file's beginning is looked at in any case, and for who wants to see it.
pub(super) fn beginning(wanted: Wanted) -> u64 {
    match wanted {
        Wanted::Nothing => HEAD,
        Wanted::Beginning | Wanted::Whole => SHOWN,
    }
}
