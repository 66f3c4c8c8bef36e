//! Members of archives: what is deflated there becomes a part of the layer's one gzip member as it is.
//!
//! A layer's deflate stream is a chain of blocks, and so is a member. Its blocks are copied bit by bit between the
//! writer's own: the last one's mark is cleared, and an empty stored block leads from its end to the next byte
//! (as between two [segments](super::deflate)). The member is inflated on the way, in pieces, for the digest of the
//! tar, for its checksum, and to find the mark.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use super::deflate;
use super::inflate::{Border, Inflater, Step};
use super::layer_writer::LayerWriter;
use super::zip_content::{Checked, broken, read_at, unreadable};
use crate::error::{Error, Result};
use crate::tree::{SourceFile, Stat, ZipContent};

/// What decides, besides [`WRITER_VERSION`](super::WRITER_VERSION), the bytes of a layer that has members of
/// archives in it; it belongs into the cache keys of such layers. A test holds it to the constants that it names.
pub const SPLICE_VERSION: &str = "splice-1 from-4096";

/// Members of fewer deflated bytes are compressed anew together with their neighbours: that takes fewer bytes than
/// a header and a member each on their own, and hardly more time.
const SPLICED_FROM: u64 = 4096;

/// Bytes of an archive that are read at once, besides the one that is kept from before.
const INPUT: usize = 64 << 10;

/// Bytes that are inflated and hashed at once.
const OUTPUT: usize = 128 << 10;

/// Writes members of archives into a layer.
pub(super) struct Splicer {
    /// The archive of the member before; most often it is also the next one's.
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

    /// Writes the content of `member`, neither header nor padding.
    ///
    /// # Errors
    /// [`Error::ZipMember`] for a member that is not what its archive's directory says.
    pub fn write(&mut self, member: &ZipContent, layer: &mut LayerWriter<'_, impl Write>) -> Result<()> {
        let archive = &member.archive;
        if self.open.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, archive)) {
            let file = File::open(&archive.path).map_err(|error| unreadable(archive, error))?;
            self.open = Some((Arc::clone(archive), file));
        }
        let (_, file) = self.open.as_ref().expect("it was opened");
        let written = if member.deflated {
            self.inflater.reset();
            let walk = Walk { file, member, read: 0, input: &mut self.input, end: 0, used: 0, mark: true };
            deflated(walk, &mut self.inflater, &mut self.output, layer)
        } else {
            stored(file, member, &mut self.output, layer)
        };
        // One that was written to meanwhile is more likely than one that is broken.
        let stat = Stat::from(&file.metadata().map_err(|error| unreadable(archive, error))?);
        if !archive.is_still(stat) {
            return Err(Error::SourceChanged { path: archive.path.clone() });
        }
        written
    }
}

/// A deflated member: spliced, or inflated and compressed anew when it is small.
fn deflated(
    mut walk: Walk<'_>,
    inflater: &mut Inflater,
    output: &mut [u8],
    layer: &mut LayerWriter<'_, impl Write>,
) -> Result<()> {
    let mut checked = Checked::new(walk.member);
    if walk.member.length < SPLICED_FROM {
        walk.run(inflater, output, |piece| match piece {
            Piece::Inflated(bytes) => checked.take(bytes).and_then(|()| layer.put(bytes)),
            Piece::Deflated(_) => Ok(()),
        })?;
        return checked.finish().map(drop);
    }
    layer.begin_splice()?;
    let spare = walk.run(inflater, output, |piece| match piece {
        Piece::Inflated(bytes) => checked.take(bytes).and_then(|()| layer.inflated(bytes)),
        Piece::Deflated(bytes) => layer.deflated(bytes),
    })?;
    layer.deflated(deflate::sync_flush(spare))?;
    // The member's checksum becomes a part of the layer's: its content is summed once.
    layer.end_splice(&checked.finish()?);
    Ok(())
}

/// A member that was not worth deflating: as a file.
fn stored(
    file: &File,
    member: &ZipContent,
    buffer: &mut [u8],
    layer: &mut LayerWriter<'_, impl Write>,
) -> Result<()> {
    let mut checked = Checked::new(member);
    let mut read = 0;
    while read < member.length {
        let got = read_at(file, member, read, buffer)?;
        checked.take(&buffer[..got])?;
        layer.put(&buffer[..got])?;
        read += got as u64;
    }
    checked.finish().map(drop)
}

/// What a [`Walk`] comes by.
enum Piece<'a> {
    /// The content.
    Inflated(&'a [u8]),
    /// The blocks that it comes from, none of them marked as the last.
    Deflated(&'a [u8]),
}

/// A way through the blocks of a member.
struct Walk<'a> {
    file: &'a File,
    member: &'a ZipContent,
    /// Bytes of the member that are in `input`, or were.
    read: u64,
    /// `input[used..end]` is still to be inflated. `input[..used]` is not yet passed on: in the last byte of it
    /// the next block may begin, and its mark is to be cleared.
    input: &'a mut [u8],
    end: usize,
    used: usize,
    /// The first bit of `input[used]` is a block's mark.
    mark: bool,
}

impl Walk<'_> {
    /// Goes to the end, and returns how many bits of the last byte are not the member's: 0 to 7, all of them zero.
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
                step.map_err(|_| broken(self.member, "it is no valid deflate stream"))?;
            self.used += used;
            if self.mark && used > 0 {
                // only now: zlib was to see it
                self.input[begin] &= !1;
                self.mark = false;
            }
            pass(Piece::Inflated(&output[..filled]))?;
            match border {
                Some(Border { spare, last: true }) => {
                    self.finish(spare, &mut pass)?;
                    return Ok(spare);
                }
                // zlib holds these bits already, and so does not see the change
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

    /// Reads on, behind the last byte that is used.
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
            return Err(broken(self.member, "its deflate stream ends before its data do"));
        }
        // whatever stands behind the end
        self.input[self.used - 1] &= 0xff >> spare;
        pass(Piece::Deflated(&self.input[..self.used]))
    }
}

#[cfg(test)]
mod tests;
