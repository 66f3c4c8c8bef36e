//! The candidates of a command that ran in an overlay: what its upper directory holds.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, Stat, makedev, mknodat};

use super::attributes::Attributes;
use super::candidates::Candidates;
use super::directories::{Directories, is_directory, is_too_long, join, named};
use super::index::Index;

/// Whether overlayfs shows nothing at the path of this file.
///
/// <https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories>
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Makes a whiteout. Any user may make this device, which is none.
pub(super) fn make_whiteout(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    Ok(mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), makedev(0, 0))?)
}

/// Reads an upper directory. `index` is that of the layers below.
pub(super) fn changes(upper: &Path, index: &Index) -> io::Result<Candidates> {
    let mut reading = Reading {
        directories: Directories::open(upper)?,
        index,
        opaque: BTreeSet::new(),
        found: Candidates::default(),
    };
    reading.directory(&[])?;
    let Reading { mut found, opaque, .. } = reading;
    let present = std::mem::take(&mut found.present);
    for dir in &opaque {
        found.lose_below(dir, index, |path| present.contains(path));
    }
    Ok(Candidates { present, opaque: Some(opaque), ..found })
}

struct Reading<'i> {
    directories: Directories,
    index: &'i Index,
    opaque: BTreeSet<Vec<u8>>,
    found: Candidates,
}

impl Reading<'_> {
    fn directory(&mut self, dir: &[u8]) -> io::Result<()> {
        for name in self.directories.names(dir).map_err(|error| named(dir, error))? {
            let path = join(dir, &name);
            self.entry(&path).map_err(|error| named(&path, error))?;
            if self.found.present.contains(&path) && self.is_directory(&path)? {
                self.directory(&path)?;
            }
        }
        Ok(())
    }

    fn is_directory(&mut self, path: &[u8]) -> io::Result<bool> {
        Ok(self.directories.stat(path)?.as_ref().is_some_and(is_directory))
    }

    fn entry(&mut self, path: &[u8]) -> io::Result<()> {
        if is_too_long(path) {
            return Err(io::Error::other("the path is longer or deeper than an image can hold"));
        }
        let Some(stat) = self.directories.stat(path)? else { return Ok(()) };
        if is_whiteout(&stat) {
            self.found.lose(path, self.index);
            return Ok(());
        }
        self.found.present.insert(path.to_vec());
        if !is_directory(&stat) {
            self.found.lose_below(path, self.index, |_| false);
        } else if Attributes::read(self.directories.read(path)?, true)?.opaque {
            self.opaque.insert(path.to_vec());
        }
        Ok(())
    }
}
