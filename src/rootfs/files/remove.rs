//! Removes directories, whatever their modes and depths.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// The depth from which on directories are moved up before they are removed: a program can make deeper ones than a
/// process can have open.
const DEEP: usize = 64;

/// Removes a directory with all that is below it; nothing if it does not exist. For files of mapped ids, it runs in
/// their user namespace.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    match directory(CWD, dir.as_os_str()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Removes the directory `name`.
pub(super) fn directory(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let top = open(parent, name)?;
    let mut removal = Removal { top: top.as_fd(), moved: 0 };
    removal.empty(top.as_fd(), 0)?;
    // Directories that were moved up on the way.
    while removal.moved > 0 {
        removal.moved = 0;
        removal.empty(top.as_fd(), 0)?;
    }
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

struct Removal<'t> {
    top: BorrowedFd<'t>,
    /// The number of directories moved to the top.
    moved: u64,
}

impl Removal<'_> {
    fn empty(&mut self, dir: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
        // The names are read first: file systems may skip entries when others are removed while reading.
        let mut entries = Vec::new();
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                entries.push((name.to_vec(), entry.file_type()));
            }
        }
        for (name, kind) in entries {
            match self.entry(dir, OsStr::from_bytes(&name), kind, depth) {
                // Another process removes the same files: what a killed run has left.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
        Ok(())
    }

    fn entry(&mut self, dir: BorrowedFd<'_>, name: &OsStr, kind: FileType, depth: usize) -> io::Result<()> {
        if !matches!(kind, FileType::Directory | FileType::Unknown) {
            return self.file(dir, name);
        }
        match open(dir, name) {
            Ok(child) if depth >= DEEP => {
                drop(child);
                self.move_up(dir, name)
            }
            Ok(child) => {
                self.empty(child.as_fd(), depth + 1)?;
                Ok(unlinkat(dir, name, AtFlags::REMOVEDIR)?)
            }
            Err(error) if kind == FileType::Unknown && is_no_directory(&error) => self.file(dir, name),
            Err(error) => Err(error),
        }
    }

    fn file(&self, dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(dir, name, AtFlags::empty())?)
    }

    /// Moves a directory to the top, under a name that is not used there.
    fn move_up(&mut self, dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        loop {
            self.moved += 1;
            match renameat(dir, name, self.top, format!(".removed-{}", self.moved)) {
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                done => return Ok(done?),
            }
        }
    }
}

fn is_no_directory(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOTDIR | Errno::LOOP))
}

/// Opens a directory with the right to change it.
fn open(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || openat(parent, name, flags, Mode::empty());
    let dir = match open() {
        Err(Errno::ACCESS) => {
            chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            open()?
        }
        dir => dir?,
    };
    let stat = rustix::fs::fstat(&dir)?;
    if stat.st_mode & 0o700 != 0o700 && !rustix::process::geteuid().is_root() {
        rustix::fs::fchmod(&dir, Mode::RWXU)?;
    }
    Ok(dir)
}
