//! Directories for programs to work in, which are gone when they are done with.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::FlockOperation;
use tempfile::TempDir;

use super::staged::TEMPORARY_PREFIX;
use crate::error::{Error, Result};

/// A directory that only its owner can look into. It goes with this value; what a killed process leaves goes when
/// the next one makes a workplace, or the cache is pruned.
#[derive(Debug)]
pub(crate) struct Workplace {
    dir: TempDir,
    /// Held as long as the directory is in use: a lock ends with its process, however that does.
    _lock: File,
}

impl Workplace {
    /// A new one in `root`, after what others have left there is removed.
    pub(super) fn new_in(root: &Path) -> Result<Workplace> {
        let fail = |source| Error::Write { path: root.to_owned(), source };
        fs::create_dir_all(root).map_err(fail)?;
        sweep(root)?;
        loop {
            let dir = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir_in(root).map_err(fail)?;
            // Another process may take it for a leftover until it is locked.
            let Ok(lock) = File::open(dir.path()) else { continue };
            let _ = rustix::fs::flock(&lock, FlockOperation::LockExclusive);
            let (held, found) = (lock.metadata().map_err(fail)?, fs::metadata(dir.path()));
            if found.is_ok_and(|found| (found.ino(), found.dev()) == (held.ino(), held.dev())) {
                return Ok(Workplace { dir, _lock: lock });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes the workplaces in `root` that nobody holds.
pub(super) fn sweep(root: &Path) -> Result<()> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|source| Error::Read { path: root.to_owned(), source })?,
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX);
        let Some(lock) = ours.then(|| File::open(entry.path()).ok()).flatten() else { continue };
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // A program that outlived its caller may still write there: then the next sweep has the rest.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_swept() {
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
