//! [`Layer`]: one gzip-compressed tar of an image, with its two digests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::digest::Digest;
use crate::error::{Error, Result};

/// A layer of an image: one gzip-compressed tar. Both digests are always known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The compressed bytes, as a registry stores them.
    pub blob: Blob,
    /// The digest of the tar inside.
    pub diff_id: Digest,
    /// The cache key, for a layer that lbuild made; `None` for a base's layer.
    pub key: Option<LayerKey>,
}

/// A digest over everything that determines a layer's bytes; equal keys mean equal layers.
///
/// The comment of the layer's history entry contains it, so that an image is a cache source for its own layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerKey(pub Digest);

const COMMENT: &str = "lbuild.key=";
const LAYERS: &str = " layers=";
const NOTE: &str = " note=";

impl LayerKey {
    /// The key in a history entry's comment, if lbuild wrote it.
    pub fn from_comment(comment: &str) -> Option<LayerKey> {
        LayerKey::parts(comment).map(|(key, ..)| key)
    }

    /// The key of a history entry's comment, the number of layers that the step made, whose entries follow, and what
    /// the step notes.
    pub(super) fn parts(comment: &str) -> Option<(LayerKey, usize, Option<&str>)> {
        let text = comment.strip_prefix(COMMENT)?;
        let (text, note) = match text.split_once(NOTE) {
            Some((text, note)) => (text, Some(note)),
            None => (text, None),
        };
        match text.split_once(LAYERS) {
            Some((key, layers)) => Some((key.parse().ok()?, layers.parse().ok()?, note)),
            None => Some((text.parse().ok()?, 0, note)),
        }
    }

    /// The comment of a layer's entry, or of a step that made this number of layers.
    pub(crate) fn to_comment(self, layers: usize, note: Option<&str>) -> String {
        let note = note.map(|note| format!("{NOTE}{note}")).unwrap_or_default();
        match layers {
            0 => format!("{COMMENT}{self}{note}"),
            layers => format!("{COMMENT}{self}{LAYERS}{layers}{note}"),
        }
    }
}

impl fmt::Display for LayerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LayerKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<LayerKey> {
        text.parse().map(LayerKey)
    }
}
