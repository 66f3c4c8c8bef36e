//! Keeps the content of a streamed file that must be read more than once or at any offset.

use std::fs::File;
use std::io::{Cursor, Write};

use super::annotate::{ReadSeek, Wanted};
use super::code::Look;

use crate::error::{Error, Result};
use crate::tree::ELF_MAGIC;

/// The maximum number of bytes of a file kept in memory; a larger file goes to an unnamed temporary file.
const IN_MEMORY: usize = 4 << 20;

/// The maximum number of bytes of a file kept on disk; a larger file is not inspected.
const ON_DISK: u64 = 2 << 30;

/// The size of the largest file that is kept as a whole, in bytes.
pub(super) const KEPT_LIMIT: u64 = IN_MEMORY as u64 + ON_DISK;

/// Keeps the part of each file that has to be inspected: the beginning, or the whole of a file that is machine code,
/// whose tables may be anywhere in it, or [`Wanted::Whole`].
pub(super) struct Spool {
    memory: Vec<u8>,
    /// The number of bytes of the file's beginning that are always kept.
    beginning: u64,
    /// Whether the whole file is always kept.
    whole: bool,
    /// Whether the whole file is kept if it is machine code.
    may_be_code: bool,
    file: Option<File>,
    /// The number of bytes that did not fit into `memory`.
    filed: u64,
}

impl Spool {
    pub fn new() -> Spool {
        let (memory, file) = (Vec::new(), None);
        Spool { memory, beginning: 0, whole: false, may_be_code: false, file, filed: 0 }
    }

    /// Starts another file.
    pub fn begin(&mut self, look: Look<'_>) {
        self.memory.clear();
        (self.file, self.filed) = (None, 0);
        self.beginning = look.beginning();
        self.whole = look.wanted == Wanted::Whole;
        self.may_be_code = look.may_be_code;
    }

    /// Adds the next piece of the file.
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

    /// Passes the beginning of the file and its kept content to `read`.
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
