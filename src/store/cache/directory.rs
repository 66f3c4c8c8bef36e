//! The cache directory and the paths in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::image::{Digest, LayerKey};

/// The cache directory.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// A cache in `root`, which is created by the first write.
    pub fn at(root: impl Into<PathBuf>) -> Cache {
        Cache { root: root.into() }
    }

    /// The user's cache directory: `$LBUILD_CACHE`, else `lbuild` in `$XDG_CACHE_HOME` or `~/.cache`.
    pub fn default_root() -> Option<PathBuf> {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        var("LBUILD_CACHE")
            .or_else(|| var("XDG_CACHE_HOME").filter(|dir| dir.is_absolute()).map(|dir| dir.join("lbuild")))
            .or_else(|| var("HOME").map(|home| home.join(".cache/lbuild")))
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory for fingerprints of source directories.
    pub(crate) fn stat_dir(&self) -> PathBuf {
        self.root.join("stat")
    }

    pub(super) fn work_dir(&self) -> PathBuf {
        self.root.join("work")
    }

    pub(super) fn blobs_dir(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    pub(super) fn blob_path(&self, digest: Digest) -> PathBuf {
        self.blobs_dir().join(digest.hex())
    }

    pub(super) fn keys_dir(&self) -> PathBuf {
        self.root.join("keys")
    }

    pub(super) fn key_path(&self, key: LayerKey) -> PathBuf {
        self.keys_dir().join(key.0.hex())
    }
}

/// Marks a file as used now, for `prune`. Failure is ignored, so that a read-only cache works.
pub(crate) fn mark_used(path: &Path) {
    if let Ok(file) = fs::File::open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
}
