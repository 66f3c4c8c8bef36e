//! The size of the cache, and the removal of unused files.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::directory::Cache;
use super::roots;
use super::usage::Usage;
use super::workplace::{self, Workplace};
use crate::error::{Error, Result};
use crate::store::staged::TEMPORARY_PREFIX;

/// A file that may be removed, or a directory: an unpacked image, a cache mount.
struct CachedFile {
    path: PathBuf,
    /// For a directory: that of all its files.
    usage: Usage,
    is_directory: bool,
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
        for (_, metadata) in self.image_files()?.concat() {
            usage.files += 1;
            usage.bytes += metadata.len();
        }
        for (root, _) in self.directories()? {
            let of_root = roots::usage(&root);
            usage.files += of_root.files;
            usage.bytes += of_root.bytes;
        }
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
        let cached = |path: &Path, usage, is_directory, metadata: &fs::Metadata| {
            let modified = metadata.modified().ok();
            let age = modified.and_then(|time| now.duration_since(time).ok()).unwrap_or_default();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let limit = if name.starts_with(TEMPORARY_PREFIX) { hour.min(unused) } else { unused };
            CachedFile { path: path.to_owned(), usage, is_directory, modified, age, old: age >= limit }
        };
        let mut of_images: HashMap<PathBuf, Duration> = HashMap::new();
        // Before their blobs, so that of both, which are as old then, the image goes first.
        let [images, _] = self.image_files()?;
        for (file, metadata) in &images {
            let image = cached(file, Usage { files: 1, bytes: metadata.len() }, false, metadata);
            for blob in self.blobs_of_image(file) {
                let age = of_images.entry(blob).or_insert(image.age);
                *age = image.age.min(*age);
            }
            held.push(image);
        }
        self.visit(|path, metadata| {
            let usage = Usage { files: 1, bytes: metadata.len() };
            let mut file = cached(path, usage, false, metadata);
            if let Some(age) = of_images.get(path).filter(|age| **age < file.age) {
                (file.age, file.old) = (*age, *age >= unused);
            }
            held.push(file);
        })?;
        for (root, metadata) in self.directories()? {
            held.push(cached(&root, roots::usage(&root), true, &metadata));
        }
        held.sort_by_key(|file| Reverse(file.age));
        let mut left: u64 = held.iter().filter(|file| !file.old).map(|file| file.usage.bytes).sum();
        let mut removed = Usage::default();
        // Directories are moved there, and removed when no run waits.
        let trash = self.trash(&held)?;
        for files in held.chunks(TOGETHER) {
            let removal = self.removal();
            let of_new_images = self.blobs_of_images_since(&images)?;
            for CachedFile { path, usage, is_directory, modified, old, .. } in files {
                let is_too_much = max_bytes.is_some_and(|most| left > most);
                if !(*old || is_too_much) || removal.spares(path, *modified) || of_new_images.contains(path) {
                    continue;
                }
                if !old {
                    left -= usage.bytes;
                }
                let done = match (is_directory, &trash) {
                    (false, _) => fs::remove_file(path),
                    (true, Some(trash))
                        if roots::take_unused(
                            path,
                            &trash.path().join(path.file_name().unwrap_or_default()),
                        ) =>
                    {
                        Ok(())
                    }
                    // It is in use.
                    (true, _) => continue,
                };
                match done {
                    Ok(()) => {
                        removed.files += usage.files;
                        removed.bytes += usage.bytes;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(source) => return Err(Error::Write { path: path.clone(), source }),
                }
            }
        }
        for (_, metadata) in self.change_images().forget_lost()? {
            removed.files += 1;
            removed.bytes += metadata.len();
        }
        Ok(removed)
    }

    /// The blobs of the images that were stored or used since these were listed: the run that did it may have ended.
    fn blobs_of_images_since(&self, listed: &[(PathBuf, fs::Metadata)]) -> Result<HashSet<PathBuf>> {
        let times = |files: &[(PathBuf, fs::Metadata)]| -> HashMap<PathBuf, Option<SystemTime>> {
            files.iter().map(|(path, metadata)| (path.clone(), metadata.modified().ok())).collect()
        };
        let (old, [now, _]) = (times(listed), self.image_files()?);
        let new = times(&now).into_iter().filter(|(path, time)| old.get(path) != Some(time));
        Ok(new.flat_map(|(path, _)| self.blobs_of_image(&path)).collect())
    }

    /// A place for removed directories, if there are any.
    fn trash(&self, held: &[CachedFile]) -> Result<Option<Workplace>> {
        held.iter().any(|file| file.is_directory).then(|| self.workplace()).transpose()
    }

    /// The unpacked images and the cache mounts, with the metadata of their directories.
    fn directories(&self) -> Result<Vec<(PathBuf, fs::Metadata)>> {
        let mut all = Vec::new();
        for dir in [self.roots_dir(), self.mounts_dir()] {
            let entries = match fs::read_dir(&dir) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.map_err(|source| Error::Read { path: dir.clone(), source })?,
            };
            // Another process may remove one at any time.
            let found = entries.flatten().filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
            all.extend(found.filter(|(_, metadata)| metadata.is_dir()));
        }
        Ok(all)
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
