//! Small records under keys: the layer of a key, known shapes, and notes of callers.
//!
//! ```text
//! lbuild-record 1 <kind> <sha256>
//! <content>
//! ```
//! The sha256 is over the words before it, the key and the content. A record that is damaged, of another format, or a
//! copy of another key's record does not have it; it is removed, as if it had never been there.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::directory::Cache;
use super::used::mark_used;
use crate::error::Result;
use crate::image::{Digest, Layer, LayerKey};
use crate::store::staged;

/// The size of the pieces in which long notes are read and written, in bytes.
const PIECE: usize = 64 << 10;

/// The purpose of a record. Records of different kinds may have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    Layer,
    Shape,
    Note,
    Text,
    Image,
    ImageName,
}

#[derive(Serialize, Deserialize)]
struct LayerRecord {
    digest: Digest,
    size: u64,
    diff_id: Digest,
}

/// The first line of a record, while its content is read or written.
struct Heading {
    words: String,
    hash: Sha256,
}

impl Heading {
    fn new(kind: RecordKind, key: Digest) -> Heading {
        let kind = match kind {
            RecordKind::Layer => "layer",
            RecordKind::Shape => "shape",
            RecordKind::Note => "note",
            RecordKind::Text => "text",
            RecordKind::Image => "image",
            RecordKind::ImageName => "image-name",
        };
        let words = format!("lbuild-record 1 {kind} ");
        let mut hash = Sha256::new();
        hash.update(&words);
        hash.update(key.as_bytes());
        Heading { words, hash }
    }

    /// The line for the content so far. Its length does not depend on the content.
    fn line(&self) -> String {
        let Heading { words, hash } = self;
        format!("{words}{}\n", Digest::from_bytes(hash.clone().finalize().into()).hex())
    }
}

impl Write for Heading {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        self.hash.update(content);
        Ok(content.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A record that is written piece by piece.
struct RecordWriter<'s> {
    staged: &'s mut staged::Staged,
    heading: Heading,
}

impl Write for RecordWriter<'_> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let written = self.staged.write(content)?;
        self.heading.hash.update(&content[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.staged.flush()
    }
}

impl RecordKind {
    /// The first line of the record with this content.
    fn heading(self, key: Digest, content: &[u8]) -> String {
        let mut heading = Heading::new(self, key);
        heading.hash.update(content);
        heading.line()
    }

    /// The record with this content.
    pub(super) fn record(self, key: Digest, content: &[u8]) -> Vec<u8> {
        [self.heading(key, content).as_bytes(), content].concat()
    }

    /// The content of a record, if it is undamaged.
    pub(super) fn content(self, key: Digest, mut record: Vec<u8>) -> Option<Vec<u8>> {
        let end = record.iter().position(|byte| *byte == b'\n')? + 1;
        let (heading, content) = record.split_at(end);
        if self.heading(key, content).as_bytes() != heading {
            return None;
        }
        record.drain(..end);
        Some(record)
    }

    /// The content of a record, to be read piece by piece, if it is undamaged. Reads the record twice, because nothing
    /// of it may be used before the check.
    fn pieces(self, key: Digest, mut record: File) -> io::Result<Option<BufReader<File>>> {
        let mut heading = Heading::new(self, key);
        let mut line = vec![0; heading.line().len()];
        if record.read_exact(&mut line).is_err() {
            return Ok(None);
        }
        let mut reader = BufReader::with_capacity(PIECE, record);
        io::copy(&mut reader, &mut heading)?;
        if heading.line().as_bytes() != line {
            return Ok(None);
        }
        reader.seek(SeekFrom::Start(line.len() as u64))?;
        Ok(Some(reader))
    }
}

impl Cache {
    /// The layer of `key`, if the cache still has it.
    pub(crate) fn layer(&self, key: LayerKey) -> Option<Layer> {
        let record = self.record(RecordKind::Layer, key.0)?;
        let LayerRecord { digest, size, diff_id } = serde_json::from_slice(&record).ok()?;
        let blob = self.blob(digest, size)?;
        Some(Layer { blob, diff_id, key: Some(key) })
    }

    /// Records the layer of `key`.
    pub(crate) fn put_layer(&self, key: LayerKey, layer: &Layer) -> Result<()> {
        let record = LayerRecord { digest: layer.blob.digest, size: layer.blob.size, diff_id: layer.diff_id };
        let json = serde_json::to_vec(&record).unwrap_or_else(|_| unreachable!("strings and numbers only"));
        self.put_record(RecordKind::Layer, key.0, &json)
    }

    /// Whether a layer was ever made for `shape`, a digest over the `stat` data of its files.
    ///
    /// If not, the cache has no key for the files either, so they need not be read before they are packed.
    pub(crate) fn knows_shape(&self, shape: Digest) -> bool {
        self.record(RecordKind::Shape, shape).is_some()
    }

    /// Records that a layer was made for `shape`.
    pub(crate) fn put_shape(&self, shape: Digest) -> Result<()> {
        self.put_record(RecordKind::Shape, shape, b"")
    }

    /// The note under `key`, a digest that the caller computed.
    pub(crate) fn noted(&self, key: Digest) -> Option<Vec<u8>> {
        self.record(RecordKind::Note, key)
    }

    /// Whether there is an undamaged note under `key`.
    pub(crate) fn has_note(&self, key: Digest) -> bool {
        self.noted_pieces(key).is_some()
    }

    /// Stores a note under `key`, and replaces an earlier one.
    pub(crate) fn note(&self, key: Digest, text: &[u8]) -> Result<()> {
        self.put_record(RecordKind::Note, key, text)
    }

    /// The note under `key`, to be read piece by piece.
    pub(crate) fn noted_pieces(&self, key: Digest) -> Option<BufReader<File>> {
        let path = self.key_path(LayerKey(key));
        let pieces = RecordKind::Note.pieces(key, File::open(&path).ok()?).ok()?;
        match pieces {
            Some(_) => mark_used(&path),
            None => drop(fs::remove_file(&path)),
        }
        pieces
    }

    /// Stores a note that `write` writes piece by piece.
    pub(crate) fn note_pieces(
        &self,
        key: Digest,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        staged::renew_with(&self.key_path(LayerKey(key)), |staged| {
            let heading = Heading::new(RecordKind::Note, key);
            // The place of the first line, which is known at the end.
            staged.write_all(heading.line().as_bytes())?;
            let mut out = BufWriter::with_capacity(PIECE, RecordWriter { staged, heading });
            write(&mut out)?;
            let RecordWriter { staged, heading } = out.into_inner().map_err(io::Error::from)?;
            staged.overwrite_start(heading.line().as_bytes())
        })
    }

    /// The text that was stored under this name, unless it has been pruned.
    pub fn remembered(&self, name: &str) -> Option<Vec<u8>> {
        self.record(RecordKind::Text, Digest::of(name.as_bytes()))
    }

    /// Stores a text under a name, and replaces an earlier one.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn remember(&self, name: &str, text: &[u8]) -> Result<()> {
        self.put_record(RecordKind::Text, Digest::of(name.as_bytes()), text)
    }

    /// The content of a record. A record that is not valid is removed.
    pub(super) fn record(&self, kind: RecordKind, key: Digest) -> Option<Vec<u8>> {
        self.record_at(&self.key_path(LayerKey(key)), kind, key)
    }

    /// The content of a record in a file of its own. A record that is not valid is removed.
    pub(super) fn record_at(&self, path: &Path, kind: RecordKind, key: Digest) -> Option<Vec<u8>> {
        let content = kind.content(key, fs::read(path).ok()?);
        match content {
            Some(_) => mark_used(path),
            None => drop(fs::remove_file(path)),
        }
        content
    }

    pub(super) fn put_record(&self, kind: RecordKind, key: Digest, content: &[u8]) -> Result<()> {
        staged::renew(&self.key_path(LayerKey(key)), &kind.record(key, content))
    }
}
