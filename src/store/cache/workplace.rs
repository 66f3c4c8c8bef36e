//! Temporary directories for other programs.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::directory::Cache;
use crate::error::{Error, Result};
use crate::programs::RemovedAtEnd;
#[cfg(target_os = "linux")]
use crate::rootfs;
use crate::store::staged::TEMPORARY_PREFIX;

/// A directory that only its owner can read. It is removed when this value is dropped, and when this process is killed.
/// Leftovers are removed when the next workplace is created or the cache is pruned.
#[derive(Debug)]
pub struct Workplace {
    dir: PathBuf,
    removed_at_end: Option<RemovedAtEnd>,
    /// Held while the directory is in use. The kernel releases the lock when the process ends, even if it is killed.
    _lock: File,
}

impl Cache {
    /// Removes what killed runs have left in workplaces. A failure only costs space.
    pub(crate) fn remove_leftovers(&self) {
        let _ = sweep(&self.work_dir());
    }

    /// A directory for temporary files, which only its owner can read.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn workplace(&self) -> Result<Workplace> {
        Workplace::new_in(&self.work_dir())
    }
}

impl Workplace {
    /// Removes leftovers in `root`, and creates a directory there.
    fn new_in(root: &Path) -> Result<Workplace> {
        let fail = |source| Error::Write { path: root.to_owned(), source };
        fs::create_dir_all(root).map_err(fail)?;
        spread(root);
        sweep(root)?;
        Workplace::made_in(root)
    }

    /// A directory of the same kind in the system's directory for temporary files, whose path is short.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn temporary() -> Result<Workplace> {
        // Others' files are there too: nothing is removed but this directory.
        Workplace::made_in(&std::env::temp_dir())
    }

    fn made_in(root: &Path) -> Result<Workplace> {
        let fail = |source| Error::Write { path: root.to_owned(), source };
        loop {
            let made = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).make_in(root, watched);
            let (removed_at_end, dir) = made.and_then(|made| Ok(made.keep()?)).map_err(fail)?;
            // Until the directory is locked, another process may remove it as a leftover.
            let Ok(lock) = File::open(&dir) else { continue };
            let _ = rustix::fs::flock(&lock, FlockOperation::LockExclusive);
            let (held, found) = (lock.metadata().map_err(fail)?, fs::metadata(&dir));
            if found.is_ok_and(|found| (found.ino(), found.dev()) == (held.ino(), held.dev())) {
                return Ok(Workplace { dir, removed_at_end, _lock: lock });
            }
        }
    }

    /// The same, but after a kill of this process it is removed by the next one, which first ends the processes that live
    /// in it: without its files, nobody could find them.
    #[cfg(target_os = "linux")]
    pub(crate) fn kept_for_the_next_run(mut self) -> Workplace {
        if let Some(removed_at_end) = self.removed_at_end.take() {
            removed_at_end.cancel();
        }
        self
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The path for a program that runs in another directory: that of the cache may be relative.
    pub(crate) fn absolute(&self) -> Result<PathBuf> {
        std::path::absolute(self.path())
            .map_err(|source| Error::Write { path: self.path().to_owned(), source })
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        remove(self.path());
    }
}

/// Creates a directory, and before that what removes it: this process may be killed at any moment.
fn watched(dir: &Path) -> io::Result<Option<RemovedAtEnd>> {
    let removed_at_end = RemovedAtEnd::new(dir);
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => Ok(removed_at_end),
        Err(error) => {
            // It may be another run's.
            if let Some(removed_at_end) = removed_at_end {
                removed_at_end.cancel();
            }
            Err(error)
        }
    }
}

/// Asks ext4 to put the directories in `root` into different groups of blocks, as it does with those of users (chattr(1),
/// `T`). In one group, a new file is searched for past each file that was removed within the last minute, so that a tree
/// takes 10 s if one of its size was removed just before. Other file systems refuse, and need no such thing.
fn spread(root: &Path) {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
        let Ok(dir) = File::open(root) else { return };
        if let Ok(flags) = ioctl_getflags(&dir)
            && !flags.contains(IFlags::TOPDIR)
        {
            let _ = ioctl_setflags(&dir, flags | IFlags::TOPDIR);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = root;
}

/// Removes a directory with all that commands have left in it, as far as possible.
fn remove(dir: &Path) {
    #[cfg(not(target_os = "linux"))]
    let _ = fs::remove_dir_all(dir);
    #[cfg(target_os = "linux")]
    {
        let _ = rootfs::discard(dir);
    }
}

/// Removes the workplaces in `root` that are not locked.
pub(super) fn sweep(root: &Path) -> Result<()> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|source| Error::Read { path: root.to_owned(), source })?,
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX);
        let Some(lock) = ours.then(|| File::open(entry.path()).ok()).flatten() else { continue };
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // A program that outlived its caller may still write there; the next sweep removes the rest.
            remove(&entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlocked_workplaces_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let held = Workplace::new_in(root.path()).unwrap();
        fs::write(held.path().join("file"), "x").unwrap();
        let left = root.path().join(format!("{TEMPORARY_PREFIX}left"));
        fs::create_dir_all(left.join("deep")).unwrap();
        fs::create_dir(root.path().join("foreign")).unwrap();
        let next = Workplace::new_in(root.path()).unwrap();
        assert!(held.path().join("file").exists() && !left.exists() && root.path().join("foreign").exists());
        drop((held, next));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
