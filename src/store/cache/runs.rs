//! Runs that use the cache, and their protection from `prune`.
//!
//! ```text
//! locks/run-<user>-<n>   locked by a run from its first use of a blob to its end; modified at that first use
//! locks/prune            locked while a blob is found or stored (shared) and while files are removed (exclusive)
//! ```
//! Each use of a file updates its modification time. So a file that was modified since the oldest run began may be in
//! use, and is not removed. The kernel releases the locks of a process that ends, even if it is killed; the empty files
//! stay for the next run. All times are those of the file system, because a file server's clock may differ.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::used::mark;

const RUN: &str = "run-";
/// Upper bound on the concurrent runs of a user that are protected from `prune`.
const RUNS: usize = 1024;

/// The period in which a used file is not removed, on a file system without locks.
const WITHOUT_LOCKS: Duration = Duration::from_secs(60 * 60);

/// A run that uses the cache, until it is dropped.
#[derive(Debug)]
pub(super) struct Run {
    /// Locked.
    _slot: File,
}

impl Run {
    /// `None` if the cache is not writable, or its file system has no locks.
    pub(super) fn begin(locks: &Path) -> Option<Run> {
        fs::create_dir_all(locks).ok()?;
        let user = rustix::process::getuid().as_raw();
        for number in 0..RUNS {
            let slot = opened(&locks.join(format!("{RUN}{user}-{number}")))?;
            match rustix::fs::flock(&slot, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    mark(&slot).ok()?;
                    return Some(Run { _slot: slot });
                }
                Err(Errno::WOULDBLOCK) => {}
                Err(_) => return None,
            }
        }
        None
    }
}

/// While the returned lock exists, `prune` removes no file. `None` if the file system has no locks.
pub(super) fn lock_out_removal(locks: &Path) -> Option<File> {
    let guard = opened(&guard(locks))?;
    locked(&guard, FlockOperation::LockShared).ok()?;
    Some(guard)
}

/// Locks a file, which is created if it does not exist, until the returned value is dropped. `None` if the file system has
/// no locks.
pub(super) fn lock_file(path: &Path) -> Option<File> {
    fs::create_dir_all(path.parent()?).ok()?;
    let file = opened(path)?;
    locked(&file, FlockOperation::LockExclusive).ok()?;
    Some(file)
}

/// The removal of some files.
pub(super) struct Removal {
    _guard: Option<File>,
    /// When the oldest run began.
    since: Option<SystemTime>,
}

impl Removal {
    /// Starts to remove files. No run finds or stores a blob until the returned value is dropped.
    pub(super) fn begin(locks: &Path) -> Removal {
        // If the directory cannot be created, no run has a lock, and no file can be removed either.
        let _ = fs::create_dir_all(locks);
        let guard = opened(&guard(locks));
        let is_locked = guard.as_ref().map(|guard| locked(guard, FlockOperation::LockExclusive).is_ok());
        let since = match is_locked {
            Some(true) => oldest(locks),
            Some(false) => SystemTime::now().checked_sub(WITHOUT_LOCKS),
            None => None,
        };
        Removal { _guard: guard, since }
    }

    /// Whether the file, which was `modified` when it was listed, may be in use, or was used since it was listed.
    pub(super) fn spares(&self, file: &Path, modified: Option<SystemTime>) -> bool {
        let now = fs::metadata(file).and_then(|found| found.modified()).ok();
        now != modified || self.since.is_some_and(|since| now.is_none_or(|now| now >= since))
    }
}

fn guard(locks: &Path) -> PathBuf {
    locks.join("prune")
}

/// Opens a file to be locked; creates it if it does not exist. A file of another user can be read only.
fn opened(path: &Path) -> Option<File> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
    file.or_else(|_| File::open(path)).ok()
}

fn locked(file: &File, operation: FlockOperation) -> rustix::io::Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(file, operation))
}

/// When the oldest of the current runs began.
fn oldest(locks: &Path) -> Option<SystemTime> {
    let slots = fs::read_dir(locks).ok()?.flatten();
    let slots = slots.filter(|slot| slot.file_name().to_string_lossy().starts_with(RUN));
    let began = slots.filter_map(|slot| {
        let slot = File::open(slot.path()).ok()?;
        match rustix::fs::flock(&slot, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => slot.metadata().ok()?.modified().ok(),
            _ => None,
        }
    });
    began.min()
}
