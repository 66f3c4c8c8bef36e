//! Writes a [`FileTree`] as a layer: reads each file once, and hashes the tar and its compressed form while writing.

use std::fs::File;
use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use super::layer_writer::{LayerWriter, WriteOptions, Written};
use super::splice::Splicer;
use super::tar;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::tree::{Content, EntryKind, FileTree, SourceFile, Stat};

/// The version of the writer, which with the tree and the epoch determines a layer's bytes. It is part of every cache
/// key: equal trees give different layers in different versions. A test compares it with the `VERSION` constants.
pub const WRITER_VERSION: &str = "tar-1 deflate-1";

/// Looks at members of zip archives while they are written, which saves inflating them again.
pub(crate) trait Peek {
    /// Begins with a file of this size. Returns whether to pass on its content.
    fn begin(&mut self, path: &[u8], mode: u32, size: u64) -> bool;
    /// A piece of its content.
    fn piece(&mut self, bytes: &[u8]);
    /// The end of its content.
    fn end(&mut self);
}

/// Sees nothing.
struct Blind;

impl Peek for Blind {
    fn begin(&mut self, _: &[u8], _: u32, _: u64) -> bool {
        false
    }
    fn piece(&mut self, _: &[u8]) {}
    fn end(&mut self) {}
}

/// Writes the layer of `tree` to `out`.
///
/// # Errors
/// * [`Error::Read`] for a file that cannot be read, [`Error::SourceChanged`] for a file that differs from the tree's
///   description before or after reading, [`Error::ZipMember`] for a member of a zip archive that differs from it.
/// * [`Error::ImagePath`] for an entry below an entry that is not a directory.
/// * [`Error::LayerWrite`] when `out` fails, [`Error::Interrupted`] when the progress hook breaks.
pub fn write(tree: &FileTree, options: &WriteOptions<'_>, out: &mut impl Write) -> Result<Written> {
    write_seen(tree, options, out, &mut Blind)
}

/// As [`write()`], and shows members of zip archives to `peek`.
pub(crate) fn write_seen(
    tree: &FileTree,
    options: &WriteOptions<'_>,
    out: &mut impl Write,
    peek: &mut dyn Peek,
) -> Result<Written> {
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
                let splicer = splicer.get_or_insert_with(Splicer::new);
                if peek.begin(path, entry.mode, member.size) {
                    splicer.write(member, &mut layer, &mut |bytes| peek.piece(bytes))?;
                    peek.end();
                } else {
                    splicer.write(member, &mut layer, &mut |_| ())?;
                }
                None
            }
        };
        layer.put(&[0; tar::BLOCK][..tar::padding(content.size())])?;
        files.extend(digest.map(|digest| (path.to_vec(), digest)));
    }
    layer.put(&tar::END)?;
    layer.finish(files)
}

/// The number of bytes read and hashed at once; they fit into the L2 cache.
const CHUNK: usize = 128 << 10;

/// Copies a file into the layer. Fails if it has changed since the tree was made.
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
    // Checked after reading: the times show a change before and during the reading.
    let stat = Stat::from(&source.metadata().map_err(failed)?);
    let digest = Digest::from_bytes(hash.finalize().into());
    let same = file.is_still(stat) && file.sha256.is_none_or(|known| known == digest);
    if same { Ok(digest) } else { Err(changed()) }
}

#[cfg(test)]
mod tests;
