//! An ELF file. What is kept and what is read of it is limited.

#![no_main]

use std::io::{Cursor, Read, Result, Seek, SeekFrom};

use lbuild::fuzzing;
use libfuzzer_sys::fuzz_target;

/// Counts the bytes read.
struct Counted<'a>(Cursor<&'a [u8]>, usize);

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let read = self.0.read(out)?;
        self.1 += read;
        Ok(read)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.0.seek(to)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut file = Counted(Cursor::new(data), 0);
    let elf = fuzzing::elf(&mut file);
    // The allowance of the reader, and the remainder of its last piece.
    assert!(file.1 <= data.len() + (128 << 10) + 4096, "{} bytes of {} read", file.1, data.len());
    let Some(elf) = elf else { return };
    assert!(elf.needed.len() <= 16 && elf.needed.iter().all(|name| name.len() <= 64), "{elf:?}");
    // A byte that is not UTF-8 becomes three.
    assert!(elf.interpreter.is_none_or(|path| path.len() <= 3 * 255));
});
