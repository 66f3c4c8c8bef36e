//! Removes the stubs of mounts from the files of an image, so that the layer does not have them.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::command::Files;
use super::mode::Way;
use super::within::within;

/// Removes what is still empty. Directories that were created inside others come later in `stubs`.
pub(super) fn remove(way: &Way, files: &Files<'_>, stubs: &[&Path]) -> io::Result<()> {
    let root = match files {
        Files::Overlay { upper, .. } => upper,
        Files::Tree(tree) => tree,
        // They vanish with the namespace.
        Files::Fixed(_) | Files::FixedTree(_) => return Ok(()),
    };
    let refused: Vec<&Path> =
        stubs.iter().rev().copied().filter(|stub| remove_one(root, stub).is_err()).collect();
    if refused.is_empty() {
        return Ok(());
    }
    // The directory belongs to another id.
    within(&way.ids, &[], || refused.iter().try_for_each(|stub| Ok(remove_one(root, stub)?)))
}

fn remove_one(root: &Path, stub: &Path) -> Result<(), Errno> {
    let (Ok(stub), root) = (stub.strip_prefix("/"), directory(root)?) else { return Ok(()) };
    let (Some(parent), Some(name)) = (stub.parent(), stub.file_name()) else { return Ok(()) };
    let parent = match beneath(&root, parent) {
        // The command has moved or removed it.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(()),
        result => result?,
    };
    let found = match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        result => result?,
    };
    let flags = match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => AtFlags::REMOVEDIR,
        FileType::RegularFile if found.st_size == 0 => AtFlags::empty(),
        _ => return Ok(()),
    };
    match rustix::fs::unlinkat(&parent, name, flags) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
        result => result,
    }
}

fn directory(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// A directory below `root`, by a path without links: the command could have replaced a directory by one.
fn beneath(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
}
