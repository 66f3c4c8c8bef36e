//! The content of built layers, kept for the check before they are sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::image::Digest;
use crate::scan::WrittenCode;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentsKind {
    /// The function's own files.
    Files,
    /// Files of packages. The next build finds the layer without its files.
    Packages,
    /// Files at paths that links of the layers below may change. The layer was found in an earlier image.
    Unplaced,
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

    pub(super) fn keep(&self, layer: Digest, contents: Contents) {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).insert(layer, contents);
    }

    /// The contents of a layer, if known. They are not known for packages that this build found by their key.
    pub(super) fn get(&self, layer: Digest) -> Option<Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).get(&layer).cloned()
    }
}
