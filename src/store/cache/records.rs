//! Small records under keys: the layer of a key, known shapes, and notes of callers.
//!
//! ```text
//! lbuild-record 1 <kind> <sha256>
//! <content>
//! ```
//! The sha256 is over the words before it, the key and the content. A record that is damaged, of another format, or a
//! copy of another key's record does not have it; it is removed, as if it had never been there.

use std::fs;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::directory::Cache;
use super::used::mark_used;
use crate::error::Result;
use crate::image::{Digest, Layer, LayerKey};
use crate::store::staged;

/// The purpose of a record. Records of different kinds may have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    Layer,
    Shape,
    Note,
    Text,
}

#[derive(Serialize, Deserialize)]
struct LayerRecord {
    digest: Digest,
    size: u64,
    diff_id: Digest,
}

impl RecordKind {
    /// The first line of the record with this content.
    fn heading(self, key: Digest, content: &[u8]) -> String {
        let kind = match self {
            RecordKind::Layer => "layer",
            RecordKind::Shape => "shape",
            RecordKind::Note => "note",
            RecordKind::Text => "text",
        };
        let words = format!("lbuild-record 1 {kind} ");
        let mut hash = Sha256::new();
        hash.update(&words);
        hash.update(key.as_bytes());
        hash.update(content);
        format!("{words}{}\n", Digest::from_bytes(hash.finalize().into()).hex())
    }

    /// The content of a record, if it is undamaged.
    fn content(self, key: Digest, mut record: Vec<u8>) -> Option<Vec<u8>> {
        let end = record.iter().position(|byte| *byte == b'\n')? + 1;
        let (heading, content) = record.split_at(end);
        if self.heading(key, content).as_bytes() != heading {
            return None;
        }
        record.drain(..end);
        Some(record)
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

    /// Whether there is a note under `key`, which may be damaged.
    pub(crate) fn has_note(&self, key: Digest) -> bool {
        self.key_path(LayerKey(key)).exists()
    }

    /// Stores a note under `key`, and replaces an earlier one.
    pub(crate) fn note(&self, key: Digest, text: &[u8]) -> Result<()> {
        self.put_record(RecordKind::Note, key, text)
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
        let path = self.key_path(LayerKey(key));
        let content = kind.content(key, fs::read(&path).ok()?);
        match content {
            Some(_) => mark_used(&path),
            None => drop(fs::remove_file(&path)),
        }
        content
    }

    pub(super) fn put_record(&self, kind: RecordKind, key: Digest, content: &[u8]) -> Result<()> {
        let record = [kind.heading(key, content).as_bytes(), content].concat();
        staged::renew(&self.key_path(LayerKey(key)), &record)
    }
}
