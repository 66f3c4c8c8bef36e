//! The files of all sources of a `COPY`, at their paths below the target.

use std::collections::{BTreeMap, HashSet};

use super::context::join;
use super::mode::Mode;
use crate::error::Result;
use crate::recipe::Origin;
use crate::source::ignore::Ignore;
use crate::source::placing::Shape;
use crate::tree::{Entry, EntryKind, FileTree};

/// The files so far.
#[derive(Default)]
pub(super) struct Gathered {
    tree: FileTree,
    /// The name of each file that was named; `None` for a directory, or an archive that was unpacked.
    names: Vec<Option<Vec<u8>>>,
    /// Whether an archive was unpacked.
    pub unpacked: bool,
}

/// The patterns of `--exclude`.
pub(super) struct Excluded(pub Option<Ignore>);

impl Gathered {
    /// Adds the files of a source; those of a later one replace earlier ones.
    pub fn add(&mut self, mut files: FileTree, name: Option<Vec<u8>>, mode: Option<&Mode>) {
        if let Some(mode) = mode {
            for (_, entry) in files.iter_mut() {
                if matches!(entry.kind, EntryKind::File(_) | EntryKind::HardLink(_) | EntryKind::Directory) {
                    entry.mode = mode.of(entry.mode, entry.is_directory());
                }
            }
        }
        release_links(&mut self.tree, &files);
        self.tree.extend(files);
        self.names.push(name);
    }

    /// The files below the target directory `to`, and what they are.
    pub fn finish(self, to: &[u8], is_directory: bool, origin: &Origin) -> Result<(FileTree, Shape)> {
        check(&self.tree, origin)?;
        let shape = match &self.names[..] {
            [] => Shape::Nothing,
            _ if is_directory => Shape::Directory,
            [Some(name)] => Shape::File(name.clone()),
            [None] => Shape::Directory,
            _ => Shape::Several,
        };
        let moved = self.tree.into_iter().map(|(path, mut entry)| {
            if let EntryKind::HardLink(target) = &mut entry.kind {
                *target = join(to, target);
            }
            (join(to, &path), entry)
        });
        Ok((FileTree::of(moved)?, shape))
    }
}

/// Gives another name to the content of each file that `newer` replaces and that hard links name.
fn release_links(tree: &mut FileTree, newer: &FileTree) {
    let mut links: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    for (path, entry) in tree.iter() {
        if let EntryKind::HardLink(target) = &entry.kind
            && newer.get(target).is_some()
            && newer.get(path).is_none()
        {
            links.entry(target.clone()).or_default().push(path.to_vec());
        }
    }
    for (target, names) in links {
        let (Some(content), [first, others @ ..]) = (tree.remove(&target), &names[..]) else { continue };
        let link = Entry { kind: EntryKind::HardLink(first.clone()), ..content.clone() };
        // The paths were in the tree, so they are valid.
        let _ = tree.insert(first.clone(), content);
        for other in others {
            let _ = tree.insert(other.clone(), link.clone());
        }
    }
}

/// Fails if something is below a file: two sources disagree.
fn check(tree: &FileTree, origin: &Origin) -> Result<()> {
    for (path, _) in tree.iter() {
        let mut parents = (0..path.len()).filter(|&at| path[at] == b'/').map(|at| &path[..at]);
        if let Some(file) = parents.find(|parent| tree.get(parent).is_some_and(|entry| !entry.is_directory()))
        {
            let fault =
                format!("`{}` is a directory in one source and a file in another", file.escape_ascii());
            return Err(origin.failed(fault, None));
        }
    }
    Ok(())
}

impl Excluded {
    /// Whether a single file of this name stays out.
    pub fn leaves_out(&self, name: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|patterns| patterns.is_ignored(name))
    }

    /// The paths of a directory that are copied; `None` if all are. The directories of a path that is copied are copied
    /// too.
    pub fn kept<'p>(&self, paths: impl Iterator<Item = (&'p [u8], bool)>) -> Option<HashSet<&'p [u8]>> {
        let patterns = self.0.as_ref()?;
        let mut kept = HashSet::new();
        for (path, _) in paths.filter(|(path, _)| !patterns.is_ignored(path)) {
            let parents = (0..path.len()).filter(|&at| path[at] == b'/').map(|at| &path[..at]);
            kept.extend(parents);
            kept.insert(path);
        }
        Some(kept)
    }
}
