//! The content of built layers, kept for the check before they are sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::image::Digest;
use crate::tree::FileTree;

/// The contents of built layers by their digests.
#[derive(Clone, Default)]
pub(in crate::engine) struct Trees(Arc<Mutex<HashMap<Digest, Contents>>>);

/// The content of a built layer.
#[derive(Clone)]
pub(in crate::engine) enum Contents {
    /// These files.
    Files(Arc<FileTree>),
    /// These files of packages. The next build finds the layer without its files.
    Packages(Arc<FileTree>),
    /// These files, at paths that links of the layers below may change. The layer was found in an earlier image.
    Unplaced(Arc<FileTree>),
}

impl Trees {
    pub(super) fn keep(&self, layer: Digest, contents: Contents) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(layer, contents);
    }

    /// The contents of a layer, if known. They are not known for packages that this build found by their key.
    pub(in crate::engine) fn get(&self, layer: Digest) -> Option<Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&layer).cloned()
    }
}
