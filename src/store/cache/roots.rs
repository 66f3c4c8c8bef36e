//! Unpacked images, in which commands run.
//!
//! ```text
//! roots/<hex>/files/   the files of an image, with their modes and owners
//! roots/<hex>/index    what is known of them
//! roots/<hex>/usage    their number and size
//! ```
//! A root appears when it is complete, by a rename, and is locked while it is in use. It is never written again.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::directory::Cache;
use super::usage::Usage;
use super::used::mark;
use super::workplace::Workplace;
use crate::error::{Error, Result};
use crate::image::Digest;

/// The name of the directory of an image's files in its root.
pub(super) const FILES: &str = "files";
const INDEX: &str = "index";
pub(super) const USAGE: &str = "usage";

/// An unpacked image in the cache. `prune` does not remove it while this value exists.
#[derive(Debug)]
pub(crate) struct CachedRoot {
    dir: PathBuf,
    /// The open directory, locked.
    _lock: File,
}

/// An image that is being unpacked.
pub(crate) struct NewRoot {
    place: Workplace,
    dir: PathBuf,
}

impl Cache {
    pub(super) fn roots_dir(&self) -> PathBuf {
        self.root().join("roots")
    }

    /// The unpacked image with this key.
    pub(crate) fn unpacked(&self, key: Digest) -> Option<CachedRoot> {
        let dir = std::path::absolute(self.roots_dir().join(key.hex())).ok()?;
        let lock = File::open(&dir).ok()?;
        rustix::fs::flock(&lock, FlockOperation::LockShared).ok()?;
        // It may have been removed before it was locked.
        let (held, found) = (lock.metadata().ok()?, fs::metadata(&dir).ok()?);
        if (held.ino(), held.dev()) != (found.ino(), found.dev()) {
            return None;
        }
        // Failure is ignored, so that a read-only cache works.
        let _ = mark(&lock);
        Some(CachedRoot { dir, _lock: lock })
    }

    /// Removes a root that is damaged, unless another process uses it.
    pub(crate) fn remove_root(&self, root: CachedRoot) -> Result<()> {
        let CachedRoot { dir, _lock: lock } = root;
        drop(lock);
        let trash = self.workplace()?;
        match take_unused(&dir, &trash.path().join("root")) {
            true => Ok(()),
            false => {
                let source = std::io::Error::other("it is damaged, and another process uses it");
                Err(Error::Read { path: dir, source })
            }
        }
    }

    /// A place to unpack an image.
    pub(crate) fn new_root(&self) -> Result<NewRoot> {
        let place = self.workplace()?;
        let dir = place.absolute()?.join("root");
        fs::create_dir(&dir).map_err(|source| Error::Write { path: dir.clone(), source })?;
        Ok(NewRoot { place, dir })
    }

    /// Adds a complete root to the cache. If another process was faster, its root is used.
    pub(crate) fn keep_root(
        &self,
        root: NewRoot,
        key: Digest,
        index: &[u8],
        usage: Usage,
    ) -> Result<CachedRoot> {
        let NewRoot { place, dir } = root;
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.join(name);
            fs::write(&path, bytes).map_err(|source| Error::Write { path, source })
        };
        write(INDEX, index)?;
        write(USAGE, format!("{} {}", usage.files, usage.bytes).as_bytes())?;
        let roots = self.roots_dir();
        fs::create_dir_all(&roots).map_err(|source| Error::Write { path: roots.clone(), source })?;
        let to = roots.join(key.hex());
        for _ in 0..3 {
            let renamed = fs::rename(&dir, &to);
            if let Some(found) = self.unpacked(key) {
                drop(place);
                return Ok(found);
            }
            // Removed at once by `prune`, or an error.
            renamed.map_err(|source| Error::Write { path: to.clone(), source })?;
        }
        Err(Error::Write { path: to, source: std::io::Error::other("it is removed again and again") })
    }
}

impl NewRoot {
    /// The directory for the files, which does not exist yet.
    pub(crate) fn files(&self) -> PathBuf {
        self.dir.join(FILES)
    }
}

impl CachedRoot {
    pub(crate) fn files(&self) -> PathBuf {
        self.dir.join(FILES)
    }

    /// The index that was stored with the root.
    pub(crate) fn index(&self) -> Result<Vec<u8>> {
        let path = self.dir.join(INDEX);
        fs::read(&path).map_err(|source| Error::Read { path, source })
    }
}

/// The number and size of the files in a root.
pub(super) fn usage(root: &Path) -> Usage {
    let text = fs::read_to_string(root.join(USAGE)).unwrap_or_default();
    let mut numbers = text.split(' ').map(|number| number.parse().unwrap_or_default());
    Usage { files: numbers.next().unwrap_or_default(), bytes: numbers.next().unwrap_or_default() }
}

/// Moves a root out of the cache to `to`, unless it is in use.
pub(super) fn take_unused(root: &Path, to: &Path) -> bool {
    let Ok(lock) = File::open(root) else { return false };
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() && fs::rename(root, to).is_ok()
}
