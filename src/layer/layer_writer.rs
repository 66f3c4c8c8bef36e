//! Writes a tar, piece by piece, as a compressed layer, and hashes both forms.

use std::io::{self, Write};
use std::ops::ControlFlow;

use flate2::Crc;
use sha2::{Digest as _, Sha256};

use super::deflate::GzipWriter;
use crate::error::{Error, Result};
use crate::image::Digest;

/// Settings for writing a layer.
#[derive(Clone, Copy)]
pub struct WriteOptions<'a> {
    /// The modification time of every entry, in seconds since 1970.
    pub epoch: u64,
    /// The number of threads that compress. The bytes do not depend on it.
    pub jobs: usize,
    /// Called at intervals with the number of bytes of tar so far. [`ControlFlow::Break`] stops the work with
    /// [`Error::Interrupted`].
    pub progress: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
}

/// A written layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The digest of the compressed layer.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of the tar.
    pub diff_id: Digest,
    /// The size of the tar in bytes.
    pub uncompressed: u64,
    /// The regular files by image path, in the layer's order, with the digests of their contents. Members of zip
    /// archives are left out; the checksums of the archives verify them.
    pub files: Vec<(Vec<u8>, Digest)>,
}

/// Accepts a tar in pieces, hashes it, compresses it, and hashes the compressed bytes.
pub(super) struct LayerWriter<'a, W: Write> {
    gzip: GzipWriter<Hashed<W>>,
    diff_id: Sha256,
    uncompressed: u64,
    progress: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
    next_report: u64,
}

/// The number of bytes of tar between two calls of the progress hook.
const REPORT: u64 = 256 << 10;

impl<'a, W: Write> LayerWriter<'a, W> {
    pub fn new(options: &WriteOptions<'a>, out: W) -> Result<Self> {
        let hashed = Hashed { out, hash: Sha256::new(), size: 0 };
        Ok(LayerWriter {
            gzip: GzipWriter::new(hashed, options.jobs).map_err(failed)?,
            diff_id: Sha256::new(),
            uncompressed: 0,
            progress: options.progress,
            next_report: 0,
        })
    }

    pub fn put(&mut self, tar: &[u8]) -> Result<()> {
        self.gzip.write_all(tar).map_err(failed)?;
        self.count(tar)
    }

    /// Starts a splice: content that is already deflated, until [`put`](LayerWriter::put) is called again.
    pub fn begin_splice(&mut self) -> Result<()> {
        self.gzip.begin_splice().map_err(failed)
    }

    /// Hashes a piece of the tar whose deflated form is passed to [`deflated`](LayerWriter::deflated).
    pub fn inflated(&mut self, tar: &[u8]) -> Result<()> {
        self.count(tar)
    }

    /// Ends the splice. `content` is the checksum of all pieces passed to [`inflated`](LayerWriter::inflated) since its
    /// start.
    pub fn end_splice(&mut self, content: &Crc) {
        self.gzip.end_splice(content);
    }

    /// See [`GzipWriter::splice`].
    pub fn deflated(&mut self, blocks: &[u8]) -> Result<()> {
        self.gzip.splice(blocks).map_err(failed)
    }

    fn count(&mut self, tar: &[u8]) -> Result<()> {
        self.diff_id.update(tar);
        self.uncompressed += tar.len() as u64;
        if self.uncompressed >= self.next_report {
            self.next_report = self.uncompressed + REPORT;
            self.report()?;
        }
        Ok(())
    }

    pub fn finish(self, files: Vec<(Vec<u8>, Digest)>) -> Result<Written> {
        self.report()?;
        let hashed = self.gzip.finish().map_err(failed)?;
        Ok(Written {
            digest: Digest::from_bytes(hashed.hash.finalize().into()),
            size: hashed.size,
            diff_id: Digest::from_bytes(self.diff_id.finalize().into()),
            uncompressed: self.uncompressed,
            files,
        })
    }

    fn report(&self) -> Result<()> {
        match (self.progress)(self.uncompressed) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Interrupted),
        }
    }
}

fn failed(source: io::Error) -> Error {
    Error::LayerWrite { source }
}

struct Hashed<W> {
    out: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
