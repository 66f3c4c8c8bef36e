//! What files held when they were last read, so that unchanged ones need not be read again.
//!
//! One file of the cache directory for each source directory, named by the sha256 of its real path:
//!
//! ```text
//! "lbuildfp"  version u32  count u32
//! count × (length u32, relative path, size u64, mtime u64, ctime u64, inode u64, device u64, sha256), by path
//! sha256 of all that
//! ```
//!
//! Numbers are little endian. The file is only ever replaced as a whole, so runs at the same time cannot mix their
//! entries: the last one's stand.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf, absolute};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{cache, staged};
use crate::error::Result;
use crate::image::Digest;

const MAGIC: &[u8] = b"lbuildfp";
const VERSION: u32 = 1;
/// Magic, version and count.
const HEADER: usize = 16;
/// The five numbers of a fingerprint, and the sha256.
const FIXED: usize = 5 * 8 + 32;
const CHECKSUM: usize = 32;

/// By how much a file's times must lie before the start of the walk.
///
/// A write changes them only if the clock that stamps files has ticked since the last one. So a file that was
/// written just before it was read can be written again unnoticed, and is read again next time instead, as git
/// does with "racy" entries. Kernels tick every 1 to 10 ms and stamp by the last tick; ten times that also covers
/// exFAT's 10 ms, and a file server whose clock is a little behind.
const MARGIN_NS: i128 = 100_000_000;

/// The same where a file system stamps in seconds (ext3, HFS+), or in steps of two (FAT), plus a second.
const COARSE_MARGIN_NS: i128 = 3_000_000_000;

/// What tells whether a file is still the same, without a look into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// In bytes.
    pub size: u64,
    /// When the content last changed, in nanoseconds since 1970; anybody may set it.
    pub mtime_ns: i64,
    /// When content or metadata last changed; only the kernel sets it.
    pub ctime_ns: i64,
    pub ino: u64,
    pub dev: u64,
}

/// The fingerprints of one source directory, as an earlier run saved them.
#[derive(Debug)]
pub struct Fingerprints {
    file: PathBuf,
    bytes: Vec<u8>,
    /// Where each entry starts in `bytes`.
    starts: Vec<u32>,
    /// Whether the directory was found to hold these files, as they are here, and no others.
    current: bool,
}

impl Fingerprints {
    /// Reads what `cache_dir` has for the source directory `root`.
    ///
    /// Nothing that is wrong with that file is an error: a file that is missing, cut off, damaged or of another
    /// version has no entries, and all files are read.
    pub fn load(cache_dir: &Path, root: &Path) -> Fingerprints {
        // A root that has no real path has no files either.
        let root = root.canonicalize().or_else(|_| absolute(root)).unwrap_or_else(|_| root.to_owned());
        let file = cache_dir.join(Digest::of(root.as_os_str().as_bytes()).hex());
        let bytes = fs::read(&file).unwrap_or_default();
        match index(&bytes) {
            Some(starts) => {
                cache::touch(&file);
                Fingerprints { file, bytes, starts, current: false }
            }
            None => Fingerprints { file, bytes: Vec::new(), starts: Vec::new(), current: false },
        }
    }

    /// A look-up for one path after the other: the sha256 of the file at that path (relative to the root), if it
    /// was read when it looked as it does now. Paths in the order of their bytes are found without a search.
    pub fn lookups(&self) -> impl FnMut(&[u8], &Fingerprint) -> Option<Digest> {
        let mut next = 0;
        move |path, now| {
            let expected = self.starts.get(next).is_some_and(|&start| self.path(start) == path);
            let found = if expected { next } else { self.find(path)? };
            next = found + 1;
            self.sha256(found, now)
        }
    }

    /// Tells that of so many files of the directory, all by different names, so many were found.
    pub fn seen(&mut self, files: usize, found: usize) {
        self.current = files == found && found == self.starts.len();
    }

    /// Replaces the entries by those of the files that were `seen` in a walk which began at `began`.
    ///
    /// Entries that could be out of date without showing it are left out. `seen` may be called twice.
    ///
    /// # Errors
    /// When the cache directory cannot be written.
    pub fn save<'a, I>(&self, seen: impl Fn() -> I, began: SystemTime) -> Result<()>
    where
        I: Iterator<Item = (&'a [u8], Fingerprint, Digest)>,
    {
        let began = began.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        let safe = || seen().filter(|(_, stat, _)| !stat.is_racy(began));
        // Most runs end here.
        if self.current || self.holds(safe()) {
            return Ok(());
        }
        let mut safe: Vec<_> = safe().collect();
        safe.sort_unstable_by_key(|(path, ..)| *path);
        safe.dedup_by_key(|(path, ..)| *path);
        // Its own sum at the end tells a damaged file from a whole one.
        let mut bytes = encode(&safe);
        bytes.extend_from_slice(Digest::of(&bytes).as_bytes());
        staged::renew(&self.file, &bytes)
    }

    /// Whether these are the entries, in this order.
    fn holds<'a>(&self, entries: impl Iterator<Item = (&'a [u8], Fingerprint, Digest)>) -> bool {
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
    fn sha256(&self, place: usize, now: &Fingerprint) -> Option<Digest> {
        let start = self.starts[place];
        let fixed = &self.bytes[start as usize + 4 + self.path(start).len()..][..FIXED];
        let (stat, sha256) = fixed.split_at(5 * 8);
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

impl Fingerprint {
    fn to_bytes(self) -> [u8; 5 * 8] {
        let numbers = [self.size, self.mtime_ns as u64, self.ctime_ns as u64, self.ino, self.dev];
        let mut bytes = [0; 5 * 8];
        for (to, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Whether the file may be written after `began` and look the same.
    fn is_racy(&self, began: i128) -> bool {
        // A fine clock hits a whole second once in a hundred ticks, and then the wide margin does no harm.
        let coarse = [self.mtime_ns, self.ctime_ns].iter().all(|ns| ns % 1_000_000_000 == 0);
        let margin = if coarse { COARSE_MARGIN_NS } else { MARGIN_NS };
        i128::from(self.mtime_ns.max(self.ctime_ns)) >= began - margin
    }
}

/// The entries in their file's format, without the checksum.
fn encode(entries: &[(&[u8], Fingerprint, Digest)]) -> Vec<u8> {
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

/// Where each entry starts, if `bytes` are a whole and sound file of this version.
fn index(bytes: &[u8]) -> Option<Vec<u32>> {
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    let header = body.get(..HEADER)?;
    if !header.starts_with(MAGIC)
        || number(&header[8..]) != VERSION
        || Digest::of(body).as_bytes() != checksum
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

/// The number at the start of `bytes`, which has four at least.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    impl Fingerprints {
        fn lookup(&self, path: &[u8], now: &Fingerprint) -> Option<Digest> {
            self.lookups()(path, now)
        }
    }

    const SECOND: i64 = 1_000_000_000;

    /// A file that was last written at `mtime_ns`.
    fn stat(mtime_ns: i64) -> Fingerprint {
        Fingerprint { size: 7, mtime_ns, ctime_ns: 5, ino: 3, dev: 1 }
    }

    fn at(ns: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(ns as u64)
    }

    /// Saves files by name and time, from a walk at `began`, and loads the result.
    fn saved(cache: &Path, files: &[(&str, i64)], began: i64) -> Fingerprints {
        let known = Fingerprints::load(cache, Path::new("/"));
        let seen =
            || files.iter().map(|(path, mtime)| (path.as_bytes(), stat(*mtime), Digest::of(path.as_bytes())));
        known.save(seen, at(began)).unwrap();
        Fingerprints::load(cache, Path::new("/"))
    }

    fn only_file(cache: &Path) -> PathBuf {
        let mut files = fs::read_dir(cache).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none(), "nothing but the index may stay in the cache");
        file
    }

    #[test]
    fn what_was_saved_is_found_while_nothing_about_it_changes() {
        let cache = tempfile::tempdir().unwrap();
        let known = saved(&cache.path().join("new"), &[("b", 1), ("a/b", 2), ("a", 3)], 10 * SECOND);
        for (path, mtime) in [("a", 3), ("a/b", 2), ("b", 1)] {
            assert_eq!(known.lookup(path.as_bytes(), &stat(mtime)), Some(Digest::of(path.as_bytes())));
        }
        let same = stat(3);
        let changed = [
            Fingerprint { size: 8, ..same },
            Fingerprint { mtime_ns: 4, ..same },
            Fingerprint { ctime_ns: 6, ..same },
            Fingerprint { ino: 4, ..same },
            Fingerprint { dev: 2, ..same },
        ];
        for changed in changed {
            assert_eq!(known.lookup(b"a", &changed), None, "{changed:?}");
        }
        assert_eq!(known.lookup(b"aa", &same), None);
    }

    #[test]
    fn many_are_found_in_any_order() {
        let cache = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..500).map(|i| (format!("{i:03}"), i)).collect();
        let files: Vec<_> = files.iter().map(|(path, mtime)| (path.as_str(), *mtime)).collect();
        let known = saved(cache.path(), &files, 10 * SECOND);
        for step in [1, 7, 499] {
            let mut lookup = known.lookups();
            for i in 0..500 {
                let (path, mtime) = files[i * step % 500];
                assert_eq!(lookup(path.as_bytes(), &stat(mtime)), Some(Digest::of(path.as_bytes())));
                assert_eq!(lookup(b"none", &stat(0)), None);
            }
        }
    }

    #[test]
    fn a_file_written_just_before_the_walk_is_not_trusted() {
        let cache = tempfile::tempdir().unwrap();
        let began = 10 * SECOND;
        let fine = [began + 1, began, began - 50_000_000, began - 200_000_000, began - 3 * SECOND + 7];
        for (mtime, trusted) in fine.into_iter().zip([false, false, false, true, true]) {
            let known = saved(cache.path(), &[("a", mtime)], began);
            assert_eq!(known.lookup(b"a", &stat(mtime)).is_some(), trusted, "{mtime}");
        }
        // The same goes for a time that was set back: its ctime cannot be.
        let set_back = Fingerprint { mtime_ns: 1, ctime_ns: began - 50_000_000, ..stat(0) };
        assert!(set_back.is_racy(began.into()));
    }

    #[test]
    fn whole_seconds_mean_a_coarse_clock() {
        let began = i128::from(10 * SECOND);
        let whole =
            |seconds| Fingerprint { mtime_ns: seconds * SECOND, ctime_ns: seconds * SECOND, ..stat(0) };
        assert!(whole(9).is_racy(began) && whole(8).is_racy(began) && whole(7).is_racy(began));
        assert!(!whole(6).is_racy(began));
        let unpacked = Fingerprint { mtime_ns: 9 * SECOND, ctime_ns: 9 * SECOND + 1, ..stat(0) };
        assert!(!unpacked.is_racy(began), "an archive's whole seconds do not make the clock coarse");
    }

    #[test]
    fn a_damaged_file_has_no_entries() {
        let cache = tempfile::tempdir().unwrap();
        saved(cache.path(), &[("a", 1), ("b", 2)], 10 * SECOND);
        let file = only_file(cache.path());
        let whole = fs::read(&file).unwrap();
        let entries = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            Fingerprints::load(cache.path(), Path::new("/")).starts.len()
        };
        assert_eq!(entries(&whole), 2);
        for length in 0..whole.len() {
            assert_eq!(entries(&whole[..length]), 0, "cut to {length} bytes");
        }
        for i in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[i] ^= 1;
            assert_eq!(entries(&bytes), 0, "bit flipped in byte {i}");
        }
        // Sound, but of a later version, or with a count or length that is not true.
        for (place, byte) in [(0, b'x'), (8, 9), (12, 1), (12, 3), (12, 255), (HEADER, 2), (HEADER + 3, 255)]
        {
            let mut body = whole[..whole.len() - CHECKSUM].to_vec();
            body[place] = byte;
            assert_eq!(entries(&[&body[..], Digest::of(&body).as_bytes()].concat()), 0, "byte {place}");
        }
    }

    #[test]
    fn only_what_was_seen_last_is_kept() {
        let cache = tempfile::tempdir().unwrap();
        saved(cache.path(), &[("a", 1), ("b", 2)], 10 * SECOND);
        let known = saved(cache.path(), &[("b", 2)], 10 * SECOND);
        assert!(known.lookup(b"a", &stat(1)).is_none() && known.lookup(b"b", &stat(2)).is_some());
        let known = saved(cache.path(), &[("b", 2), ("c", 3)], 10 * SECOND);
        assert!(known.lookup(b"c", &stat(3)).is_some());
        let known = saved(cache.path(), &[("b", 2)], 10 * SECOND);
        assert!(known.lookup(b"c", &stat(3)).is_none());
    }

    #[test]
    fn an_unchanged_index_is_not_written() {
        let cache = tempfile::tempdir().unwrap();
        let files = [("a", 1), ("b", 2)];
        saved(cache.path(), &files, 10 * SECOND);
        let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(only_file(cache.path())).unwrap());
        let before = inode();
        saved(cache.path(), &files, 20 * SECOND);
        assert_eq!(inode(), before);
        saved(cache.path(), &[("a", 1), ("b", 3)], 20 * SECOND);
        assert_ne!(inode(), before);
    }

    #[test]
    fn roots_do_not_mix_and_a_link_is_the_directory_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two, link) = (dir.path().join("one"), dir.path().join("two"), dir.path().join("link"));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&two).unwrap();
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let file = |root: &Path| Fingerprints::load(dir.path(), root).file;
        assert_ne!(file(&one), file(&two));
        assert_eq!(file(&one), file(&link));
    }

    #[test]
    fn writers_at_the_same_time_leave_one_whole_index() {
        let cache = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..2000).map(|i| format!("{i:04}")).collect();
        std::thread::scope(|scope| {
            for content in ["x", "y"] {
                let (cache, names) = (cache.path(), &names);
                scope.spawn(move || {
                    for round in 0..20 {
                        let known = Fingerprints::load(cache, Path::new("/"));
                        let sha256 = Digest::of(format!("{content}{round}").as_bytes());
                        known
                            .save(
                                || names.iter().map(|name| (name.as_bytes(), stat(1), sha256)),
                                at(10 * SECOND),
                            )
                            .unwrap();
                    }
                });
            }
        });
        only_file(cache.path());
        let known = Fingerprints::load(cache.path(), Path::new("/"));
        let first = known.lookup(b"0000", &stat(1));
        assert!(first.is_some() && names.iter().all(|name| known.lookup(name.as_bytes(), &stat(1)) == first));
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let known = Fingerprints::load(&file, Path::new("/"));
        let error =
            known.save(|| [(&b"a"[..], stat(1), Digest::of(b""))].into_iter(), at(10 * SECOND)).unwrap_err();
        assert!(matches!(error, crate::error::Error::Write { path, .. } if path.starts_with(&file)));
    }
}
