//! Copies a tree of files, for roots without overlayfs.
//!
//! A copy for commands shares no inode with the original: a program that appends to a hard link would change the cache.
//! Where nothing changes files, only the directories are new.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat,
    chownat, copy_file_range, fchmod, fchown, fsetxattr, fstat, futimens, ioctl_ficlone, linkat, mkdirat,
    mknodat, openat, readlinkat, statat, symlinkat, utimensat,
};
use rustix::io::Errno;

use super::attributes;
use super::directories::{MAX_DEPTH, NOFOLLOW};
use super::hash::CHUNK;

/// Copies the directory `from` with all that is below it to `to`, which must not exist: contents, modes, owners,
/// extended attributes and modification times. Sockets are left out. For files of mapped ids, it runs in their user
/// namespace.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let source = openat(CWD, from, flags, Mode::empty())?;
    rustix::fs::mkdir(to, Mode::RWXU)?;
    let target = openat(CWD, to, flags, Mode::empty())?;
    Copying { cloner: Cloner::default(), links: None }.directory(source, target, 0)
}

/// As [`copy`], but what is no directory is linked. For trees whose files nobody changes: layers that are unpacked over one
/// replace files and never write to them. Files that `user` owns or may write to are copied: it could change their modes
/// and times at least.
pub(crate) fn link(from: &Path, to: &Path, user: Option<(u32, u32)>) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let source = openat(CWD, from, flags, Mode::empty())?;
    rustix::fs::mkdir(to, Mode::RWXU)?;
    let target = openat(CWD, to, flags, Mode::empty())?;
    Copying { cloner: Cloner::default(), links: Some(Links { user }) }.directory(source, target, 0)
}

struct Copying {
    cloner: Cloner,
    /// Files are linked.
    links: Option<Links>,
}

/// Which files are linked.
struct Links {
    /// A user and a group whose files are copied.
    user: Option<(u32, u32)>,
}

impl Links {
    fn allow(&self, stat: &Stat) -> bool {
        self.user.is_none_or(|(uid, gid)| {
            let is_writable = stat.st_mode & 0o002 != 0 || (stat.st_gid == gid && stat.st_mode & 0o020 != 0);
            stat.st_uid != uid && (!is_writable || FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
        })
    }
}

/// A name in a directory.
pub(super) type Name<'n> = (BorrowedFd<'n>, &'n OsStr);

impl Copying {
    /// Copies the content of a directory, then its own metadata, which may forbid changes in it.
    fn directory(&mut self, from: OwnedFd, to: OwnedFd, depth: usize) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(io::Error::other("directories are nested too deeply"));
        }
        let stat = fstat(&from)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&from)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(name.to_vec());
            }
        }
        for name in names {
            let name = OsStr::from_bytes(&name);
            let done = self.entry((from.as_fd(), name), (to.as_fd(), name), depth);
            done.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", name.display())))?;
        }
        describe(from.as_fd(), to.as_fd(), &stat)
    }

    fn entry(&mut self, from: Name<'_>, to: Name<'_>, depth: usize) -> io::Result<()> {
        let stat = statat(from.0, from.1, NOFOLLOW)?;
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::Directory && self.links.as_ref().is_some_and(|links| links.allow(&stat)) {
            match linkat(from.0, from.1, to.0, to.1, AtFlags::empty()) {
                Ok(()) => return Ok(()),
                // The file system allows no more links, or none; or the file is of another user.
                Err(Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP | Errno::XDEV) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        match kind {
            FileType::Directory => {
                let source =
                    openat(from.0, from.1, OFlags::RDONLY | OFlags::DIRECTORY | flags, Mode::empty())?;
                mkdirat(to.0, to.1, Mode::RWXU)?;
                let target = openat(to.0, to.1, OFlags::RDONLY | OFlags::DIRECTORY | flags, Mode::empty())?;
                return self.directory(source, target, depth + 1);
            }
            FileType::RegularFile => {
                let source = File::from(openat(from.0, from.1, OFlags::RDONLY | flags, Mode::empty())?);
                let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | flags;
                let target = File::from(openat(to.0, to.1, new, Mode::RUSR | Mode::WUSR)?);
                self.cloner.content(&source, &target, stat.st_size as u64)?;
                return describe(source.as_fd(), target.as_fd(), &stat);
            }
            FileType::Socket => return Ok(()),
            FileType::Symlink => symlinkat(readlinkat(from.0, from.1, Vec::new())?, to.0, to.1)?,
            kind => mknodat(to.0, to.1, kind, Mode::RUSR | Mode::WUSR, stat.st_rdev)?,
        }
        let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        chownat(to.0, to.1, Some(uid), Some(gid), NOFOLLOW)?;
        if kind != FileType::Symlink {
            chmodat(to.0, to.1, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())?;
        }
        Ok(utimensat(to.0, to.1, &times(&stat), NOFOLLOW)?)
    }
}

/// Gives a copy the metadata of the original.
fn describe(from: BorrowedFd<'_>, to: BorrowedFd<'_>, stat: &Stat) -> io::Result<()> {
    fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    fchmod(to, Mode::from_raw_mode(stat.st_mode))?;
    for name in attributes::names(from)? {
        let is_copied = name.starts_with(b"user.") || name == b"security.capability";
        if is_copied && let Some(value) = attributes::value(from, &name)? {
            fsetxattr(to, name.as_slice(), &value, XattrFlags::empty())?;
        }
    }
    Ok(futimens(to, &times(stat))?)
}

fn times(stat: &Stat) -> Timestamps {
    let last_modification = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
    Timestamps { last_modification, ..attributes::times(0) }
}

/// Copies contents by the fastest of the ways that the file system has.
#[derive(Default)]
pub(super) struct Cloner {
    /// Whether clones, and copies within the kernel, are known to fail.
    no_clone: bool,
    no_range: bool,
}

impl Cloner {
    /// Copies the content of a file to an empty one.
    pub fn content(&mut self, mut from: &File, mut to: &File, size: u64) -> io::Result<()> {
        if size == 0 {
            return Ok(());
        }
        if !self.no_clone {
            match ioctl_ficlone(to, from) {
                Ok(()) => return Ok(()),
                Err(_) => self.no_clone = true,
            }
        }
        while !self.no_range {
            match copy_file_range(from, None, to, None, 1 << 30) {
                Ok(0) => break,
                Ok(_) => {}
                Err(Errno::INTR) => {}
                Err(Errno::NOSPC) => return Err(Errno::NOSPC.into()),
                Err(_) => self.no_range = true,
            }
        }
        // Nothing is left, unless the file is of a kind that has no copies within the kernel.
        let mut buffer = vec![0; if self.no_range { CHUNK } else { 512 }];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => to.write_all(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Copies a file that is not a directory to another name, which must not exist.
pub(super) fn duplicate(from: Name<'_>, to: Name<'_>) -> io::Result<()> {
    Copying { cloner: Cloner::default(), links: None }.entry(from, to, 0)
}
