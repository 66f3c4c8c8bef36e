//! Keeps the two ends of a streamed file, which hold the tables of nearly all machine code.

use std::io::{self, Read, Seek, SeekFrom};

/// The number of bytes kept of either end. Symbol versions are near the beginning of a library, its dynamic section and
/// the headers of its sections near the end.
const END: usize = 4 << 20;

/// The beginning and the end of a file of known size, to be read in place. A read of the part between them fails.
#[derive(Default)]
pub(super) struct Ends {
    size: u64,
    first: Vec<u8>,
    last: Vec<u8>,
    /// The number of bytes seen.
    seen: u64,
    /// The place of the next read.
    at: u64,
    /// Whether a byte between the ends was asked for.
    missed: bool,
}

impl Ends {
    /// Starts another file.
    pub fn begin(&mut self, size: u64) {
        self.first.clear();
        self.last.clear();
        (self.size, self.seen, self.at, self.missed) = (size, 0, 0, false);
    }

    /// Adds the next piece of the file.
    pub fn put(&mut self, piece: &[u8]) {
        let (first, rest) = piece.split_at(piece.len().min(END - self.first.len()));
        self.first.extend_from_slice(first);
        self.seen += first.len() as u64;
        let between = (self.last_start() - self.seen.min(self.last_start())).min(rest.len() as u64) as usize;
        self.last.extend_from_slice(&rest[between..]);
        self.seen += rest.len() as u64;
    }

    /// The beginning.
    pub fn first(&self) -> &[u8] {
        &self.first
    }

    /// Whether what was read so far needed bytes that were not kept.
    pub fn missed(&self) -> bool {
        self.missed
    }

    /// The offset of the end that is kept.
    fn last_start(&self) -> u64 {
        self.size.saturating_sub(END as u64).max(END as u64)
    }

    /// The kept bytes from this offset on.
    fn from(&self, at: u64) -> Option<&[u8]> {
        let (first, last) = (self.first.len() as u64, self.last_start());
        match at {
            at if at < first => Some(&self.first[at as usize..]),
            at if at >= self.size => Some(&[]),
            at if at >= last => self.last.get((at - last) as usize..),
            _ => None,
        }
    }
}

impl Read for Ends {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(kept) = self.from(self.at) else {
            self.missed = true;
            return Err(io::Error::other("this part of the file was not kept"));
        };
        let read = kept.len().min(buffer.len());
        buffer[..read].copy_from_slice(&kept[..read]);
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Ends {
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

    #[test]
    fn both_ends_are_read_in_place_whatever_the_pieces() {
        let size = |over: i64| (2 * END as i64 + over) as usize;
        for size in [0, 1, END - 1, END, END + 1, size(-1), size(0), size(1), size(777_777)] {
            let file: Vec<u8> = (0..size as u32).map(|at| (at ^ (at >> 9)) as u8).collect();
            for piece in [4096, END - 1, END, END + 1, 3 * END] {
                let mut ends = Ends::default();
                ends.begin(size as u64);
                file.chunks(piece).for_each(|piece| ends.put(piece));
                let mut missed = false;
                let places =
                    [0, 1, END - 1, END, size / 2, size.saturating_sub(END), size.saturating_sub(1), size];
                for at in places.into_iter().filter(|at| *at <= size) {
                    let between = at >= END && at < size.saturating_sub(END);
                    let mut read = [0; 16];
                    ends.seek(SeekFrom::Start(at as u64)).unwrap();
                    match ends.read(&mut read) {
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
                    assert_eq!(ends.missed(), missed);
                }
            }
        }
    }
}
