//! The entries of the layer that turns the files of an index into those of now.
//!
//! They depend on the two sets of files only, not on the way from one to the other: an overlay and a copied tree, in
//! which a program did the same, give the same layer.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::directories::{above, is_below, split};
use super::index::{FileFact, Index};
use super::read::Found;
use crate::tree::{Entry, EntryKind};

/// The entries of a layer by their paths, with their parent directories.
pub(super) type Changes = BTreeMap<Vec<u8>, Entry<FileFact>>;

/// The files of now: those that were found, and those of the index that are not gone.
pub(super) struct Comparison<'a> {
    pub index: &'a Index,
    pub found: &'a BTreeMap<Vec<u8>, Found>,
    /// Paths of the index that exist no longer.
    pub gone: &'a BTreeSet<Vec<u8>>,
}

impl Comparison<'_> {
    /// The paths of each file with several names, sorted.
    pub fn links(&self) -> Vec<Vec<&[u8]>> {
        let mut links: BTreeMap<u64, Vec<&[u8]>> = BTreeMap::new();
        for (path, found) in self.found {
            if let Some(inode) = found.inode {
                links.entry(inode).or_default().push(path);
            }
        }
        links.into_values().filter(|paths| paths.len() > 1).collect()
    }

    /// The paths of the files that the layer must have. A file with several names is there with all of them, because a
    /// reader that gets only one would separate them.
    pub fn changed(&self) -> BTreeSet<&[u8]> {
        let mut changed: BTreeSet<&[u8]> = BTreeSet::new();
        for (path, found) in self.found {
            if !found.is_same(self.index.get(path)) {
                changed.insert(path);
            }
        }
        let links = self.links();
        let before = if links.is_empty() { HashMap::new() } else { self.index.groups() };
        for paths in links {
            let group = |path: &&[u8]| self.index.get(path).map_or(0, |node| node.group);
            let is_same = before.get(&group(&paths[0])).is_some_and(|before| *before == paths);
            if !is_same || paths.iter().any(|path| changed.contains(path)) {
                changed.extend(paths);
            }
        }
        changed
    }

    /// The entries of the layer; none if nothing has changed.
    pub fn changes(&self) -> Changes {
        let changed = self.changed();
        let mut layer = Changes::new();
        for path in &changed {
            layer.insert(path.to_vec(), self.found[*path].entry.clone());
        }
        for paths in self.links().iter().filter(|paths| changed.contains(paths[0])) {
            for other in &paths[1..] {
                let link = EntryKind::HardLink(paths[0].to_vec());
                layer.entry(other.to_vec()).and_modify(|entry| entry.kind = link);
            }
        }
        let mut whiteouts: BTreeSet<&[u8]> =
            self.gone.iter().map(Vec::as_slice).filter(|path| self.is_directory(split(path).0)).collect();
        for dir in self.opaque(&whiteouts, &changed) {
            whiteouts.retain(|path| !is_below(path, &dir));
            let mut entry = self.directory(&dir);
            entry.kind = EntryKind::Opaque;
            layer.insert(dir, entry);
        }
        for path in whiteouts {
            layer.insert(path.to_vec(), Entry::new(EntryKind::Whiteout, 0));
        }
        self.with_parents(layer)
    }

    /// The topmost directories for which one marker says the same as several deletions: those of the index of which
    /// nothing is kept as it was.
    fn opaque(&self, whiteouts: &BTreeSet<&[u8]>, changed: &BTreeSet<&[u8]>) -> Vec<Vec<u8>> {
        let mut deletions: BTreeMap<&[u8], usize> = BTreeMap::new();
        for path in whiteouts {
            // A layer has no entry for the root.
            for dir in above(path).filter(|dir| !dir.is_empty()) {
                *deletions.entry(dir).or_default() += 1;
            }
        }
        let mut found: Vec<Vec<u8>> = Vec::new();
        for (dir, count) in deletions {
            let is_covered = found.iter().any(|found| is_below(dir, found));
            if count < 2 || is_covered {
                continue;
            }
            let is_kept = |path: &[u8]| !self.gone.contains(path) && !changed.contains(path);
            if !self.index.below(dir).any(|(path, _)| is_kept(path)) {
                found.push(dir.to_vec());
            }
        }
        found
    }

    /// Adds the directories above the entries, as they are now: a reader of the layer gives them what it says.
    fn with_parents(&self, mut layer: Changes) -> Changes {
        let paths: Vec<Vec<u8>> = layer.keys().cloned().collect();
        for path in paths {
            for dir in above(&path).filter(|dir| !dir.is_empty()) {
                if layer.contains_key(dir) {
                    break;
                }
                layer.insert(dir.to_vec(), self.directory(dir));
            }
        }
        layer
    }

    /// Whether a path is a directory now.
    fn is_directory(&self, path: &[u8]) -> bool {
        match self.found.get(path) {
            Some(found) => matches!(found.entry.kind, EntryKind::Directory),
            None => !self.gone.contains(path) && self.index.is_directory(path),
        }
    }

    fn directory(&self, path: &[u8]) -> Entry<FileFact> {
        let found = self.found.get(path).map(|found| &found.entry);
        let before = || self.index.get(path).map(|node| &node.entry);
        found.or_else(before).cloned().unwrap_or_else(Entry::directory)
    }
}
