//! Makes a root after a command what the unpacked layer of the command would make of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, Stat, chmodat, renameat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::attributes::{self, Owners};
use super::compare::Changes;
use super::copy::duplicate;
use super::directories::{Directories, above, is_directory, named};
use super::index::Index;
use super::overlay;
use super::read::Found;
use crate::tree::{EntryKind, ImagePath};

/// Files and directories that were made readable, with their former modes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Opened(Vec<(ImagePath, u32)>);

impl Opened {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(super) struct Normalising<'a> {
    pub directories: &'a mut Directories,
    pub before: &'a Index,
    /// With the layer of the command.
    pub after: &'a Index,
    pub found: &'a BTreeMap<Vec<u8>, Found>,
    pub changes: &'a Changes,
    /// For the upper directory of an overlay: its opaque directories.
    pub opaque: Option<&'a BTreeSet<Vec<u8>>>,
    pub owners: Owners,
    /// The user and group that ran the command.
    pub creator: (u64, u64),
    /// The directory of the lowest layers.
    pub base: Option<&'a Path>,
}

impl Normalising<'_> {
    /// `dropped` are paths that the layer does not have, and `links` those of each file with several names.
    pub fn run(
        mut self,
        dropped: &BTreeSet<Vec<u8>>,
        links: &[Vec<&[u8]>],
        opens: bool,
    ) -> io::Result<Opened> {
        // Times come last, because every other step changes those of directories.
        let mut touched: BTreeSet<Vec<u8>> = BTreeSet::new();
        for path in dropped {
            self.drop(path).map_err(|error| named(path, error))?;
            touched.extend(above(path).map(<[u8]>::to_vec));
        }
        for paths in links {
            for other in &paths[1..] {
                self.separate(other).map_err(|error| named(other, error))?;
                touched.extend(above(other).map(<[u8]>::to_vec));
            }
        }
        if self.opaque.is_some() {
            self.prune()?;
        }
        self.record_owners()?;
        touched.extend(self.found.keys().chain(self.changes.keys()).cloned());
        self.set_times(&touched)?;
        self.reset_root()?;
        if opens { self.open_up() } else { Ok(Opened::default()) }
    }

    /// Removes a file that the layer does not have.
    fn drop(&mut self, path: &[u8]) -> io::Result<()> {
        let stays = self.after.get(path).is_some();
        if stays && !self.shows_lower(path) {
            return self.put_back(path);
        }
        self.directories.remove(path)?;
        if !stays && self.before.get(path).is_some() && self.shows_lower(path) {
            let (dir, name) = self.directories.parent(path)?;
            overlay::make_whiteout(dir, name)?;
        }
        Ok(())
    }

    /// Restores a file of the noise list that the layers below have. It is left as it is if the lowest of them have
    /// another.
    fn put_back(&mut self, path: &[u8]) -> io::Result<()> {
        let (Some(base), Some(node)) = (self.base, self.after.get(path)) else { return Ok(()) };
        let mut base = Directories::open(base)?;
        let original = Found::read(&mut base, path, self.owners, false, None, (0, 0))?;
        let is_same =
            |found: &Found| matches!(found.entry.kind, EntryKind::File(_)) && found.is_same(Some(node));
        if original.is_some_and(|found| is_same(&found)) {
            self.directories.remove(path)?;
            duplicate(base.parent(path)?, self.directories.parent(path)?)?;
        }
        Ok(())
    }

    /// Whether the layers below show through at a path of an upper directory once it has nothing there.
    fn shows_lower(&self, path: &[u8]) -> bool {
        self.opaque.is_some_and(|opaque| !above(path).any(|dir| opaque.contains(dir)))
    }

    /// Makes a name of a file a file of its own.
    fn separate(&mut self, other: &[u8]) -> io::Result<()> {
        let (dir, name) = self.directories.parent(other)?;
        let mut number = 0;
        loop {
            let temporary = OsString::from(format!(".lbuild-{number}"));
            match duplicate((dir, name), (dir, &temporary)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                done => {
                    done?;
                    return Ok(renameat(dir, &temporary, dir, name)?);
                }
            }
        }
    }

    /// Removes from an upper directory what equals the layers below but for its times.
    fn prune(&mut self) -> io::Result<()> {
        // A directory comes after all that is below it.
        for (path, found) in self.found.iter().rev() {
            if self.changes.contains_key(path) || !self.shows_lower(path) {
                continue;
            }
            if !matches!(found.entry.kind, EntryKind::Directory) {
                self.directories.remove(path).map_err(|error| named(path, error))?;
            } else if !self.opaque.is_some_and(|opaque| opaque.contains(path)) {
                self.directories.forget();
                let (dir, name) = self.directories.parent(path)?;
                match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
                    Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                    Err(error) => return Err(named(path, error.into())),
                }
            }
        }
        Ok(())
    }

    /// Records the owners of files that a user other than root made, as unpacking the layer would.
    fn record_owners(&mut self) -> io::Result<()> {
        if self.owners == Owners::Kernel || self.creator == (0, 0) {
            return Ok(());
        }
        for (path, entry) in self.changes.iter().filter(|(path, _)| self.found.contains_key(*path)) {
            if matches!(entry.kind, EntryKind::Symlink(_) | EntryKind::Device(_)) {
                continue;
            }
            let stat = self.directories.stat(path)?;
            let is_file = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            if stat.is_some_and(|stat| is_file(&stat) || is_directory(&stat)) {
                let file = self.directories.read(path)?;
                attributes::record(file, entry).map_err(|error| named(path, error))?;
            }
        }
        Ok(())
    }

    fn set_times(&mut self, touched: &BTreeSet<Vec<u8>>) -> io::Result<()> {
        for path in touched {
            let Some(node) = self.after.get(path) else { continue };
            match attributes::set_mtime(self.directories, path, node.mtime) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done.map_err(|error| named(path, error))?,
            }
        }
        Ok(())
    }

    /// A layer has no entry for the root, which therefore stays as it was.
    fn reset_root(&mut self) -> io::Result<()> {
        let Some(root) = self.before.get(&[]) else { return Ok(()) };
        attributes::set(self.directories.read(&[])?, &root.entry, self.owners, false)?;
        attributes::set_mtime(self.directories, &[], root.mtime)
    }

    /// Makes the files of the layer, and the directories above them, readable to the process outside of the user
    /// namespace. Its own files belong to root here; for all others it is anybody.
    fn open_up(self) -> io::Result<Opened> {
        let files = self.changes.iter().filter(|(_, entry)| matches!(entry.kind, EntryKind::File(_)));
        let mut wanted: BTreeSet<&[u8]> = BTreeSet::new();
        for (path, _) in files {
            wanted.insert(path);
            wanted.extend(above(path));
        }
        let mut opened = Opened::default();
        for path in wanted {
            let Some(stat) = self.directories.stat(path)? else { continue };
            let mode = stat.st_mode & 0o7777;
            let open = mode | needed(&stat);
            if open != mode {
                chmod(self.directories, path, open).map_err(|error| named(path, error))?;
                opened.0.push((ImagePath::new(path), mode));
            }
        }
        Ok(opened)
    }
}

/// The permissions that the process outside needs on a file or directory.
fn needed(stat: &Stat) -> u32 {
    let bit = if is_directory(stat) { 0o1 } else { 0o4 };
    if stat.st_uid == 0 { bit << 6 } else { bit << 3 | bit }
}

fn chmod(directories: &mut Directories, path: &[u8], mode: u32) -> io::Result<()> {
    let mode = Mode::from_raw_mode(mode);
    if path.is_empty() {
        return Ok(rustix::fs::fchmod(directories.read(path)?, mode)?);
    }
    let (dir, name) = directories.parent(path)?;
    Ok(chmodat(dir, name, mode, AtFlags::empty())?)
}

/// Gives the files that were made readable their modes again. It runs in the user namespace, after the layer has been
/// written.
pub(crate) fn restore(root: &Path, opened: &Opened) -> io::Result<()> {
    let mut directories = Directories::open(root)?;
    for (path, mode) in opened.0.iter().rev() {
        let path = path.as_bytes();
        let stat = directories.stat(path).map_err(|error| named(path, error))?;
        // A link in its place is none of those files.
        if stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::Symlink) {
            chmod(&mut directories, path, *mode).map_err(|error| named(path, error))?;
        }
    }
    Ok(())
}
