//! A zip archive as a [`FileTree`].

use std::fs;
use std::path::Path;

use super::archive::{open, open_blob};
use super::member::{ZipKind, ZipMember};
use super::read::read;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::layer::zip_content::broken;
use crate::tree::{Content, Entry, EntryKind, FileTree, SourceFile, Stat};

/// The archive itself as the only file of a tree, so that its digest is computed and stored as for any file.
///
/// # Errors
/// [`Error::Read`] when the archive does not exist.
pub(in crate::source) fn alone(path: &Path) -> Result<FileTree> {
    let metadata = fs::metadata(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let file =
        SourceFile { path: path.to_owned(), stat: Stat::from(&metadata), sha256: None, lasting: false };
    let mut tree = FileTree::new();
    tree.insert("archive", Entry::file(Content::File(file), false))?;
    Ok(tree)
}

/// The members of the archive in a tree that [`alone`] made, and every directory that their names imply.
///
/// # Errors
/// Those of [`open`], and of [`read`] for the target of a symbolic link; [`Error::SourceChanged`] when the
/// archive has changed since it was hashed.
pub(in crate::source) fn collect(alone: &FileTree) -> Result<FileTree> {
    let Some(EntryKind::File(Content::File(file))) = alone.get(b"archive").map(|entry| &entry.kind) else {
        return Ok(FileTree::new());
    };
    let members = open(&file.path, file.sha256)?.members;
    // Some file systems report different devices for an open file and for its path.
    let now = members.first().map(|member| member.content.archive.stat);
    if now.is_some_and(|now| !file.is_still(now)) {
        return Err(Error::SourceChanged { path: file.path.clone() });
    }
    tree_of(members)
}

/// The members of an archive in the cache, as [`collect`] has them.
///
/// # Errors
/// Those of [`collect`].
pub(in crate::source) fn collect_blob(path: &Path, sha256: Digest) -> Result<FileTree> {
    tree_of(open_blob(path, sha256)?.members)
}

fn tree_of(members: Vec<ZipMember>) -> Result<FileTree> {
    let mut tree = FileTree::new();
    for member in members {
        for (end, _) in member.name.match_indices('/') {
            let parent = &member.name.as_bytes()[..end];
            if tree.get(parent).is_none() {
                tree.insert(parent, Entry::directory())?;
            }
        }
        let entry = match member.kind {
            ZipKind::Directory => Entry::directory(),
            ZipKind::File => Entry::file(Content::Zip(member.content), member.executable),
            ZipKind::Symlink => {
                let target = read(&member.content)?;
                if target.is_empty() || target.contains(&0) {
                    return Err(broken(&member.content, "it is a symbolic link whose target is not a path"));
                }
                Entry::symlink(target)
            }
        };
        tree.insert(member.name, entry)?;
    }
    Ok(tree)
}

/// Whether [`collect`] would find an entry at the path `relative`.
///
/// # Errors
/// Those of [`open`].
pub(super) fn provides(path: &Path, relative: &[u8]) -> Result<bool> {
    let at = |name: &str| {
        let below = name.as_bytes().strip_prefix(relative);
        below.is_some_and(|below| below.is_empty() || below.starts_with(b"/"))
    };
    Ok(relative.is_empty() || open(path, None)?.members.iter().any(|member| at(&member.name)))
}
