//! The local cache: blobs by digest, and which key made which layer.
//!
//! ```text
//! blobs/sha256/<hex>   layers that lbuild made; manifests and configs of bases
//! keys/<hex>           a layer's key → the layer's digests, as JSON
//! stat/<hex>           what the files of a source directory held when last seen
//! work/                where other programs work, while they do
//! ```
//! Names are digests and files appear whole, so concurrent runs share it without a lock. What it holds is
//! checked again when it is used; what fails the check is dropped and made anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::staged::{self, Staged, TEMPORARY_PREFIX};
use super::workplace::{self, Workplace};
use crate::error::{Error, Result};
use crate::image::{Blob, Digest, Layer, LayerKey, Location};

/// The cache directory.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// What a cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Files.
    pub files: u64,
    /// Their sizes, added up, in bytes.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct LayerRecord {
    digest: Digest,
    size: u64,
    diff_id: Digest,
}

const TAG: &str = "CACHEDIR.TAG";
/// By this line backup programs know a cache: <https://bford.info/cachedir/>.
const TAG_TEXT: &[u8] =
    b"Signature: 8a477f597d28d172789f06886806bc55\n# This directory is a cache of lbuild.\n";

impl Cache {
    /// A cache in `root`, which is made when it is first written to.
    pub fn at(root: impl Into<PathBuf>) -> Cache {
        Cache { root: root.into() }
    }

    /// Where the user's cache is: `$LBUILD_CACHE`, else `lbuild` in `$XDG_CACHE_HOME` or `~/.cache`.
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

    /// The blob, when the cache has a file of its name and size. Its bytes are checked when they are read.
    pub(crate) fn blob(&self, digest: Digest, size: u64) -> Option<Blob> {
        let path = self.blob_path(digest);
        let held = fs::metadata(&path).ok()?;
        if held.len() != size {
            self.evict(digest);
            return None;
        }
        touch(&path);
        Some(Blob { digest, size, location: Location::File(path) })
    }

    /// The blob, whatever its size. Its bytes are for the caller to check.
    pub(crate) fn held(&self, digest: Digest) -> Option<Blob> {
        let path = self.blob_path(digest);
        let size = fs::metadata(&path).ok()?.len();
        touch(&path);
        Some(Blob { digest, size, location: Location::File(path) })
    }

    /// What was noted under a key, a digest of the caller's making.
    pub(crate) fn noted(&self, key: Digest) -> Option<Vec<u8>> {
        let path = self.key_path(LayerKey(key));
        let noted = fs::read(&path).ok()?;
        touch(&path);
        Some(noted)
    }

    /// Notes something, in place of what was.
    pub(crate) fn note(&self, key: Digest, text: &[u8]) -> Result<()> {
        staged::renew(&self.key_path(LayerKey(key)), text)
    }

    /// A small blob's bytes, checked.
    pub(crate) fn bytes(&self, digest: Digest) -> Option<Vec<u8>> {
        let path = self.blob_path(digest);
        let bytes = fs::read(&path).ok()?;
        if Digest::of(&bytes) != digest {
            self.evict(digest);
            return None;
        }
        touch(&path);
        Some(bytes)
    }

    /// Keeps a small blob.
    pub(crate) fn put_bytes(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let mut staged = self.stage()?;
        std::io::Write::write_all(&mut staged, bytes).map_err(|source| staged.failure(source))?;
        self.keep(staged, digest, bytes.len() as u64)?;
        Ok(digest)
    }

    /// A file to write a blob into, whose digest is not known yet.
    pub(crate) fn stage(&self) -> Result<Staged> {
        let staged = Staged::new_in(&self.blobs())?;
        let tag = self.root.join(TAG);
        if !tag.exists() {
            staged::replace(&tag, TAG_TEXT)?;
        }
        Ok(staged)
    }

    /// A directory for another program to work in.
    pub(crate) fn workplace(&self) -> Result<Workplace> {
        Workplace::new_in(&self.work_dir())
    }

    /// Keeps a staged blob under its digest.
    pub(crate) fn keep(&self, staged: Staged, digest: Digest, size: u64) -> Result<Blob> {
        let path = self.blob_path(digest);
        staged.commit(&path)?;
        Ok(Blob { digest, size, location: Location::File(path) })
    }

    /// The layer that `key` made, when the cache still has it.
    pub(crate) fn layer(&self, key: LayerKey) -> Option<Layer> {
        let path = self.key_path(key);
        let record: LayerRecord = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        let blob = self.blob(record.digest, record.size)?;
        touch(&path);
        Some(Layer { blob, diff_id: record.diff_id, key: Some(key) })
    }

    /// Remembers which layer `key` made.
    pub(crate) fn put_layer(&self, key: LayerKey, layer: &Layer) -> Result<()> {
        let record = LayerRecord { digest: layer.blob.digest, size: layer.blob.size, diff_id: layer.diff_id };
        let json = serde_json::to_vec(&record).unwrap_or_else(|_| unreachable!("strings and numbers only"));
        staged::renew(&self.key_path(key), &json)
    }

    /// Whether a layer was ever made for `shape`, a digest over what `stat` tells of its files.
    ///
    /// Without one, no key can be known either, and the files need not be read before they are packed.
    pub(crate) fn knows_shape(&self, shape: Digest) -> bool {
        let path = self.key_path(LayerKey(shape));
        let known = path.exists();
        if known {
            touch(&path);
        }
        known
    }

    /// Remembers that a layer was made for `shape`.
    pub(crate) fn put_shape(&self, shape: Digest) -> Result<()> {
        staged::renew(&self.key_path(LayerKey(shape)), b"{}")
    }

    /// Drops a blob that is not what its name says.
    pub(crate) fn evict(&self, digest: Digest) {
        let _ = fs::remove_file(self.blob_path(digest));
    }

    /// Whether `path` is one of this cache's blobs.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        path.starts_with(self.blobs())
    }

    /// What was remembered under this name, and not pruned since.
    pub fn remembered(&self, name: &str) -> Option<Vec<u8>> {
        self.noted(Digest::of(name.as_bytes()))
    }

    /// Remembers something under a name, in place of what was.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn remember(&self, name: &str, text: &[u8]) -> Result<()> {
        self.note(Digest::of(name.as_bytes()), text)
    }

    /// How much the cache holds.
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

    /// Removes what was not used for `unused`, what a killed process left, and then what was used least lately until
    /// the cache holds no more than `max_bytes`. Returns what that was.
    ///
    /// # Errors
    /// When the directory cannot be listed, or a file not removed.
    pub fn prune(&self, unused: Duration, max_bytes: Option<u64>) -> Result<Usage> {
        struct Held {
            path: PathBuf,
            bytes: u64,
            age: Duration,
            old: bool,
        }
        workplace::sweep(&self.work_dir())?;
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let mut held = Vec::new();
        self.visit(|path, metadata| {
            let age =
                metadata.modified().ok().and_then(|time| now.duration_since(time).ok()).unwrap_or_default();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let limit = if name.starts_with(TEMPORARY_PREFIX) { hour.min(unused) } else { unused };
            held.push(Held { path: path.to_owned(), bytes: metadata.len(), age, old: age >= limit });
        })?;
        held.sort_by_key(|file| std::cmp::Reverse(file.age));
        let mut left: u64 = held.iter().filter(|file| !file.old).map(|file| file.bytes).sum();
        let mut removed = Usage::default();
        for Held { path, bytes, old, .. } in held {
            if !old {
                if max_bytes.is_none_or(|most| left <= most) {
                    continue;
                }
                left -= bytes;
            }
            match fs::remove_file(&path) {
                Ok(()) => {
                    removed.files += 1;
                    removed.bytes += bytes;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Write { path, source }),
            }
        }
        Ok(removed)
    }

    /// Every file of the cache's own; others in the directory are nobody's to count or remove.
    fn visit(&self, mut each: impl FnMut(&Path, &fs::Metadata)) -> Result<()> {
        for dir in [self.blobs(), self.root.join("keys"), self.stat_dir()] {
            let fail = |source| Error::Read { path: dir.clone(), source };
            let entries = match fs::read_dir(&dir) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.map_err(fail)?,
            };
            for entry in entries {
                let entry = entry.map_err(fail)?;
                match entry.metadata() {
                    Ok(metadata) if metadata.is_file() => each(&entry.path(), &metadata),
                    // Another process may remove it at any time.
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Where the fingerprints of source directories are.
    pub(crate) fn stat_dir(&self) -> PathBuf {
        self.root.join("stat")
    }

    fn work_dir(&self) -> PathBuf {
        self.root.join("work")
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    fn blob_path(&self, digest: Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    fn key_path(&self, key: LayerKey) -> PathBuf {
        self.root.join("keys").join(key.0.hex())
    }
}

/// Marks a file as used now, for `prune`. A cache that is read-only serves all the same.
pub(super) fn touch(path: &Path) {
    if let Ok(file) = fs::File::open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("cache"));
        (dir, cache)
    }

    fn layer(cache: &Cache) -> (LayerKey, Layer) {
        let digest = cache.put_bytes(b"gz").unwrap();
        let key = LayerKey(Digest::of(b"key"));
        let layer =
            Layer { blob: cache.blob(digest, 2).unwrap(), diff_id: Digest::of(b"tar"), key: Some(key) };
        cache.put_layer(key, &layer).unwrap();
        (key, layer)
    }

    #[test]
    fn a_layer_is_found_by_its_key() {
        let (_dir, cache) = cache();
        let (key, layer) = layer(&cache);
        assert_eq!(cache.layer(key), Some(layer));
        assert_eq!(cache.layer(LayerKey(Digest::of(b"other"))), None);
    }

    #[test]
    fn a_blob_of_another_size_or_content_is_dropped() {
        let (_dir, cache) = cache();
        let (key, layer) = layer(&cache);
        let Location::File(path) = &layer.blob.location else { panic!("not in a file") };
        fs::write(path, b"longer").unwrap();
        assert_eq!(cache.layer(key), None);
        assert!(!path.exists());
        let digest = cache.put_bytes(b"right").unwrap();
        fs::write(cache.blob_path(digest), b"wrong").unwrap();
        assert_eq!(cache.bytes(digest), None);
        assert!(!cache.blob_path(digest).exists());
    }

    #[test]
    fn pruning_removes_what_was_not_used_and_nothing_of_others() {
        let (_dir, cache) = cache();
        let (key, layer) = layer(&cache);
        fs::write(cache.root().join("foreign"), b"x").unwrap();
        assert_eq!(cache.prune(Duration::from_secs(60), None).unwrap().files, 0);
        assert!(cache.layer(key).is_some());
        let removed = cache.prune(Duration::ZERO, None).unwrap();
        assert_eq!(removed.files, 2);
        assert!(cache.layer(key).is_none() && cache.root().join("foreign").exists());
        assert_eq!(cache.blob(layer.blob.digest, 2), None);
    }

    #[test]
    fn a_cache_that_is_too_large_loses_what_was_used_least_lately() {
        let (_dir, cache) = cache();
        let mut blobs = Vec::new();
        for (number, age) in [(0u8, 30), (1, 10), (2, 20)] {
            let digest = cache.put_bytes(&[number; 100]).unwrap();
            let file = fs::File::open(cache.blob_path(digest)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
            blobs.push(digest);
        }
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(cache.prune(day, Some(300)).unwrap(), Usage::default());
        assert_eq!(cache.prune(day, Some(250)).unwrap(), Usage { files: 1, bytes: 100 });
        assert!(!cache.blob_path(blobs[0]).exists() && cache.blob_path(blobs[2]).exists());
        // what is used is young again
        assert!(cache.blob(blobs[2], 100).is_some());
        assert_eq!(cache.prune(day, Some(100)).unwrap().files, 1);
        assert!(!cache.blob_path(blobs[1]).exists() && cache.blob_path(blobs[2]).exists());
        assert_eq!(cache.prune(day, Some(0)).unwrap().files, 1);
    }
}
