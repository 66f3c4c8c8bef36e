//! The content of built layers, kept for the check before they are sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::image::{Digest, Layer};
use crate::scan::WrittenCode;
use crate::source::Placing;
use crate::tree::FileTree;

/// The contents of built layers by their digests.
#[derive(Clone, Default)]
pub(super) struct Trees {
    contents: Arc<Mutex<HashMap<Digest, Contents>>>,
    /// Whether the layers are scanned afterwards.
    is_scanned: bool,
}

/// The content of a built layer.
#[derive(Clone)]
pub(super) struct Contents {
    /// Its files.
    pub(super) tree: Arc<FileTree>,
    /// The code among the files from archives, if the layer was written now.
    pub(super) code: Option<Arc<WrittenCode>>,
    pub(super) kind: ContentsKind,
}

/// The kind of the files of a built layer.
#[derive(Clone, Debug)]
pub(super) enum ContentsKind {
    /// The function's own files.
    Files,
    /// Files that the next build does not have, because it finds the layer by a key: those of packages, and what
    /// commands leave.
    Keyed,
    /// Files whose paths the layers below decide, in this way or by their links. The layer was found by its key.
    Unplaced(Option<Arc<Placing>>),
}

impl Trees {
    /// Contents of layers that are scanned afterwards.
    pub(super) fn for_scan() -> Trees {
        Trees { is_scanned: true, ..Trees::default() }
    }

    /// Whether the layers are scanned afterwards.
    pub(super) fn is_scanned(&self) -> bool {
        self.is_scanned
    }

    /// Whether the files of all these layers are known, at their paths.
    pub(super) fn have(&self, layers: &[Layer]) -> bool {
        let is_known = |layer: &Layer| {
            self.get(layer.blob.digest).is_some_and(|of| !matches!(of.kind, ContentsKind::Unplaced(_)))
        };
        layers.iter().all(is_known)
    }

    pub(super) fn keep(&self, layer: Digest, contents: Contents) {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).insert(layer, contents);
    }

    /// The contents of a layer, if known. They are not known for packages that this build found by their key.
    pub(super) fn get(&self, layer: Digest) -> Option<Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).get(&layer).cloned()
    }
}
