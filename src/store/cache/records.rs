//! Small records under keys: the layer of a key, known shapes, and notes of callers.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};

use serde::{Deserialize, Serialize};

use super::directory::{Cache, mark_used};
use crate::error::Result;
use crate::image::{Digest, Layer, LayerKey};
use crate::store::staged;

/// The size of the pieces in which long notes are read and written, in bytes.
const PIECE: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
struct LayerRecord {
    digest: Digest,
    size: u64,
    diff_id: Digest,
}

impl Cache {
    /// The layer of `key`, if the cache still has it.
    pub(crate) fn layer(&self, key: LayerKey) -> Option<Layer> {
        let path = self.key_path(key);
        let record: LayerRecord = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        let blob = self.blob(record.digest, record.size)?;
        mark_used(&path);
        Some(Layer { blob, diff_id: record.diff_id, key: Some(key) })
    }

    /// Records the layer of `key`.
    pub(crate) fn put_layer(&self, key: LayerKey, layer: &Layer) -> Result<()> {
        let record = LayerRecord { digest: layer.blob.digest, size: layer.blob.size, diff_id: layer.diff_id };
        let json = serde_json::to_vec(&record).unwrap_or_else(|_| unreachable!("strings and numbers only"));
        staged::renew(&self.key_path(key), &json)
    }

    /// Whether a layer was ever made for `shape`, a digest over the `stat` data of its files.
    ///
    /// If not, the cache has no key for the files either, so they need not be read before they are packed.
    pub(crate) fn knows_shape(&self, shape: Digest) -> bool {
        let path = self.key_path(LayerKey(shape));
        let known = path.exists();
        if known {
            mark_used(&path);
        }
        known
    }

    /// Records that a layer was made for `shape`.
    pub(crate) fn put_shape(&self, shape: Digest) -> Result<()> {
        staged::renew(&self.key_path(LayerKey(shape)), b"{}")
    }

    /// The note under `key`, a digest that the caller computed.
    pub(crate) fn noted(&self, key: Digest) -> Option<Vec<u8>> {
        let path = self.key_path(LayerKey(key));
        let noted = fs::read(&path).ok()?;
        mark_used(&path);
        Some(noted)
    }

    /// Whether there is a note under `key`.
    pub(crate) fn has_note(&self, key: Digest) -> bool {
        self.key_path(LayerKey(key)).exists()
    }

    /// Stores a note under `key`, and replaces an earlier one.
    pub(crate) fn note(&self, key: Digest, text: &[u8]) -> Result<()> {
        staged::renew(&self.key_path(LayerKey(key)), text)
    }

    /// The note under `key`, to be read piece by piece. The caller checks that it is whole.
    pub(crate) fn noted_pieces(&self, key: Digest) -> Option<BufReader<File>> {
        let path = self.key_path(LayerKey(key));
        let noted = File::open(&path).ok()?;
        mark_used(&path);
        Some(BufReader::with_capacity(PIECE, noted))
    }

    /// Stores a note that `write` writes piece by piece.
    pub(crate) fn note_pieces(
        &self,
        key: Digest,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        staged::renew_with(&self.key_path(LayerKey(key)), |staged| {
            let mut out = BufWriter::with_capacity(PIECE, staged);
            write(&mut out)?;
            out.flush()
        })
    }

    /// The text that was stored under this name, unless it has been pruned.
    pub fn remembered(&self, name: &str) -> Option<Vec<u8>> {
        self.noted(Digest::of(name.as_bytes()))
    }

    /// Stores a text under a name, and replaces an earlier one.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn remember(&self, name: &str, text: &[u8]) -> Result<()> {
        self.note(Digest::of(name.as_bytes()), text)
    }
}
