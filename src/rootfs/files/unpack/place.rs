//! The directory that a layer is applied to.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Timestamps, chmodat, futimens, makedev, mkdirat, mknodat, openat,
    symlinkat, utimensat,
};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::image::Digest;
use crate::rootfs::files::attributes::{self, Owners};
use crate::rootfs::files::copy::Cloner;
use crate::rootfs::files::directories::{Directories, NOFOLLOW, is_below, named, split};
use crate::rootfs::files::index::{FileFact, Index, Node};
use crate::rootfs::files::overlay;
use crate::tree::{Device, Entry, EntryKind};

/// The form of a directory that a layer is applied to.
#[derive(Clone, Copy)]
pub(crate) enum Form<'f> {
    /// All files of a root: the layer's deletions remove files.
    Flat,
    /// The files of one layer, as a lower directory of an overlay that is mounted with `userxattr`. Deletions become
    /// whiteouts, where the layers below have something to hide.
    Lower {
        /// The directories below it, the topmost first: hard links to their files become copies.
        lowers: &'f [PathBuf],
    },
}

/// The directory that a layer is applied to.
pub(super) struct Place<'f> {
    root: Directories,
    form: PlaceForm<'f>,
    owners: Owners,
    cloner: Cloner,
    /// Directories whose metadata are set at the end, if they still exist then.
    unfinished: BTreeSet<Vec<u8>>,
}

enum PlaceForm<'f> {
    Flat,
    Lower(Lower<'f>),
}

/// What a lower directory of an overlay has.
struct Lower<'f> {
    lowers: &'f [PathBuf],
    /// The index of the layers below.
    below: Index,
    /// The directories that were made.
    made: BTreeSet<Vec<u8>>,
    whiteouts: BTreeSet<Vec<u8>>,
}

impl<'f> Place<'f> {
    /// `index` is that of the layers below.
    pub fn open(root: &Path, form: Form<'f>, owners: Owners, index: &Index) -> io::Result<Place<'f>> {
        let form = match form {
            Form::Flat => PlaceForm::Flat,
            Form::Lower { lowers } => PlaceForm::Lower(Lower {
                lowers,
                below: index.clone(),
                made: BTreeSet::from([Vec::new()]),
                whiteouts: BTreeSet::new(),
            }),
        };
        let unfinished = BTreeSet::from([Vec::new()]);
        Ok(Place { root: Directories::open(root)?, form, owners, cloner: Cloner::default(), unfinished })
    }

    /// Makes a directory and those above it, if they are missing.
    pub fn ensure(&mut self, path: &[u8], index: &mut Index) -> io::Result<()> {
        let exists = match &self.form {
            PlaceForm::Flat => index.is_directory(path),
            PlaceForm::Lower(lower) => lower.made.contains(path),
        };
        if !self.unfinished.contains(path) {
            self.unfinished.insert(path.to_vec());
        }
        if exists {
            return Ok(());
        }
        self.ensure(split(path).0, index)?;
        let mut is_opaque = false;
        if let PlaceForm::Lower(lower) = &mut self.form {
            if lower.whiteouts.remove(path) {
                self.root.remove(path)?;
            }
            // The layer has deleted or replaced the directory before.
            is_opaque = lower.below.is_directory(path) && !index.is_directory(path);
            lower.made.insert(path.to_vec());
        }
        let (dir, name) = self.root.parent(path)?;
        mkdirat(dir, name, Mode::RWXU)?;
        if is_opaque {
            attributes::mark_opaque(self.root.read(path)?)?;
        }
        if !index.is_directory(path) {
            index.put(path, Node::implied());
        }
        Ok(())
    }

    /// Removes what is in the place of a new file.
    pub fn vacate(&mut self, path: &[u8], index: &Index) -> io::Result<()> {
        match &mut self.form {
            PlaceForm::Flat => {
                if index.get(path).is_none() {
                    return Ok(());
                }
            }
            PlaceForm::Lower(lower) => lower.forget(path),
        }
        self.root.remove(path)
    }

    /// Makes a regular file; `content` passes on its pieces.
    pub fn file(
        &mut self,
        path: &[u8],
        mtime: u64,
        entry: &Entry<u64>,
        content: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()>,
    ) -> io::Result<FileFact> {
        let mut file = self.create(path)?;
        let (mut hash, mut size) = (Sha256::new(), 0);
        content(&mut |piece| {
            hash.update(piece);
            size += piece.len() as u64;
            file.write_all(piece)
        })?;
        attributes::set(&file, entry, self.owners, true)?;
        futimens(&file, &attributes::times(mtime))?;
        Ok(FileFact { size, sha256: Digest::from_bytes(hash.finalize().into()) })
    }

    fn create(&mut self, path: &[u8]) -> io::Result<File> {
        let (dir, name) = self.root.parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Makes a copy of a regular file of this layer or of the layers below.
    pub fn duplicate(&mut self, target: &[u8], path: &[u8], node: &Node) -> io::Result<()> {
        let mut source = self.root.stat(target)?.map(|_| self.root.read(target)).transpose()?;
        if let (None, PlaceForm::Lower(lower)) = (&source, &self.form) {
            for below in lower.lowers {
                let mut below = Directories::open(below)?;
                if below.stat(target)?.is_some() {
                    source = Some(below.read(target)?);
                    break;
                }
            }
        }
        let missing =
            || io::Error::new(io::ErrorKind::NotFound, "the file that it is a hard link to is missing");
        let source = File::from(source.ok_or_else(missing)?);
        let file = self.create(path)?;
        let size = source.metadata()?.len();
        self.cloner.content(&source, &file, size)?;
        attributes::set(&file, &node.entry, self.owners, true)?;
        Ok(futimens(&file, &attributes::times(node.mtime))?)
    }

    /// Makes a symbolic link or a special file. An empty file stands for a device that this process may not make.
    pub fn special(&mut self, path: &[u8], node: &Node) -> io::Result<()> {
        let Node { entry, mtime, .. } = node;
        let times = attributes::times(*mtime);
        let (dir, name) = self.root.parent(path)?;
        match &entry.kind {
            EntryKind::Symlink(target) => symlinkat(OsStr::from_bytes(target), dir, name)?,
            EntryKind::Device(device) if !make_device(dir, name, *device)? => {
                let file = self.create(path)?;
                attributes::set(&file, entry, self.owners, true)?;
                attributes::mark_device(&file, *device)?;
                return Ok(futimens(&file, &times)?);
            }
            _ => {}
        }
        attributes::give_special(&mut self.root, path, entry, self.owners)?;
        let (dir, name) = self.root.parent(path)?;
        if matches!(entry.kind, EntryKind::Device(_)) {
            chmodat(dir, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())?;
        }
        Ok(utimensat(dir, name, &times, NOFOLLOW)?)
    }

    /// Deletes what the layers below have at a path; this layer has nothing there.
    pub fn delete(&mut self, path: &[u8], index: &mut Index) -> io::Result<()> {
        self.ensure(split(path).0, index)?;
        self.vacate(path, index)?;
        if let PlaceForm::Lower(lower) = &mut self.form {
            lower.whiteouts.insert(path.to_vec());
            let (dir, name) = self.root.parent(path)?;
            overlay::make_whiteout(dir, name)?;
        }
        Ok(())
    }

    /// Hides what the layers below have in a directory.
    pub fn hide(&mut self, path: &[u8]) -> io::Result<()> {
        let PlaceForm::Lower(lower) = &mut self.form else { return Ok(()) };
        if !lower.below.is_directory(path) {
            return Ok(());
        }
        attributes::mark_opaque(self.root.read(path)?)?;
        // The kernel would list them in a directory that has nothing to merge.
        let hidden: Vec<Vec<u8>> =
            lower.whiteouts.iter().filter(|dir| is_below(dir, path)).cloned().collect();
        for path in hidden {
            lower.whiteouts.remove(&path);
            self.root.remove(&path)?;
        }
        Ok(())
    }

    /// Deletes what the layers below have at a path of a hidden directory; this layer has nothing there.
    pub fn drop_hidden(&mut self, path: &[u8]) -> io::Result<()> {
        if let PlaceForm::Lower(lower) = &mut self.form {
            lower.forget(path);
        }
        self.root.remove(path)
    }

    /// Gives the directories their metadata.
    pub fn finish(mut self, index: &Index) -> io::Result<()> {
        // A directory comes after those below it: its mode may forbid access to them.
        for path in self.unfinished.iter().rev() {
            let Some(Node { entry, mtime, .. }) = index.get(path).filter(|node| node.is_directory()) else {
                continue;
            };
            let set = |dir: std::os::fd::OwnedFd, times: &Timestamps| {
                attributes::set(&dir, entry, self.owners, false)?;
                Ok(futimens(&dir, times)?)
            };
            let done = self.root.read(path).and_then(|dir| set(dir, &attributes::times(*mtime)));
            done.map_err(|error| named(path, error))?;
        }
        Ok(())
    }
}

impl Lower<'_> {
    /// Forgets what was made at a path and below it.
    fn forget(&mut self, path: &[u8]) {
        let is_other = |made: &Vec<u8>| made != path && !is_below(made, path);
        if self.made.contains(path) {
            self.made.retain(is_other);
            self.whiteouts.retain(is_other);
        } else {
            self.whiteouts.remove(path);
        }
    }
}

/// Makes a special file; `false` if that is not possible here.
fn make_device(dir: impl std::os::fd::AsFd, name: &OsStr, device: Device) -> io::Result<bool> {
    let (kind, number) = match device {
        Device::Fifo => (FileType::Fifo, 0),
        // This one would delete a file in an overlay.
        Device::Character { major: 0, minor: 0 } | Device::Unknown(_) => return Ok(false),
        Device::Character { major, minor } => (FileType::CharacterDevice, makedev(major, minor)),
        Device::Block { major, minor } => (FileType::BlockDevice, makedev(major, minor)),
    };
    match mknodat(dir, name, kind, Mode::RUSR | Mode::WUSR, number) {
        Ok(()) => Ok(true),
        Err(Errno::PERM | Errno::ACCESS) if kind != FileType::Fifo => Ok(false),
        Err(error) => Err(error.into()),
    }
}
