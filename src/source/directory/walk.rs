//! The parallel walk: each thread descends on its own, and gives half of its pending directories to an idle thread.
//!
//! Reading a directory takes one listing, and an `lstat` for each file, relative to the open directory so that the
//! kernel need not resolve the whole path. A directory needs no `lstat`; a symlink needs a `readlink`. On two cores the
//! walk takes less than half the time of a walk in one thread.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use rustix::fs::{AtFlags, Dir, DirEntry, FileType, Mode, OFlags};

use crate::error::{Error, Result};
use crate::source::ignore::{Ignore, Verdict};
use crate::threads;
use crate::tree::{Content, Entry, SourceFile, Stat};

/// One walk: the data that all of its directories share.
pub(super) struct Walk<'a> {
    root: &'a Path,
    pub to: Vec<u8>,
    ignore: &'a Ignore,
    /// Whether files keep the modes that they have on the disk.
    real_modes: bool,
}

/// A directory that is still to be read, with its image path.
pub(super) struct Pending {
    pub path: Vec<u8>,
    pub verdict: Verdict,
}

/// The entries that one thread has found.
#[derive(Default)]
struct Found {
    entries: Vec<(Vec<u8>, Entry)>,
    /// Ignored directories that were read because of an exception; the tree holds one only if it holds a path below it.
    withheld: Vec<Vec<u8>>,
    errors: Vec<(Vec<u8>, Error)>,
}

/// The state that the threads share.
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// The queue's count of idle threads, readable without the lock.
    idle: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    pending: Vec<Pending>,
    /// The number of threads that have begun. A thread that was not started must not be waited for.
    begun: usize,
    idle: usize,
}

impl Shared {
    fn new(start: Pending) -> Shared {
        let queue = Mutex::new(Queue { pending: vec![start], begun: 0, idle: 0 });
        Shared { queue, changed: Condvar::new(), idle: AtomicUsize::new(0) }
    }

    /// Counts a thread that calls `take` until it gets `None`.
    fn begin(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).begun += 1;
    }

    /// The next directory for an idle thread; `None` once all threads are idle, so that none can add one.
    fn take(&self) -> Option<Pending> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = queue.pending.pop() {
            return Some(found);
        }
        self.idle.fetch_add(1, Ordering::Relaxed);
        queue.idle += 1;
        if queue.idle == queue.begun {
            self.changed.notify_all();
        }
        while queue.pending.is_empty() && queue.idle < queue.begun {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let found = queue.pending.pop();
        if found.is_some() {
            queue.idle -= 1;
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
        found
    }

    /// Gives away half of a thread's directories, those that it found first: they have the most below them.
    fn share(&self, mine: &mut Vec<Pending>) {
        if mine.len() > 1 && self.idle.load(Ordering::Relaxed) > 0 {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.pending.extend(mine.drain(..mine.len() / 2));
            drop(queue);
            self.changed.notify_all();
        }
    }
}

impl<'a> Walk<'a> {
    pub fn new(root: &'a Path, to: &[u8], ignore: &'a Ignore) -> Walk<'a> {
        Walk { root, to: to.to_vec(), ignore, real_modes: false }
    }

    /// The same walk, whose files keep the modes that they have on the disk.
    pub fn with_real_modes(self) -> Walk<'a> {
        Walk { real_modes: true, ..self }
    }

    pub fn top(&self) -> Pending {
        Pending { path: self.to.clone(), verdict: Ignore::ROOT }
    }

    /// An image path below `to`, relative to `to`.
    pub fn relative<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        if self.to.is_empty() {
            return Some(path);
        }
        path.strip_prefix(self.to.as_slice())?.strip_prefix(b"/")
    }

    pub fn source(&self, relative: &[u8]) -> PathBuf {
        self.root.join(OsStr::from_bytes(relative))
    }

    /// Reads `start` and everything below it. Returns the entries in path order, without `start` itself.
    pub fn run(&self, start: Pending, jobs: usize) -> Result<Vec<(Vec<u8>, Entry)>> {
        let shared = Shared::new(start);
        let mut all = Found::default();
        for found in threads::together(jobs, || self.work(&shared)) {
            all.entries.extend(found.entries);
            all.withheld.extend(found.withheld);
            all.errors.extend(found.errors);
        }
        if let Some((_, error)) = all.errors.into_iter().min_by(|a, b| a.0.cmp(&b.0)) {
            return Err(error);
        }
        // The entries of each thread are sorted already; this sort is fast for sorted runs.
        all.entries.sort_by(|a, b| a.0.cmp(&b.0));
        all.withheld.retain(|directory| has_below(&all.entries, directory));
        if !all.withheld.is_empty() {
            all.entries.extend(all.withheld.into_iter().map(|path| (path, Entry::directory())));
            all.entries.sort_by(|a, b| a.0.cmp(&b.0));
        }
        Ok(all.entries)
    }

    /// The work of one thread: reads directories until none is left and no thread can add one.
    fn work(&self, shared: &Shared) -> Found {
        shared.begin();
        let mut found = Found::default();
        let mut mine = Vec::new();
        // The newest directory comes first: the names of its parent are still in the kernel's caches.
        while let Some(directory) = mine.pop().or_else(|| shared.take()) {
            if let Err(error) = self.read(&directory, &mut mine, &mut found) {
                found.errors.push((directory.path, error));
            }
            shared.share(&mut mine);
        }
        found.entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Reads one directory: adds its entries to `found`, and its directories to `pending`.
    fn read(&self, directory: &Pending, pending: &mut Vec<Pending>, found: &mut Found) -> Result<()> {
        let relative = self.relative(&directory.path).unwrap_or_default();
        let source = if relative.is_empty() { self.root.to_owned() } else { self.source(relative) };
        // The root may be a symlink. Below it, a directory that was replaced by a symlink after its name was read must
        // not lead out of the tree.
        let no_follow = if relative.is_empty() { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | no_follow;
        let mut handle = rustix::fs::open(&source, flags, Mode::empty())
            .and_then(Dir::new)
            .map_err(|e| unreadable(source.clone(), e))?;
        while let Some(item) = handle.read() {
            let item = item.map_err(|e| unreadable(source.clone(), e))?;
            let name = item.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let path = join(&directory.path, name);
            let relative = self.relative(&path).unwrap_or_default();
            let verdict = self.ignore.below(directory.verdict, relative);
            let ignored = self.ignore.ignores(verdict);
            match kind(&handle, &item).map_err(|e| unreadable(self.source(relative), e))? {
                FileType::Directory if self.ignore.can_prune(verdict, relative) => {}
                FileType::Directory => {
                    match ignored {
                        true => found.withheld.push(path.clone()),
                        false => found.entries.push((path.clone(), Entry::directory())),
                    }
                    pending.push(Pending { path, verdict });
                }
                _ if ignored => {}
                kind => match entry(&handle, &item, kind, &source) {
                    Ok((entry, mode)) => {
                        let mode = if self.real_modes { mode } else { entry.mode };
                        found.entries.push((path, Entry { mode, ..entry }));
                    }
                    Err(error) => found.errors.push((path, error)),
                },
            }
        }
        Ok(())
    }
}

/// The kind of `item`. Some file systems do not report it in listings; an `lstat` does then.
fn kind(directory: &Dir, item: &DirEntry) -> rustix::io::Result<FileType> {
    match item.file_type() {
        FileType::Unknown => {
            let stat = rustix::fs::statat(directory.fd()?, item.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(FileType::from_raw_mode(stat.st_mode))
        }
        kind => Ok(kind),
    }
}

/// A file or symlink in the open directory `directory`, whose path is `parent`; and its mode on the disk.
fn entry(directory: &Dir, item: &DirEntry, kind: FileType, parent: &Path) -> Result<(Entry, u32)> {
    let name = item.file_name();
    let path = PathBuf::from(OsString::from_vec(join(parent.as_os_str().as_bytes(), name.to_bytes())));
    let file = || {
        let stat = rustix::fs::statat(directory.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok((self::stat(&stat), stat.st_mode & 0o7777))
    };
    match kind {
        FileType::RegularFile => {
            let (stat, mode) = file().map_err(|e| unreadable(path.clone(), e))?;
            let content = Content::File(SourceFile { path, stat, sha256: None, lasting: false });
            Ok((Entry::file(content, mode & 0o111 != 0), mode))
        }
        FileType::Symlink => directory
            .fd()
            .and_then(|fd| rustix::fs::readlinkat(fd, name, Vec::new()))
            .map(|target| (Entry::symlink(target.into_bytes()), 0o777))
            .map_err(|e| unreadable(path, e)),
        other => Err(special(path, other)),
    }
}

/// Converts to the same [`Stat`] as `std`'s metadata. The casts are needed: field types differ between systems.
#[allow(clippy::unnecessary_cast)]
fn stat(stat: &rustix::fs::Stat) -> Stat {
    let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
    Stat {
        size: stat.st_size as u64,
        mtime_ns: ns(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        ctime_ns: ns(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        ino: stat.st_ino as u64,
        dev: stat.st_dev as u64,
    }
}

fn unreadable(path: PathBuf, error: rustix::io::Errno) -> Error {
    Error::Read { path, source: error.into() }
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(parent.len() + 1 + name.len());
    path.extend_from_slice(parent);
    if !parent.is_empty() && !parent.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// The error for a file that an image cannot hold.
pub(super) fn special(path: PathBuf, kind: FileType) -> Error {
    let kind = match kind {
        FileType::Socket => "socket",
        FileType::Fifo => "named pipe",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        _ => "file of an unknown kind",
    };
    Error::SpecialFile { path, kind }
}

/// Whether one of the sorted `entries` lies below `directory`.
fn has_below(entries: &[(Vec<u8>, Entry)], directory: &[u8]) -> bool {
    let below = join(directory, b"");
    let first = entries.partition_point(|(path, _)| *path < below);
    entries.get(first).is_some_and(|(path, _)| path.starts_with(&below))
}
