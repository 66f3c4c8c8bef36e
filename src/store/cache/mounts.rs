//! Directories that commands keep from build to build: the cache mounts of Dockerfiles.
//!
//! ```text
//! mounts/<hex>-<number>/files/   the files, with the modes and owners that commands gave them
//! mounts/<hex>-<number>/usage    their number and size after the last use
//! ```
//! The key is that of the cache's name and of the ids that its files may have. A directory is locked while it is in use.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::directory::Cache;
use super::roots::{FILES, USAGE};
use super::usage::Usage;
use super::used::mark;
use crate::error::{Error, Result};
use crate::image::Digest;

/// How often a lock is tried.
const WAIT: Duration = Duration::from_millis(20);

/// How builds at the same time use a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    /// All who hold it so.
    Together,
    /// One, for whom the others wait.
    Alone,
    /// One; the others get another directory.
    Apart,
}

/// A directory in use. `prune` does not remove it while this value exists.
#[derive(Debug)]
pub(crate) struct CacheMount {
    dir: PathBuf,
    /// The open directory, locked.
    lock: File,
    holding: Holding,
}

impl Cache {
    pub(super) fn mounts_dir(&self) -> PathBuf {
        self.root().join("mounts")
    }

    /// The directory with this key, locked; waits for it until `stop` is set. A new one has no files yet: it is then held
    /// alone until [`CacheMount::filled`].
    ///
    /// # Errors
    /// When it cannot be created. [`Error::Interrupted`].
    pub(crate) fn mount(&self, key: Digest, holding: Holding, stop: &AtomicBool) -> Result<CacheMount> {
        let root = std::path::absolute(self.mounts_dir()).unwrap_or_else(|_| self.mounts_dir());
        let mut number = 0;
        loop {
            let dir = root.join(format!("{}-{number}", key.hex()));
            let fail = |source| Error::Write { path: dir.clone(), source };
            fs::create_dir_all(&dir).map_err(fail)?;
            let alone = holding != Holding::Together || !is_filled(&dir);
            if let Some(lock) = locked(&dir, alone).map_err(fail)? {
                let mut mount = CacheMount { dir, lock, holding };
                if alone && !mount.is_new() {
                    mount.filled()?;
                }
                let _ = mark(&mount.lock);
                return Ok(mount);
            }
            match holding {
                Holding::Apart => number += 1,
                Holding::Together | Holding::Alone => sleep(WAIT),
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
        }
    }
}

/// Whether a directory in use has its files. A link is none: it would lead to files of this machine.
fn is_filled(dir: &Path) -> bool {
    dir.join(FILES).symlink_metadata().is_ok_and(|files| files.is_dir())
}

/// The directory, locked; `None` if another holds it, or has removed it meanwhile.
fn locked(dir: &Path, alone: bool) -> std::io::Result<Option<File>> {
    let lock = match File::open(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        lock => lock?,
    };
    let operation = match alone {
        true => FlockOperation::NonBlockingLockExclusive,
        false => FlockOperation::NonBlockingLockShared,
    };
    if rustix::fs::flock(&lock, operation).is_err() {
        return Ok(None);
    }
    let Ok(found) = fs::metadata(dir) else { return Ok(None) };
    let held = lock.metadata()?;
    Ok(((held.ino(), held.dev()) == (found.ino(), found.dev())).then_some(lock))
}

impl CacheMount {
    /// Its files, if they are there already.
    pub(crate) fn files(&self) -> PathBuf {
        self.dir.join(FILES)
    }

    /// Where a new directory gets its files, before they are moved to [`files`](CacheMount::files).
    pub(crate) fn place(&self) -> PathBuf {
        self.dir.join("new")
    }

    pub(crate) fn is_new(&self) -> bool {
        !is_filled(&self.dir)
    }

    /// The files are complete: others may use them, too.
    pub(crate) fn filled(&mut self) -> Result<()> {
        let fail = |source| Error::Write { path: self.dir.clone(), source };
        if self.is_new() {
            // A command may have left something else there.
            if self.files().symlink_metadata().is_ok() {
                fs::remove_file(self.files()).map_err(fail)?;
            }
            fs::rename(self.place(), self.files()).map_err(fail)?;
        }
        if self.holding == Holding::Together {
            rustix::fs::flock(&self.lock, FlockOperation::LockShared).map_err(|errno| fail(errno.into()))?;
        }
        Ok(())
    }

    /// Records the space that the files take.
    pub(crate) fn record(&self, usage: Usage) {
        // It is told by `lbuild cache info` only.
        let _ = fs::write(self.dir.join(USAGE), format!("{} {}", usage.files, usage.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        (dir, cache)
    }

    fn filled(cache: &Cache, key: Digest, holding: Holding) -> CacheMount {
        let mut mount = cache.mount(key, holding, &AtomicBool::new(false)).unwrap();
        if mount.is_new() {
            fs::create_dir(mount.place()).unwrap();
            mount.filled().unwrap();
        }
        mount
    }

    #[test]
    fn holders_share_a_directory_or_wait_or_get_another() {
        let (_dir, cache) = cache();
        let key = Digest::of(b"key");
        let stopped = AtomicBool::new(true);
        let first = filled(&cache, key, Holding::Together);
        let second = filled(&cache, key, Holding::Together);
        assert_eq!(first.files(), second.files());
        assert!(matches!(cache.mount(key, Holding::Alone, &stopped), Err(Error::Interrupted)));
        let apart = filled(&cache, key, Holding::Apart);
        assert_ne!(apart.files(), first.files());
        drop((first, second));
        let alone = filled(&cache, key, Holding::Alone);
        assert!(matches!(cache.mount(key, Holding::Together, &stopped), Err(Error::Interrupted)));
        drop(alone);
        filled(&cache, key, Holding::Together);
    }

    #[test]
    fn a_directory_in_use_is_counted_and_not_pruned() {
        let (_dir, cache) = cache();
        let mount = filled(&cache, Digest::of(b"key"), Holding::Alone);
        let usage = Usage { files: 2, bytes: 4101 };
        mount.record(usage);
        assert_eq!(cache.usage().unwrap(), usage);
        assert_eq!(cache.prune(Duration::ZERO, None).unwrap(), Usage::default());
        drop(mount);
        assert_eq!(cache.prune(Duration::ZERO, None).unwrap(), usage);
        assert_eq!(fs::read_dir(cache.mounts_dir()).unwrap().count(), 0);
    }
}
