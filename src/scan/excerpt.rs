//! Keeps the parts of a streamed file that hold the tables of nearly all machine code.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::elf;

/// The number of bytes kept of either end of a file. The versions of symbols are near the beginning of a library, unless it
/// exports megabytes of names; the headers of its sections are near the end, and also the names that patchelf has moved
/// there.
const END: u64 = 4 << 20;

/// The maximum number of bytes kept of a dynamic section.
const MAX_DYNAMIC: u64 = 64 << 10;

/// Parts of a file of known size, to be read in place: both ends, and the dynamic section, after which a library that is
/// not stripped has symbols of any size. A read of another part fails.
#[derive(Default)]
pub(super) struct Excerpt {
    size: u64,
    first: Part,
    dynamic: Part,
    last: Part,
    /// The number of bytes seen.
    seen: u64,
    /// The place of the next read.
    at: u64,
    /// Whether a byte outside the parts was asked for.
    missed: bool,
}

#[derive(Default)]
struct Part {
    range: Range<u64>,
    bytes: Vec<u8>,
}

impl Part {
    /// Starts with this part of another file. Keeps the memory.
    fn begin(&mut self, range: Range<u64>) {
        self.bytes.clear();
        self.bytes.reserve_exact(range.end.saturating_sub(range.start) as usize);
        self.range = range;
    }

    /// Keeps what belongs to the part of a piece that begins at this offset.
    fn put(&mut self, at: u64, piece: &[u8]) {
        let (start, end) = (self.range.start.max(at), self.range.end.min(at + piece.len() as u64));
        if start < end {
            self.bytes.extend_from_slice(&piece[(start - at) as usize..(end - at) as usize]);
        }
    }

    /// The bytes from this offset on; `None` if the part has none.
    fn starting_at(&self, at: u64) -> Option<&[u8]> {
        let start = at.checked_sub(self.range.start)?;
        self.bytes.get(start as usize..).filter(|bytes| !bytes.is_empty())
    }
}

impl Excerpt {
    /// Starts another file.
    pub fn begin(&mut self, size: u64) {
        self.first.begin(0..END.min(size));
        self.dynamic.begin(0..0);
        self.last.begin(size.saturating_sub(END).max(END)..size);
        (self.size, self.seen, self.at, self.missed) = (size, 0, 0, false);
    }

    /// Adds the next piece of the file.
    pub fn put(&mut self, piece: &[u8]) {
        let end = self.seen + piece.len() as u64;
        self.first.put(self.seen, piece);
        if self.seen < END && end >= END {
            // The headers of its segments are behind the header of a file.
            let range = elf::dynamic_section(&self.first.bytes).unwrap_or_default();
            let is_kept = range.start >= END && range.end.saturating_sub(range.start) <= MAX_DYNAMIC;
            self.dynamic.begin(if is_kept { range } else { 0..0 });
        }
        self.dynamic.put(self.seen, piece);
        self.last.put(self.seen, piece);
        self.seen = end;
    }

    /// The size of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The beginning.
    pub fn first(&self) -> &[u8] {
        &self.first.bytes
    }

    /// Whether what was read so far needed bytes that were not kept.
    pub fn missed(&self) -> bool {
        self.missed
    }

    /// The kept bytes from this offset on.
    fn starting_at(&self, at: u64) -> Option<&[u8]> {
        if at >= self.size {
            return Some(&[]);
        }
        [&self.first, &self.dynamic, &self.last].into_iter().find_map(|part| part.starting_at(at))
    }
}

impl Read for Excerpt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(kept) = self.starting_at(self.at) else {
            self.missed = true;
            return Err(io::Error::other("this part of the file was not kept"));
        };
        let read = kept.len().min(buffer.len());
        buffer[..read].copy_from_slice(&kept[..read]);
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Excerpt {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: usize = super::END as usize;

    #[test]
    fn both_ends_are_read_in_place_whatever_the_pieces() {
        let size = |over: i64| (2 * END as i64 + over) as usize;
        for size in [0, 1, END - 1, END, END + 1, size(-1), size(0), size(1), size(777_777)] {
            let file: Vec<u8> = (0..size as u32).map(|at| (at ^ (at >> 9)) as u8).collect();
            for piece in [4096, END - 1, END, END + 1, 3 * END] {
                let mut excerpt = Excerpt::default();
                excerpt.begin(size as u64);
                file.chunks(piece).for_each(|piece| excerpt.put(piece));
                let mut missed = false;
                let places =
                    [0, 1, END - 1, END, size / 2, size.saturating_sub(END), size.saturating_sub(1), size];
                for at in places.into_iter().filter(|at| *at <= size) {
                    let between = at >= END && at < size.saturating_sub(END);
                    let mut read = [0; 16];
                    excerpt.seek(SeekFrom::Start(at as u64)).unwrap();
                    match excerpt.read(&mut read) {
                        Ok(count) if !between => {
                            assert_eq!(
                                &read[..count],
                                &file[at..(at + count).min(size)],
                                "{size} {piece} {at}"
                            );
                            assert!(count > 0 || at == size, "{size} {piece} {at}");
                        }
                        other => assert!(between && other.is_err(), "{size} {piece} {at}"),
                    }
                    missed |= between;
                    assert_eq!(excerpt.missed(), missed);
                }
            }
        }
    }
}
