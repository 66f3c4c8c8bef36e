//! Packages that are directories of the user: their content, for a key, and copies of them, in which programs work.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::directory::hash_missing;
use crate::error::{Error, Result};
use crate::tree::{Content, EntryKind, FileTree};

/// Passes everything that determines a package to `part`, in order.
pub(super) fn content(tree: &mut FileTree, jobs: usize, part: &mut dyn FnMut(&[u8])) -> Result<()> {
    hash_missing(tree, jobs)?;
    for (path, entry) in tree.iter() {
        part(path);
        part(&entry.mode.to_be_bytes());
        match &entry.kind {
            EntryKind::File(Content::File(file)) => {
                part(file.sha256.as_ref().map_or(&[][..], |digest| &digest.as_bytes()[..]));
            }
            EntryKind::Symlink(target) => part(target),
            // A directory: a walk yields no other kinds.
            _ => part(b"/"),
        }
    }
    Ok(())
}

/// Copies the files into the directory `to`. `single` is the path of a tree that is one file, which becomes `to` itself.
pub(super) fn copy(tree: &FileTree, to: &Path, single: Option<&[u8]>) -> Result<()> {
    for (path, entry) in tree.iter() {
        let is_single = single.is_some_and(|single| single == path);
        let to = if is_single { to.to_owned() } else { to.join(std::ffi::OsStr::from_bytes(path)) };
        let fail = |source| Error::Write { path: to.clone(), source };
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(fail)?;
        }
        match &entry.kind {
            EntryKind::Directory => fs::create_dir_all(&to).map_err(fail)?,
            EntryKind::Symlink(target) => {
                std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), &to).map_err(fail)?;
            }
            EntryKind::File(Content::File(file)) => {
                fs::copy(&file.path, &to).map(drop).map_err(fail)?;
            }
            // A walk yields no other kind of entry, and only files on disk.
            _ => {}
        }
    }
    Ok(())
}
