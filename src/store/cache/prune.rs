//! The size of the cache, and the removal of unused files.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::directory::Cache;
use super::workplace;
use crate::error::{Error, Result};
use crate::store::staged::TEMPORARY_PREFIX;

/// The number and size of files in a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The number of files.
    pub files: u64,
    /// The sum of their sizes, in bytes.
    pub bytes: u64,
}

/// A file that may be removed.
struct CachedFile {
    path: PathBuf,
    bytes: u64,
    modified: Option<SystemTime>,
    age: Duration,
    old: bool,
}

/// The number of files that are removed while runs that use the cache wait.
const TOGETHER: usize = 64;

impl Cache {
    /// The number and size of the cache's files.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn usage(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        self.visit(|_, metadata| {
            usage.files += 1;
            usage.bytes += metadata.len();
        })?;
        Ok(usage)
    }

    /// Removes files that were not used for `unused` and leftovers of killed processes, then the least recently used
    /// files until the cache holds no more than `max_bytes`. A file that was used since the oldest current run began
    /// stays; an [`Engine`](crate::Engine) is a run from its first use of the cache until its last clone is dropped.
    /// Returns the number and size of the removed files.
    ///
    /// # Errors
    /// When the directory cannot be listed, or a file cannot be removed.
    pub fn prune(&self, unused: Duration, max_bytes: Option<u64>) -> Result<Usage> {
        workplace::sweep(&self.work_dir())?;
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let mut held = Vec::new();
        self.visit(|path, metadata| {
            let modified = metadata.modified().ok();
            let age = modified.and_then(|time| now.duration_since(time).ok()).unwrap_or_default();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let limit = if name.starts_with(TEMPORARY_PREFIX) { hour.min(unused) } else { unused };
            let (path, bytes, old) = (path.to_owned(), metadata.len(), age >= limit);
            held.push(CachedFile { path, bytes, modified, age, old });
        })?;
        held.sort_by_key(|file| Reverse(file.age));
        let mut left: u64 = held.iter().filter(|file| !file.old).map(|file| file.bytes).sum();
        let mut removed = Usage::default();
        for files in held.chunks(TOGETHER) {
            let removal = self.removal();
            for CachedFile { path, bytes, modified, old, .. } in files {
                let is_too_much = max_bytes.is_some_and(|most| left > most);
                if !(*old || is_too_much) || removal.spares(path, *modified) {
                    continue;
                }
                if !old {
                    left -= bytes;
                }
                match fs::remove_file(path) {
                    Ok(()) => {
                        removed.files += 1;
                        removed.bytes += bytes;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(source) => return Err(Error::Write { path: path.clone(), source }),
                }
            }
        }
        Ok(removed)
    }

    /// Visits every file that the cache wrote. Other files in the directory are neither counted nor removed.
    fn visit(&self, mut each: impl FnMut(&Path, &fs::Metadata)) -> Result<()> {
        for dir in [self.blobs_dir(), self.keys_dir(), self.stat_dir()] {
            let fail = |source| Error::Read { path: dir.clone(), source };
            let entries = match fs::read_dir(&dir) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.map_err(fail)?,
            };
            for entry in entries {
                let entry = entry.map_err(fail)?;
                match entry.metadata() {
                    Ok(metadata) if metadata.is_file() => each(&entry.path(), &metadata),
                    // Another process may remove the file at any time.
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
