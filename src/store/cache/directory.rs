//! The cache directory and the paths in it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::runs::{Removal, Run, lock_out_removal};
use crate::image::{Digest, LayerKey};

/// The cache directory. Clones belong to the same run: [`prune`](Cache::prune) removes no file that it has used.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    /// Begun by the first use of a blob.
    run: Arc<OnceLock<Option<Run>>>,
}

impl Cache {
    /// A cache in `root`, which is created by the first write.
    pub fn at(root: impl Into<PathBuf>) -> Cache {
        Cache { root: root.into(), run: Arc::default() }
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

    /// Begins this process's run, unless it has begun. While the returned lock exists, `prune` removes no file.
    pub(super) fn in_use(&self) -> Option<File> {
        let locks = self.locks_dir();
        self.run.get_or_init(|| Run::begin(&locks));
        lock_out_removal(&locks)
    }

    /// Starts to remove files. No run finds or stores a blob until the returned value is dropped.
    pub(super) fn removal(&self) -> Removal {
        Removal::begin(&self.locks_dir())
    }

    pub(super) fn locks_dir(&self) -> PathBuf {
        self.root.join("locks")
    }
}
