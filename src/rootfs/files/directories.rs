//! Access to the files below a root by their paths, without following a symbolic link.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fchmod, openat, statat, unlinkat};
use rustix::io::Errno;

/// The limits of paths: the length that Linux allows, and a depth that bounds recursion and open descriptors. No reader
/// of layers could make a longer path.
pub(super) const MAX_PATH: usize = 4096;
pub(super) const MAX_DEPTH: usize = 400;

/// The directories below a root. The descriptors of the directory used last and of its parents stay open, because
/// consecutive paths nearly always share them.
pub(super) struct Directories {
    root: OwnedFd,
    /// The components of the last path with their descriptors.
    open: Vec<(Vec<u8>, OwnedFd)>,
}

impl Directories {
    pub fn open(root: &Path) -> io::Result<Directories> {
        let root = openat(CWD, root, DIRECTORY, Mode::empty())?;
        Ok(Directories { root, open: Vec::new() })
    }

    /// A descriptor of the directory at `path`, for calls relative to it; the root for an empty path.
    pub fn at(&mut self, path: &[u8]) -> io::Result<BorrowedFd<'_>> {
        let mut parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
        let mut shared = 0;
        let mut next = parts.next();
        while let Some(part) = next
            && self.open.get(shared).is_some_and(|(name, _)| name == part)
        {
            shared += 1;
            next = parts.next();
        }
        self.open.truncate(shared);
        for part in next.into_iter().chain(parts) {
            let parent = self.open.last().map_or(self.root.as_fd(), |(_, dir)| dir.as_fd());
            let dir = openat(parent, OsStr::from_bytes(part), DIRECTORY, Mode::empty())?;
            self.open.push((part.to_vec(), dir));
        }
        Ok(self.open.last().map_or(self.root.as_fd(), |(_, dir)| dir.as_fd()))
    }

    /// The directory that has `path`, and the last component of `path`.
    pub fn parent<'p>(&mut self, path: &'p [u8]) -> io::Result<(BorrowedFd<'_>, &'p OsStr)> {
        let (dir, name) = split(path);
        Ok((self.at(dir)?, OsStr::from_bytes(name)))
    }

    /// Forgets descriptors: the directories may be replaced by others.
    pub fn forget(&mut self) {
        self.open.clear();
    }

    /// The metadata of the file at `path`; `None` if it does not exist, or if its parent is not a directory.
    pub fn stat(&mut self, path: &[u8]) -> io::Result<Option<Stat>> {
        let found = match path {
            b"" => rustix::fs::fstat(&self.root).map_err(io::Error::from),
            path => self.parent(path).and_then(|(dir, name)| Ok(statat(dir, name, NOFOLLOW)?)),
        };
        absent(found)
    }

    /// Opens the regular file or the directory at `path` for reading, even if its mode does not permit that to its
    /// owner.
    pub fn read(&mut self, path: &[u8]) -> io::Result<OwnedFd> {
        self.open_file(path, OFlags::RDONLY)
    }

    /// As [`read`](Directories::read), with this access.
    pub fn open_file(&mut self, path: &[u8], access: OFlags) -> io::Result<OwnedFd> {
        let (dir, name) = match path {
            b"" => (self.root.as_fd(), OsStr::new(".")),
            path => self.parent(path)?,
        };
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(dir, name, flags, Mode::empty()) {
            Err(Errno::ACCESS) => {
                let mode = Mode::from_raw_mode(statat(dir, name, NOFOLLOW)?.st_mode);
                rustix::fs::chmodat(dir, name, mode | Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
                let file = openat(dir, name, flags, Mode::empty());
                match &file {
                    Ok(file) => fchmod(file, mode)?,
                    Err(_) => rustix::fs::chmodat(dir, name, mode, AtFlags::empty())?,
                }
                Ok(file?)
            }
            file => Ok(file?),
        }
    }

    /// The names in the directory at `path`, in the order of their bytes.
    pub fn names(&mut self, path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for entry in Dir::new(self.read(path)?)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(name.to_vec());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Removes the file at `path`, or the directory with all that is below it; nothing if it does not exist.
    pub fn remove(&mut self, path: &[u8]) -> io::Result<()> {
        let Some(stat) = self.stat(path)? else { return Ok(()) };
        if is_directory(&stat) {
            let dir = self.parent(path).map(|(dir, name)| super::remove::directory(dir, name))?;
            self.forget();
            dir
        } else {
            let (dir, name) = self.parent(path)?;
            Ok(unlinkat(dir, name, AtFlags::empty())?)
        }
    }
}

const DIRECTORY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

pub(super) const NOFOLLOW: AtFlags = AtFlags::SYMLINK_NOFOLLOW;

/// `None` for a path that does not exist or that is below something other than a directory.
pub(super) fn absent<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::NOTDIR)) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// The directory of a path, and its last component.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.iter().rposition(|&byte| byte == b'/').map_or((&[], path), |at| (&path[..at], &path[at + 1..]))
}

/// The directories above a path from the nearest to the root, which is the empty path.
pub(super) fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors((!path.is_empty()).then(|| split(path).0), |dir| {
        (!dir.is_empty()).then(|| split(dir).0)
    })
}

/// The path of a name in a directory.
pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match dir {
        b"" => name.to_vec(),
        dir => [dir, b"/", name].concat(),
    }
}

/// Whether a path is below a directory.
pub(super) fn is_below(path: &[u8], dir: &[u8]) -> bool {
    dir.is_empty() && !path.is_empty()
        || path.strip_prefix(dir).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// Whether a path exceeds the limits.
pub(super) fn is_too_long(path: &[u8]) -> bool {
    path.len() >= MAX_PATH || path.iter().filter(|&&byte| byte == b'/').count() >= MAX_DEPTH
}

/// The error with the path of the file in front.
pub(super) fn named(path: &[u8], error: io::Error) -> io::Error {
    let path = crate::tree::ImagePath::new(path);
    io::Error::new(error.kind(), format!("/{path}: {error}"))
}

/// The file that `name` is in the directory `root`, as a path of this process.
pub(super) fn path_in(root: &Path, path: &[u8]) -> std::path::PathBuf {
    root.join(OsStr::from_bytes(path))
}
