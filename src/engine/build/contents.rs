//! The content of layers that were built, for a look at it before they are sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::image::Digest;
use crate::tree::FileTree;

/// What is known of the layers that were built, by their digests.
#[derive(Clone, Default)]
pub(in crate::engine) struct Trees(Arc<Mutex<HashMap<Digest, Contents>>>);

/// The content of a layer that was built.
#[derive(Clone)]
pub(in crate::engine) enum Contents {
    /// These files.
    Files(Arc<FileTree>),
    /// Packages.
    Packages,
}

impl Trees {
    pub(super) fn keep(&self, layer: Digest, contents: Contents) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(layer, contents);
    }

    /// What is known of a layer; nothing of one that was found by a key which says nothing of its files' places.
    pub(in crate::engine) fn get(&self, layer: Digest) -> Option<Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&layer).cloned()
    }
}
