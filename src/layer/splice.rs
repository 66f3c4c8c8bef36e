//! Splices deflated members of zip archives into the layer's gzip member, without recompression.
//!
//! A layer's deflate stream is a sequence of blocks, and so is a member. The member's blocks are copied bit by bit
//! between the writer's own: the final bit of the last one is cleared, and an empty stored block pads from its end to
//! the next byte (as between two [segments](super::deflate)). Meanwhile the member is inflated in pieces, for the
//! digest of the tar, for its checksum, and to find the final bit.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use super::deflate;
use super::inflate::{Border, Inflater, Step};
use super::layer_writer::LayerWriter;
use super::zip_content::{Checked, broken, read_at, unreadable};
use crate::error::{Error, Result};
use crate::tree::{SourceFile, Stat, ZipContent};

/// The version of splicing, which together with [`WRITER_VERSION`](super::WRITER_VERSION) determines the bytes of a
/// layer with members of zip archives. It is part of the cache keys of such layers. A test compares it with the
/// constants that it names.
pub const SPLICE_VERSION: &str = "splice-1 from-4096";

/// Members of fewer deflated bytes are recompressed together with the bytes around them: that gives fewer bytes than
/// splicing each, and takes hardly more time.
const SPLICED_FROM: u64 = 4096;

/// The number of bytes of an archive read at once, besides one byte kept from the previous read.
const INPUT: usize = 64 << 10;

/// The number of bytes inflated and hashed at once.
const OUTPUT: usize = 128 << 10;

/// Writes members of archives into a layer.
pub(super) struct Splicer {
    /// The archive of the previous member, which is usually also the archive of the next.
    open: Option<(Arc<SourceFile>, File)>,
    inflater: Inflater,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Splicer {
    pub fn new() -> Splicer {
        let (input, output) = (vec![0; 1 + INPUT], vec![0; OUTPUT]);
        Splicer { open: None, inflater: Inflater::new(), input, output }
    }

    /// Writes the content of `member`, without header and padding, and passes it to `seen`.
    ///
    /// # Errors
    /// [`Error::ZipMember`] for a member that differs from its description in the central directory.
    pub fn write(
        &mut self,
        member: &ZipContent,
        layer: &mut LayerWriter<'_, impl Write>,
        seen: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let archive = &member.archive;
        if self.open.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, archive)) {
            let file = File::open(&archive.path).map_err(|error| unreadable(archive, error))?;
            self.open = Some((Arc::clone(archive), file));
        }
        let (_, file) = self.open.as_ref().expect("it was opened");
        let written = if member.deflated {
            self.inflater.reset();
            let walk = Walk { file, member, read: 0, input: &mut self.input, end: 0, used: 0, mark: true };
            deflated(walk, &mut self.inflater, &mut self.output, layer, seen)
        } else {
            stored(file, member, &mut self.output, layer, seen)
        };
        // An archive that changed meanwhile is more likely than a damaged one.
        let stat = Stat::from(&file.metadata().map_err(|error| unreadable(archive, error))?);
        if !archive.is_still(stat) {
            return Err(Error::SourceChanged { path: archive.path.clone() });
        }
        written
    }
}

/// Writes a deflated member: spliced, or recompressed if it is small.
fn deflated(
    mut walk: Walk<'_>,
    inflater: &mut Inflater,
    output: &mut [u8],
    layer: &mut LayerWriter<'_, impl Write>,
    seen: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    let mut checked = Checked::new(walk.member);
    let mut take = |bytes: &[u8]| {
        seen(bytes);
        checked.take(bytes)
    };
    if walk.member.length < SPLICED_FROM {
        walk.run(inflater, output, |piece| match piece {
            Piece::Inflated(bytes) => take(bytes).and_then(|()| layer.put(bytes)),
            Piece::Deflated(_) => Ok(()),
        })?;
        return checked.finish().map(drop);
    }
    layer.begin_splice()?;
    let spare = walk.run(inflater, output, |piece| match piece {
        Piece::Inflated(bytes) => take(bytes).and_then(|()| layer.inflated(bytes)),
        Piece::Deflated(bytes) => layer.deflated(bytes),
    })?;
    layer.deflated(deflate::sync_flush(spare))?;
    // The member's checksum is combined with the layer's, so that its content is summed only once.
    layer.end_splice(&checked.finish()?);
    Ok(())
}

/// Writes a stored member like a file.
fn stored(
    file: &File,
    member: &ZipContent,
    buffer: &mut [u8],
    layer: &mut LayerWriter<'_, impl Write>,
    seen: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    let mut checked = Checked::new(member);
    let mut read = 0;
    while read < member.length {
        let got = read_at(file, member, read, buffer)?;
        seen(&buffer[..got]);
        checked.take(&buffer[..got])?;
        layer.put(&buffer[..got])?;
        read += got as u64;
    }
    checked.finish().map(drop)
}

/// A piece of a member, as a [`Walk`] passes it on.
enum Piece<'a> {
    /// Content.
    Inflated(&'a [u8]),
    /// The deflated blocks, without the final bit.
    Deflated(&'a [u8]),
}

/// The state of reading the blocks of a member.
struct Walk<'a> {
    file: &'a File,
    member: &'a ZipContent,
    /// The number of bytes of the member read into `input` so far.
    read: u64,
    /// `input[used..end]` is not inflated yet. `input[..used]` is inflated but not passed on yet: the next block may
    /// begin in its last byte, and its final bit must be cleared.
    input: &'a mut [u8],
    end: usize,
    used: usize,
    /// Whether the first bit of `input[used]` is the final bit of a block.
    mark: bool,
}

impl Walk<'_> {
    /// Reads to the end, and returns the number of unused bits in the last byte: 0 to 7, all of them zero.
    fn run(
        &mut self,
        inflater: &mut Inflater,
        output: &mut [u8],
        mut pass: impl FnMut(Piece<'_>) -> Result<()>,
    ) -> Result<usize> {
        loop {
            if self.used == self.end {
                self.refill(&mut pass)?;
            }
            let begin = self.used;
            let step = inflater.step(&self.input[begin..self.end], output);
            let Step { used, filled, border } =
                step.map_err(|_| broken(self.member, "it is not a valid deflate stream"))?;
            self.used += used;
            if self.mark && used > 0 {
                // Cleared only now, because zlib had to read it first.
                self.input[begin] &= !1;
                self.mark = false;
            }
            pass(Piece::Inflated(&output[..filled]))?;
            match border {
                Some(Border { spare, last: true }) => {
                    self.finish(spare, &mut pass)?;
                    return Ok(spare);
                }
                // zlib has already read these bits, so the change does not affect it.
                Some(Border { spare: spare @ 1.., .. }) => self.input[self.used - 1] &= !(1 << (8 - spare)),
                Some(Border { spare: 0, .. }) => self.mark = true,
                None if used == 0 && filled == 0 && self.used == self.end && self.is_read() => {
                    return Err(broken(self.member, "its deflate stream does not end"));
                }
                None => {}
            }
        }
    }

    fn is_read(&self) -> bool {
        self.read == self.member.length
    }

    /// Reads more of the member after the last used byte.
    fn refill(&mut self, pass: &mut impl FnMut(Piece<'_>) -> Result<()>) -> Result<()> {
        if self.is_read() {
            return Ok(());
        }
        let settled = self.used.saturating_sub(1);
        pass(Piece::Deflated(&self.input[..settled]))?;
        self.input.copy_within(settled..self.used, 0);
        self.used -= settled;
        let read = read_at(self.file, self.member, self.read, &mut self.input[self.used..])?;
        self.end = self.used + read;
        self.read += read as u64;
        Ok(())
    }

    fn finish(&mut self, spare: usize, pass: &mut impl FnMut(Piece<'_>) -> Result<()>) -> Result<()> {
        if self.used < self.end || !self.is_read() {
            return Err(broken(self.member, "its deflate stream ends before its data ends"));
        }
        // Clears the unused bits.
        self.input[self.used - 1] &= 0xff >> spare;
        pass(Piece::Deflated(&self.input[..self.used]))
    }
}

#[cfg(test)]
mod tests;
