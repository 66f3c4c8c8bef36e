//! The time of a file's last use, which is its modification time.

use std::fs::File;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};

/// The current time of the file system.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
const USED_NOW: Timestamps = Timestamps { last_access: NOW, last_modification: NOW };

/// Marks a file as used now, for `prune`. Failure is ignored, so that a read-only cache works.
pub(crate) fn mark_used(path: &Path) {
    let _ = rustix::fs::utimensat(CWD, path, &USED_NOW, AtFlags::empty());
}

/// Sets the time of an open file to now.
pub(super) fn mark(file: &File) -> rustix::io::Result<()> {
    rustix::fs::futimens(file, &USED_NOW)
}
