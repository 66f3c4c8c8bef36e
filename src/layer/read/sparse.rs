//! Sparse files, as GNU tar stores them: without their holes, and with a map that says where the rest belongs.
//!
//! <https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html>

use std::io::Read;

use tar::Header;

use super::header::{BLOCK, broken, failed, number, sane};
use crate::error::Result;

/// The longest map that is read, in segments.
const MAX_SEGMENTS: usize = 100_000;

/// A part of a sparse file that is stored, in bytes from the start of the file. All between such parts is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub offset: u64,
    pub length: u64,
}

/// The map that stands in a member's own header and in the blocks behind it (the old GNU format), and the real size.
pub(super) fn old_gnu(header: &Header, tar: &mut impl Read) -> Result<(Vec<Segment>, u64)> {
    let block = header.as_bytes();
    let mut segments = Vec::new();
    pairs(&block[386..482], &mut segments)?;
    let size = octal(&block[483..495])?;
    let mut is_extended = block[482] != 0;
    while is_extended {
        let mut block = [0; BLOCK];
        tar.read_exact(&mut block).map_err(failed)?;
        pairs(&block[..504], &mut segments)?;
        is_extended = block[504] != 0;
    }
    Ok((segments, size))
}

/// Offsets and lengths, 12 bytes each; an empty pair ends the list.
fn pairs(fields: &[u8], segments: &mut Vec<Segment>) -> Result<()> {
    for pair in fields.chunks_exact(24).take_while(|pair| pair[0] != 0) {
        push(segments, octal(&pair[..12])?, octal(&pair[12..])?)?;
    }
    Ok(())
}

/// The records of a pax header that describe a sparse file.
#[derive(Default)]
pub(super) struct PaxSparse {
    major: Option<u64>,
    size: Option<u64>,
    /// The offset whose length comes in the next record (format 0.0).
    offset: Option<u64>,
    segments: Vec<Segment>,
    is_sparse: bool,
}

impl PaxSparse {
    /// Takes a record whose keyword begins with `GNU.sparse.`, less that.
    pub(super) fn take(&mut self, keyword: &[u8], value: &[u8]) -> Result<()> {
        let value_number = || number(value).ok_or_else(malformed);
        match keyword {
            b"major" => self.major = Some(value_number()?),
            b"size" | b"realsize" => self.size = Some(sane(value_number()?).ok_or_else(malformed)?),
            b"offset" => self.offset = Some(value_number()?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or_else(malformed)?;
                push(&mut self.segments, offset, value_number()?)?;
            }
            b"map" => {
                let numbers =
                    value.split(|&byte| byte == b',').map(|digits| number(digits).ok_or_else(malformed));
                let numbers = numbers.collect::<Result<Vec<u64>>>()?;
                for pair in numbers.chunks(2) {
                    let [offset, length] = pair else { return Err(malformed()) };
                    push(&mut self.segments, *offset, *length)?;
                }
            }
            _ => return Ok(()),
        }
        self.is_sparse |= keyword != b"size" && keyword != b"realsize";
        Ok(())
    }

    /// The map and the real size, when the records are those of a sparse file. In format 1.0 the map stands before the
    /// content: as much as it takes is read, and subtracted from `stored`.
    pub(super) fn map(self, tar: &mut impl Read, stored: &mut u64) -> Result<Option<(Vec<Segment>, u64)>> {
        let Some(size) = self.size.filter(|_| self.is_sparse) else { return Ok(None) };
        let segments = match self.major {
            Some(1) => before_content(tar, stored)?,
            _ => self.segments,
        };
        Ok(Some((segments, size)))
    }
}

/// The map of format 1.0: decimal numbers, a line each, filled up to whole blocks.
fn before_content(tar: &mut impl Read, stored: &mut u64) -> Result<Vec<Segment>> {
    let mut lines = Lines { block: [0; BLOCK], at: BLOCK, tar, stored };
    let count =
        usize::try_from(lines.number()?).ok().filter(|&count| count <= MAX_SEGMENTS).ok_or_else(malformed)?;
    let mut segments = Vec::new();
    for _ in 0..count {
        let (offset, length) = (lines.number()?, lines.number()?);
        push(&mut segments, offset, length)?;
    }
    Ok(segments)
}

struct Lines<'t, R> {
    block: [u8; BLOCK],
    /// Where the next line begins in the block.
    at: usize,
    tar: &'t mut R,
    stored: &'t mut u64,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> Result<u64> {
        let mut digits = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return number(&digits).ok_or_else(malformed),
                digit if digits.len() < 20 => digits.push(digit),
                _ => return Err(malformed()),
            }
        }
    }

    fn byte(&mut self) -> Result<u8> {
        if self.at == BLOCK {
            *self.stored = self.stored.checked_sub(BLOCK as u64).ok_or_else(malformed)?;
            self.tar.read_exact(&mut self.block).map_err(failed)?;
            self.at = 0;
        }
        self.at += 1;
        Ok(self.block[self.at - 1])
    }
}

/// The map, when it is in order, within the file, and stands for as many bytes as are stored.
pub(super) fn checked(segments: Vec<Segment>, size: u64, stored: u64) -> Result<Vec<Segment>> {
    let (mut end, mut total) = (0, 0_u64);
    for (number, segment) in segments.iter().enumerate() {
        // GNU tar ends a list with an empty segment; others would only take time.
        let is_last = number + 1 == segments.len();
        if segment.offset < end || (segment.length == 0 && !is_last) {
            return Err(malformed());
        }
        end = segment.offset.checked_add(segment.length).ok_or_else(malformed)?;
        total = total.saturating_add(segment.length);
    }
    if end > size || total > stored { Err(malformed()) } else { Ok(segments) }
}

fn push(segments: &mut Vec<Segment>, offset: u64, length: u64) -> Result<()> {
    if segments.len() >= MAX_SEGMENTS {
        return Err(malformed());
    }
    segments.push(Segment { offset, length });
    Ok(())
}

/// A number in a header's field: octal digits, or binary behind a set highest bit.
fn octal(field: &[u8]) -> Result<u64> {
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(field.len() - 8);
        let is_small = high[0] == 0x80 && high[1..].iter().all(|&byte| byte == 0);
        let low = low.try_into().map(u64::from_be_bytes);
        return low.ok().filter(|&value| is_small && i64::try_from(value).is_ok()).ok_or_else(malformed);
    }
    let digits: Vec<u8> = field.iter().copied().filter(|byte| !matches!(byte, 0 | b' ')).collect();
    let text = std::str::from_utf8(&digits).ok().ok_or_else(malformed)?;
    if text.is_empty() { Ok(0) } else { u64::from_str_radix(text, 8).map_err(|_| malformed()) }
}

fn malformed() -> crate::error::Error {
    broken("the map of a sparse file is malformed")
}
