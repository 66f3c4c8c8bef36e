//! The files that an install reads, and the names and kinds of the files in the layers of this build.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::key;
use crate::image::{Digest, Layer};
use crate::source::Fetched;

/// The largest number of contents that a record has: the history of the image has it, too.
pub(super) const MOST: usize = 16;

/// The names and kinds of the files of layers that this build made from files, by the diff ids of the layers.
#[derive(Default)]
pub(super) struct Structures(Mutex<HashMap<Digest, Digest>>);

/// The files of this build's layers that an install has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InstallReads {
    /// The digest over all that it depends on besides the contents.
    #[serde(rename = "s")]
    pub(super) shape: Digest,
    #[serde(rename = "r")]
    pub(super) reads: Vec<ReadContent>,
}

/// A file whose content was read: its layer, its path there, and the digest of its content if it is known.
pub(super) type ReadFile = (usize, Vec<u8>, Option<Digest>);

/// A content that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReadContent {
    /// The layer, by its number among those below and by its digest.
    #[serde(rename = "l")]
    pub(super) layer: usize,
    #[serde(rename = "i")]
    pub(super) diff_id: Digest,
    /// The path in the layer.
    #[serde(rename = "p")]
    pub(super) path: String,
    #[serde(rename = "d")]
    pub(super) sha256: Digest,
}

impl Structures {
    /// Computes the structure of files whose content decides the key of their layer.
    pub(super) fn of(fetched: &Fetched) -> Digest {
        let structure = key::of_structure(&fetched.tree);
        let placing = fetched.placing.as_ref().map(|placing| placing.identity().to_string());
        Digest::of(format!("structure {structure} {}", placing.unwrap_or_default()).as_bytes())
    }

    /// Notes the structure of a layer. Of two that give the same layer the lesser counts, in whatever order they come.
    pub(super) fn note(&self, layer: &Layer, structure: Digest) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = known.entry(layer.diff_id).or_insert(structure);
        if structure.to_string() < noted.to_string() {
            *noted = structure;
        }
    }

    pub(super) fn get(&self, layer: &Layer) -> Option<Digest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&layer.diff_id).copied()
    }
}
