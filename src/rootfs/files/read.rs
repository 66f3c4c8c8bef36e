//! [`Found`]: a file as it is in a root after a command.

use std::fs::File;
use std::io;

use rustix::fs::{FileType, Stat, fstat, major, minor, readlinkat};

use super::attributes::{Attributes, Owners};
use super::directories::Directories;
use super::hash::fact_of;
use super::index::{FileFact, Node};
use crate::tree::{Device, Entry, EntryKind, Xattrs};

/// A file as it is in a root.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub entry: Entry<FileFact>,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Its inode, if it has several names.
    pub inode: Option<u64>,
}

impl Found {
    /// Reads the file at a path; `None` for a socket, which no layer holds, and for nothing. `before` is the file at
    /// the same path in the layers below, and `creator` the user that made new files.
    pub fn read(
        directories: &mut Directories,
        path: &[u8],
        owners: Owners,
        is_overlay: bool,
        before: Option<&Node>,
        creator: (u64, u64),
    ) -> io::Result<Option<Found>> {
        let Some(stat) = directories.stat(path)? else { return Ok(None) };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mut attributes = Attributes::default();
        let kind = match kind {
            FileType::Socket => return Ok(None),
            FileType::RegularFile => {
                let file = File::from(directories.read(path)?);
                attributes = Attributes::read(&file, is_overlay)?;
                // A named pipe may have taken its place in a tree; the content of one has no end.
                if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
                    return Err(io::Error::other("the file changes while it is read"));
                }
                match attributes.device {
                    // A program may have written to it since.
                    Some(device) if stat.st_size == 0 => {
                        // A device cannot have any.
                        attributes.xattrs = Xattrs::NONE;
                        EntryKind::Device(device)
                    }
                    _ => EntryKind::File(fact_of(file)?),
                }
            }
            FileType::Directory => {
                attributes = Attributes::read(directories.read(path)?, is_overlay)?;
                EntryKind::Directory
            }
            FileType::Symlink => {
                let (dir, name) = directories.parent(path)?;
                let target = readlinkat(dir, name, Vec::new())?.into_bytes();
                EntryKind::Symlink(target)
            }
            kind => EntryKind::Device(device(kind, &stat)),
        };
        let unrecorded = unrecorded(&kind, before, creator);
        let (uid, gid) = attributes.owner(&stat, owners, unrecorded);
        let mode = match kind {
            EntryKind::Symlink(_) => 0o777,
            _ => stat.st_mode & 0o7777,
        };
        let has_names = !matches!(kind, EntryKind::Directory) && stat.st_nlink > 1;
        let entry = Entry { kind, mode, uid, gid, xattrs: attributes.xattrs };
        Ok(Some(Found { entry, mtime: stat.st_mtime, inode: has_names.then_some(stat.st_ino) }))
    }

    /// Whether a reader of the image sees the same file as in the layers below; times do not count.
    pub fn is_same(&self, before: Option<&Node>) -> bool {
        let Some(Node { entry: before, .. }) = before else { return false };
        let Entry { kind, mode, uid, gid, xattrs } = &self.entry;
        let is_link = matches!(kind, EntryKind::Symlink(_));
        *kind == before.kind
            && (is_link || *mode == before.mode)
            && (*uid, *gid, xattrs) == (before.uid, before.gid, &before.xattrs)
    }
}

/// The owner of a file without a record of it. Nobody records the owner of a symbolic link. A user other than root makes
/// files without a record, and may have written to files of others.
fn unrecorded(kind: &EntryKind<FileFact>, before: Option<&Node>, creator: (u64, u64)) -> (u64, u64) {
    let is_kept = |node: &&Node| match (kind, &node.entry.kind) {
        (EntryKind::Symlink(target), EntryKind::Symlink(before)) => target == before,
        (EntryKind::File(_), EntryKind::File(_)) | (EntryKind::Directory, EntryKind::Directory) => {
            creator != (0, 0)
        }
        _ => false,
    };
    before.filter(is_kept).map_or(creator, |node| (node.entry.uid, node.entry.gid))
}

fn device(kind: FileType, stat: &Stat) -> Device {
    let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
    match kind {
        FileType::CharacterDevice => Device::Character { major, minor },
        FileType::BlockDevice => Device::Block { major, minor },
        _ => Device::Fifo,
    }
}
