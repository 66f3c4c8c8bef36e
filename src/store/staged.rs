//! Files that are visible only when complete.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// A file that is being written and is not visible yet.
///
/// If the file system supports it, the file has no name until it is complete, so that even a killed process leaves
/// nothing behind; otherwise it has a temporary name in the same directory.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    /// The temporary name, if the file has one; dropping it removes the file.
    name: Option<tempfile::TempPath>,
    dir: PathBuf,
}

impl Staged {
    /// A new file in `dir`; the directory is created if it does not exist.
    pub(crate) fn new_in(dir: &Path) -> Result<Staged> {
        let fail = |source| Error::Write { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(fail)?;
        let mode = Mode::from_raw_mode(0o644);
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, dir, flags, mode) {
            Ok(file) => Ok(Staged { file: file.into(), name: None, dir: dir.to_owned() }),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
                let (file, name) = named_in(dir).map_err(fail)?.into_parts();
                Ok(Staged { file, name: Some(name), dir: dir.to_owned() })
            }
            Err(error) => Err(fail(error.into())),
        }
    }

    /// Another handle for writing, for example for an async task.
    pub(crate) fn handle(&self) -> Result<File> {
        self.file.try_clone().map_err(|source| self.failure(source))
    }

    /// The position of the next byte.
    pub(crate) fn position(&mut self) -> Result<u64> {
        self.file.stream_position().map_err(|source| self.failure(source))
    }

    /// Discards the bytes after `position`.
    pub(crate) fn rewind(&mut self, position: u64) -> Result<()> {
        let cut = self.file.set_len(position).and_then(|()| self.file.seek(SeekFrom::Start(position)));
        cut.map(drop).map_err(|source| self.failure(source))
    }

    /// Replaces the first bytes.
    pub(crate) fn overwrite_start(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, 0)
    }

    /// The error for a failed write to the handle.
    pub(crate) fn failure(&self, source: io::Error) -> Error {
        Error::Write { path: self.dir.clone(), source }
    }

    /// Gives the complete file its name. An existing file with this name stays, because names are digests.
    pub(crate) fn commit(self, path: &Path) -> Result<()> {
        let fail = |source| Error::Write { path: path.to_owned(), source };
        if let Some(name) = self.name {
            return name.persist(path).map_err(|error| fail(error.error));
        }
        let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let link = || match rustix::fs::linkat(CWD, &file, CWD, path, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error),
        };
        let linked = link().or_else(|error| match error {
            // The directory was removed meanwhile.
            rustix::io::Errno::NOENT if std::fs::create_dir_all(&self.dir).is_ok() => link(),
            error => Err(error),
        });
        linked.map_err(|error| fail(error.into()))
    }

    /// Gives the complete file the name `path`, and replaces an existing file.
    pub(crate) fn replace(self, path: &Path) -> Result<()> {
        let fail = |source| Error::Write { path: path.to_owned(), source };
        if let Some(name) = self.name {
            return name.persist(path).map_err(|error| fail(error.error));
        }
        let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        if rustix::fs::linkat(CWD, file, CWD, path, AtFlags::SYMLINK_FOLLOW).is_ok() {
            return Ok(());
        }
        // A link cannot replace a file, but a rename can; between the two the file has a temporary second name.
        let spare = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).make_in(&self.dir, |spare| {
            let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            Ok(rustix::fs::linkat(CWD, file, CWD, spare, AtFlags::SYMLINK_FOLLOW)?)
        });
        spare.map_err(fail)?.into_temp_path().persist(path).map_err(|error| fail(error.error))
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Replaces the file at `path` atomically: readers see the old or the new content.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    written(path, |staged| staged.write_all(bytes))?.replace(path)
}

/// Replaces a file that may be missing for a moment, as in a cache: readers see the old content, the new content, or no
/// file.
///
/// Unlike [`replace`], this never leaves a second name behind if the process is killed.
pub(crate) fn renew(path: &Path, bytes: &[u8]) -> Result<()> {
    renew_with(path, |staged| staged.write_all(bytes))
}

/// Like [`renew`], with content that `write` writes.
pub(crate) fn renew_with(path: &Path, write: impl FnOnce(&mut Staged) -> io::Result<()>) -> Result<()> {
    let staged = written(path, write)?;
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Write { path: path.to_owned(), source })
        }
        _ => staged.commit(path),
    }
}

fn written(path: &Path, write: impl FnOnce(&mut Staged) -> io::Result<()>) -> Result<Staged> {
    let mut staged = Staged::new_in(path.parent().unwrap_or(Path::new(".")))?;
    write(&mut staged).map_err(|source| Error::Write { path: path.to_owned(), source })?;
    Ok(staged)
}

/// The prefix of temporary names, which distinguishes them from other files.
pub(crate) const TEMPORARY_PREFIX: &str = ".lbuild-";

fn named_in(dir: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_visible_before_the_commit() {
        let dir = tempfile::tempdir().unwrap();
        let mut staged = Staged::new_in(dir.path()).unwrap();
        staged.write_all(b"half").unwrap();
        drop(staged);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let mut staged = Staged::new_in(dir.path()).unwrap();
        staged.write_all(b"whole").unwrap();
        staged.commit(&dir.path().join("name")).unwrap();
        assert_eq!(std::fs::read(dir.path().join("name")).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_was_removed_meanwhile_is_created_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/name");
        let mut staged = Staged::new_in(path.parent().unwrap()).unwrap();
        staged.write_all(b"whole").unwrap();
        std::fs::remove_dir_all(dir.path().join("a")).unwrap();
        if staged.name.is_none() {
            staged.commit(&path).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        }
    }

    #[test]
    fn the_first_of_two_equal_commits_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let mut staged = Staged::new_in(dir.path()).unwrap();
            staged.write_all(b"same").unwrap();
            staged.commit(&dir.path().join("name")).unwrap();
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_replaced_file_has_the_last_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/name");
        for write in [replace, renew] {
            for content in ["old", "a longer new one", "new"] {
                write(&path, content.as_bytes()).unwrap();
                assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
                assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
            }
        }
    }
}
