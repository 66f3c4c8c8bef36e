//! From a [`FileTree`] to a layer: each file is read once, while the tar and its compressed form are hashed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use sha2::{Digest as _, Sha256};

use super::deflate::GzipWriter;
use super::splice::Splicer;
use super::tar;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::tree::{Content, EntryKind, FileTree, SourceFile, Stat};

/// What decides a layer's bytes besides its tree and its epoch. It belongs into every cache key: equal trees
/// written by writers of different versions are different layers. A test holds it to the constants that it names.
pub const WRITER_VERSION: &str = "tar-1 deflate-1";

/// How to write a layer.
#[derive(Clone, Copy)]
pub struct WriteOptions<'a> {
    /// The modification time of every entry, in seconds since 1970.
    pub epoch: u64,
    /// How many threads compress. It never changes a byte.
    pub jobs: usize,
    /// Is told now and then how many bytes of tar have been made; [`ControlFlow::Break`] stops the work with
    /// [`Error::Interrupted`].
    pub progress: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
}

/// A layer that was written.
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
    /// The regular files by image path, in the layer's order, with the digests of their contents; but for members
    /// of archives, which the archives' own checksums vouch for.
    pub files: Vec<(Vec<u8>, Digest)>,
}

/// Writes the layer of `tree` to `out`.
///
/// # Errors
/// * [`Error::Read`] for a file that cannot be read, [`Error::SourceChanged`] for one that is not, or after
///   reading no longer, what the tree says; [`Error::ZipMember`] for a member of an archive alike.
/// * [`Error::ImagePath`] for an entry below something that is no directory.
/// * [`Error::LayerWrite`] when `out` fails, [`Error::Interrupted`] when the caller asked for it.
pub fn write(tree: &FileTree, options: &WriteOptions<'_>, out: &mut impl Write) -> Result<Written> {
    let mut layer = LayerWriter::new(options, out)?;
    let mut files = Vec::new();
    let mut head = Vec::new();
    let mut buffer = vec![0; CHUNK];
    let mut splicer = None;
    for (path, entry) in tar::entries(tree)? {
        head.clear();
        tar::header(path, entry, options.epoch, &mut head);
        layer.put(&head)?;
        let EntryKind::File(content) = &entry.kind else { continue };
        let digest = match content {
            Content::Bytes(bytes) => {
                bytes.chunks(CHUNK).try_for_each(|chunk| layer.put(chunk))?;
                Some(Digest::of(bytes))
            }
            Content::File(file) => Some(copy(file, &mut buffer, &mut layer)?),
            Content::Zip(member) => {
                splicer.get_or_insert_with(Splicer::new).write(member, &mut layer)?;
                None
            }
        };
        layer.put(&[0; tar::BLOCK][..tar::padding(content.size())])?;
        files.extend(digest.map(|digest| (path.to_vec(), digest)));
    }
    layer.put(&tar::END)?;
    layer.finish(files)
}

/// How much is read and hashed at once: it stays in the second-level cache from one to the other.
const CHUNK: usize = 128 << 10;

/// Copies a file into the layer; exactly what was found when the tree was made, or an error.
fn copy(file: &SourceFile, buffer: &mut [u8], layer: &mut LayerWriter<impl Write>) -> Result<Digest> {
    let failed = |source| Error::Read { path: file.path.clone(), source };
    let changed = || Error::SourceChanged { path: file.path.clone() };
    let mut source = File::open(&file.path).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut left = file.stat.size;
    while left > 0 {
        let wanted = left.min(buffer.len() as u64) as usize;
        let read = match source.read(&mut buffer[..wanted]) {
            Ok(0) => return Err(changed()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        hash.update(&buffer[..read]);
        layer.put(&buffer[..read])?;
        left -= read as u64;
    }
    // Only now: a change during the reading shows in the times, and one before it as well.
    let stat = Stat::from(&source.metadata().map_err(failed)?);
    let digest = Digest::from_bytes(hash.finalize().into());
    let same = file.is_still(stat) && file.sha256.is_none_or(|known| known == digest);
    if same { Ok(digest) } else { Err(changed()) }
}

/// Takes a tar in pieces: hashes it, compresses it, hashes that.
pub(super) struct LayerWriter<'a, W: Write> {
    gzip: GzipWriter<Hashed<W>>,
    diff_id: Sha256,
    uncompressed: u64,
    progress: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
    next_report: u64,
}

/// Bytes of tar between two calls of the progress hook.
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

    /// What follows comes deflated, until [`put`](LayerWriter::put) is called again.
    pub fn begin_splice(&mut self) -> Result<()> {
        self.gzip.begin_splice().map_err(failed)
    }

    /// A piece of the tar whose deflated form goes to [`deflated`](LayerWriter::deflated).
    pub fn inflated(&mut self, tar: &[u8]) -> Result<()> {
        self.gzip.inflated(tar);
        self.count(tar)
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

#[cfg(test)]
mod tests;
