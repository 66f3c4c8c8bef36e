//! Scans a stored layer; its tar is read once.

use std::io::{self, BufRead, Read};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::annotate::{Annotate, BEGINNING_LIMIT, Wanted};
use super::budget::{MemoryBudget, Share};
use super::code::Look;
use super::layer_scan::{LayerScan, ScannedFile};
use super::spool::Spool;
use crate::error::{Error, Result};
use crate::image::{Compression, Digest};
use crate::layer::LayerReader;
use crate::tree::{EntryKind, Member, may_be_code};

/// Upper bound on the bytes passed to the annotator per layer: parsing a megabyte of hostile source can take seconds.
const MAX_SHOWN: u64 = 64 << 20;

impl<F: Serialize> LayerScan<F> {
    /// Scans a layer with this compression, of at most `limit` uncompressed bytes. Reads `layer` to its end. `tick` is
    /// called with the number of bytes of tar read so far, and may end the work.
    ///
    /// # Errors
    /// [`Error::LayerRead`] for bytes that are not a layer, not a complete one, or one that
    /// exceeds the limit; [`Error::TooManyFiles`] for one that exceeds the budget.
    pub fn of<A: Annotate<Fact = F> + ?Sized>(
        layer: impl BufRead,
        compression: Compression,
        limit: u64,
        annotator: &A,
        budget: &MemoryBudget<F>,
        mut tick: impl FnMut(u64) -> Result<()>,
    ) -> Result<LayerScan<F>> {
        let mut layer = Counted { inner: layer, count: 0 };
        let mut reader = LayerReader::new(&mut layer, compression, limit);
        let mut members: Vec<Member<ScannedFile<F>>> = Vec::new();
        let (mut spool, mut share, mut shown) = (Spool::new(), Share::of(budget), Shown::new());
        while let Some(found) = reader.next()? {
            let mut member = found.map_content(|&size| ScannedFile::new(size, None));
            tick(reader.position())?;
            share.hold(reader.window())?;
            // A file outside the image is not inspected, and a file whose holes exceed the limit is not read.
            let is_read = !member.is_outside() && reader.fits();
            if let EntryKind::File(file) = &mut member.entry.kind
                && is_read
            {
                let wanted = shown.next(annotator, &member.path, file.size);
                let may_be_code = may_be_code(member.path.as_bytes(), member.entry.mode);
                let look = Look { path: &member.path, wanted, may_be_code };
                spool.begin(look);
                let mut hash = Sha256::new();
                let mut read = reader.position();
                reader.content(|piece| {
                    hash.update(piece);
                    spool.put(piece)?;
                    read += piece.len() as u64;
                    tick(read)
                })?;
                let sha256 = Digest::from_bytes(hash.finalize().into());
                let recognized = spool.read(|head, whole| look.recognize(annotator, head, whole));
                *file = ScannedFile::of(file.size, Some(sha256), recognized);
            }
            share.take(&member)?;
            members.push(member);
        }
        let (diff_id, uncompressed) = reader.finish()?;
        // A decoder may end before its input does.
        io::copy(&mut layer, &mut io::sink()).map_err(|source| Error::LayerRead { source })?;
        let stored = layer.count;
        share.keep();
        Ok(LayerScan { diff_id, uncompressed, stored, compression, members, from_tree: false })
    }
}

/// Counts the bytes that are read.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.count += amount as u64;
        self.inner.consume(amount);
    }
}

/// The part of each file that is passed to the annotator, within the limit of a layer.
pub(super) struct Shown {
    bytes: u64,
}

impl Shown {
    pub fn new() -> Shown {
        Shown { bytes: 0 }
    }

    /// The part of the next file, which has this path and size.
    pub fn next<A: Annotate + ?Sized>(&mut self, annotator: &A, path: &str, size: u64) -> Wanted {
        let wanted = if self.bytes < MAX_SHOWN { annotator.wants(path) } else { Wanted::Nothing };
        if wanted != Wanted::Nothing {
            self.bytes += size.min(BEGINNING_LIMIT);
        }
        wanted
    }

    /// Whether a layer with files of these sizes stays within the limit, whatever the annotator wants.
    pub fn is_enough(sizes: impl Iterator<Item = u64>) -> bool {
        sizes.map(|size| size.min(BEGINNING_LIMIT)).sum::<u64>() < MAX_SHOWN
    }
}
