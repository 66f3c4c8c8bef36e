//! The content of a file that passes by, kept for those who must look at it from several sides.

use std::fs::File;
use std::io::{Cursor, Write};

use super::annotate::{ReadSeek, Wanted};
use super::code::Look;

use crate::error::{Error, Result};
use crate::tree::ELF_MAGIC;

/// How many bytes of a file are kept in memory; the rest goes to a file without a name.
const IN_MEMORY: usize = 4 << 20;

/// How many bytes of a file are kept on disk; a larger one is not looked into.
const ON_DISK: u64 = 2 << 30;

/// Keeps what has to be looked into of one file after the other: the beginning, and the whole of machine code, whose
/// tables lie anywhere in it, and of a file that is wanted as a whole.
pub(super) struct Spool {
    memory: Vec<u8>,
    /// How many bytes of the file's beginning are kept in any case.
    beginning: u64,
    /// Whether the whole of it is kept in any case.
    whole: bool,
    /// Whether the whole of it is kept when it is machine code.
    may_be_code: bool,
    file: Option<File>,
    /// How many bytes are in `file`.
    filed: u64,
}

impl Spool {
    pub fn new() -> Spool {
        let (memory, file) = (Vec::new(), None);
        Spool { memory, beginning: 0, whole: false, may_be_code: false, file, filed: 0 }
    }

    /// The next piece is the beginning of another file.
    pub fn begin(&mut self, look: Look<'_>) {
        self.memory.clear();
        (self.file, self.filed) = (None, 0);
        self.beginning = look.beginning();
        self.whole = look.wanted == Wanted::Whole;
        self.may_be_code = look.may_be_code;
    }

    /// Takes the next piece of the file.
    pub fn put(&mut self, piece: &[u8]) -> Result<()> {
        let first = if self.memory.is_empty() { piece } else { &self.memory };
        let whole = self.whole || (self.may_be_code && first.starts_with(ELF_MAGIC));
        let room = match whole {
            true => IN_MEMORY - self.memory.len(),
            false => self.beginning.saturating_sub(self.memory.len() as u64) as usize,
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

    /// Whether no further piece of the file would be kept.
    pub fn is_full(&self) -> bool {
        let is_code = self.may_be_code && self.memory.starts_with(ELF_MAGIC);
        !self.whole && !is_code && self.memory.len() as u64 >= self.beginning
    }

    /// Passes on the beginning of the file, and what is kept of the whole.
    pub fn read<T>(&mut self, read: impl FnOnce(&[u8], &mut dyn ReadSeek) -> Option<T>) -> Option<T> {
        if self.filed > ON_DISK {
            return None;
        }
        let head = &self.memory[..self.memory.len().min(self.beginning as usize)];
        match &mut self.file {
            Some(file) => read(head, file),
            None => read(head, &mut Cursor::new(&self.memory)),
        }
    }
}
