//! Stores the sha256 of files, so that unchanged files need not be read again.
//!
//! One file of the cache directory for each source directory, named by the sha256 of its real path:
//!
//! ```text
//! "lbuildfp"  version u32  count u32
//! count × (length u32, relative path, size u64, mtime u64, ctime u64, inode u64, device u64, sha256), by path
//! sha256 of the source directory's real path, and of all bytes before it
//! ```
//!
//! Numbers are little endian. The file is always replaced as a whole, so concurrent runs cannot mix their entries:
//! those of the last writer remain.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf, absolute};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::error::Result;
use crate::image::Digest;
use crate::store::{mark_used, renew};
use crate::tree::Stat;

const MAGIC: &[u8] = b"lbuildfp";
const VERSION: u32 = 2;
/// Magic, version and count.
const HEADER: usize = 16;
/// The five numbers of a fingerprint, and the sha256.
const FIXED: usize = Stat::BYTES + 32;
const CHECKSUM: usize = 32;

/// The fingerprints of one source directory, as an earlier run saved them.
#[derive(Debug)]
pub struct Fingerprints {
    file: PathBuf,
    /// The sha256 of the source directory's real path.
    root: Digest,
    bytes: Vec<u8>,
    /// The offset of each entry in `bytes`.
    starts: Vec<u32>,
    /// Whether the walk found exactly these files, unchanged.
    current: bool,
}

impl Fingerprints {
    /// Reads the entries that `cache_dir` has for the source directory `root`.
    ///
    /// A missing file, or one that is damaged, of another version or of another directory, is not an error: it gives no
    /// entries, and all source files are read.
    pub fn load(cache_dir: &Path, root: &Path) -> Fingerprints {
        // A root that cannot be resolved has no files either.
        let root = root.canonicalize().or_else(|_| absolute(root)).unwrap_or_else(|_| root.to_owned());
        let root = Digest::of(root.as_os_str().as_bytes());
        let file = cache_dir.join(root.hex());
        let none = |file| Fingerprints { file, root, bytes: Vec::new(), starts: Vec::new(), current: false };
        let Ok(bytes) = fs::read(&file) else { return none(file) };
        match index(&bytes, root) {
            Some(starts) => {
                mark_used(&file);
                Fingerprints { bytes, starts, ..none(file) }
            }
            None => {
                let _ = fs::remove_file(&file);
                none(file)
            }
        }
    }

    /// A function that looks up one path after the other: it returns the sha256 of the file at that path (relative to
    /// the root) if the file had the same fingerprint when it was read. Paths in byte order are found without a search.
    pub fn lookups(&self) -> impl FnMut(&[u8], &Stat) -> Option<Digest> {
        let mut next = 0;
        move |path, now| {
            let expected = self.starts.get(next).is_some_and(|&start| self.path(start) == path);
            let found = if expected { next } else { self.find(path)? };
            next = found + 1;
            self.sha256(found, now)
        }
    }

    /// Records how many files the walk saw, all with different names, and how many of them had an entry.
    pub fn seen(&mut self, files: usize, found: usize) {
        self.current = files == found && found == self.starts.len();
    }

    /// Replaces the entries with those of the files that were `seen` in a walk that began at `began`.
    ///
    /// Entries that could become out of date undetected are left out. `seen` may be called twice.
    ///
    /// # Errors
    /// When the cache directory cannot be written.
    pub fn save<'a, I>(&self, seen: impl Fn() -> I, began: SystemTime) -> Result<()>
    where
        I: Iterator<Item = (&'a [u8], Stat, Digest)>,
    {
        let safe = || seen().filter(|(_, stat, _)| !stat.is_racy(began));
        // In most runs nothing has changed.
        if self.current || self.holds(safe()) {
            return Ok(());
        }
        let mut safe: Vec<_> = safe().collect();
        safe.sort_unstable_by_key(|(path, ..)| *path);
        safe.dedup_by_key(|(path, ..)| *path);
        // The checksum at the end detects damage.
        let mut bytes = encode(&safe);
        bytes.extend_from_slice(checksum(self.root, &bytes).as_bytes());
        renew(&self.file, &bytes)
    }

    /// Whether the stored entries equal these, in this order.
    fn holds<'a>(&self, entries: impl Iterator<Item = (&'a [u8], Stat, Digest)>) -> bool {
        let mut places = 0..self.starts.len();
        for (path, stat, sha256) in entries {
            let place = places.next().filter(|&place| self.path(self.starts[place]) == path);
            if place.and_then(|place| self.sha256(place, &stat)) != Some(sha256) {
                return false;
            }
        }
        places.next().is_none()
    }

    fn find(&self, path: &[u8]) -> Option<usize> {
        self.starts.binary_search_by(|&start| self.path(start).cmp(path)).ok()
    }

    /// The sha256 of an entry, if its fingerprint is `now`.
    fn sha256(&self, place: usize, now: &Stat) -> Option<Digest> {
        let start = self.starts[place];
        let fixed = &self.bytes[start as usize + 4 + self.path(start).len()..][..FIXED];
        let (stat, sha256) = fixed.split_at(Stat::BYTES);
        if stat != now.to_bytes() {
            return None;
        }
        sha256.try_into().map(Digest::from_bytes).ok()
    }

    fn path(&self, start: u32) -> &[u8] {
        let rest = &self.bytes[start as usize..];
        &rest[4..4 + number(rest) as usize]
    }
}

/// The entries in their file's format, without the checksum.
fn encode(entries: &[(&[u8], Stat, Digest)]) -> Vec<u8> {
    let size = entries.iter().map(|(path, ..)| 4 + path.len() + FIXED).sum::<usize>();
    let mut bytes = Vec::with_capacity(HEADER + size);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    for (path, stat, sha256) in entries {
        bytes.extend_from_slice(&(path.len() as u32).to_le_bytes());
        bytes.extend_from_slice(path);
        bytes.extend_from_slice(&stat.to_bytes());
        bytes.extend_from_slice(sha256.as_bytes());
    }
    bytes
}

/// The sha256 of the source directory's path and of the file without its checksum.
fn checksum(root: Digest, body: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(root.as_bytes());
    hash.update(body);
    Digest::from_bytes(hash.finalize().into())
}

/// The offset of each entry, if `bytes` are a complete, undamaged file of this version for this source directory.
fn index(bytes: &[u8], root: Digest) -> Option<Vec<u32>> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    let header = body.get(..HEADER)?;
    if !header.starts_with(MAGIC) || number(&header[8..]) != VERSION || checksum(root, body).as_bytes() != sum
    {
        return None;
    }
    let count = number(&header[12..]);
    let mut starts = Vec::with_capacity((count as usize).min(body.len() / FIXED));
    let mut start = HEADER;
    for _ in 0..count {
        starts.push(u32::try_from(start).ok()?);
        let length = number(body.get(start..start + 4)?) as usize;
        start = start.checked_add(4 + length + FIXED)?;
    }
    (start == body.len()).then_some(starts)
}

/// The number at the start of `bytes`, which has at least four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests;
