//! What an upgrade removes: the files of the old version, and the directories that they leave empty.

use std::collections::BTreeSet;

use super::installed::InstalledPackage;
use super::wheel::recorded_paths;
use crate::error::Result;
use crate::image::paths::{joined, relative};
use crate::tree::{Entry, EntryKind, FileTree, View};

/// What an installer removes. Paths are those in the image.
#[derive(Debug)]
pub(crate) struct Removal {
    /// Files, and directories of metadata.
    files: BTreeSet<String>,
    /// The directories below which uv removes those that get empty. `None`: pip removes the directories that had the files,
    /// if they have no others.
    emptied_below: Option<Vec<String>>,
}

/// What deletes these files, their bytecode and the directories that they leave empty.
pub(crate) fn deletions<C>(removal: &Removal, view: &View<'_, C>) -> Result<FileTree> {
    let mut gone: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut dirs: BTreeSet<Vec<u8>> = BTreeSet::new();
    for path in &removal.files {
        let bytecode = path.strip_suffix(".py").map(|module| {
            let (dir, name) = module.rsplit_once('/').unwrap_or(("", module));
            (format!("{dir}/__pycache__"), format!("{dir}/__pycache__/{name}."))
        });
        if let Some((dir, start)) = bytecode {
            let of_module =
                view.below(&dir).filter(|file| file.member.path.as_bytes().starts_with(start.as_bytes()));
            for file in of_module {
                gone.insert(file.member.path.as_bytes().to_vec());
                dirs.insert(dir.clone().into_bytes());
            }
        }
        // Of the metadata nothing may stay: importers would find the old version.
        let is_metadata = InstalledPackage::of(path).is_some();
        if is_metadata || view.get(path).is_some_and(|file| !file.member.is_directory()) {
            gone.insert(path.clone().into_bytes());
            dirs.extend(removal.dirs_of(path).map(<[u8]>::to_vec));
        }
    }
    // A directory of which nothing is left goes with its content.
    let mut dirs: Vec<Vec<u8>> = dirs.into_iter().collect();
    dirs.sort_by_key(|dir| std::cmp::Reverse(dir.len()));
    for dir in dirs {
        let is_left = |path: &[u8]| !gone.contains(path) && !parents(path).any(|dir| gone.contains(dir));
        if !view.below(&dir).any(|file| !file.member.is_directory() && is_left(file.member.path.as_bytes())) {
            gone.insert(dir);
        }
    }
    let outermost = gone.iter().filter(|path| !parents(path).any(|dir| gone.contains(dir)));
    FileTree::of(outermost.map(|path| (path.clone(), Entry::new(EntryKind::Whiteout, 0))))
}

impl Removal {
    pub(super) fn new(emptied_below: Option<Vec<String>>) -> Removal {
        Removal { files: BTreeSet::new(), emptied_below }
    }

    /// Adds the files of a package, which its RECORD lists.
    pub(super) fn add(&mut self, package: &InstalledPackage, record: &str) {
        let dir = format!("/{}", package.directory.rsplit_once('/').map_or("", |(dir, _)| dir));
        let paths = recorded_paths(record);
        self.files.extend(paths.iter().map(|path| relative(&joined(&dir, path))));
        self.files.insert(package.directory.clone());
    }

    /// The directories that may get empty without this file.
    fn dirs_of<'p>(&self, path: &'p str) -> impl Iterator<Item = &'p [u8]> {
        let is_metadata = InstalledPackage::of(path).is_some();
        let count = parents(path.as_bytes()).count();
        let nearest = if is_metadata { 0 } else { 1 };
        parents(path.as_bytes()).enumerate().filter_map(move |(number, dir)| {
            let is_emptied = match &self.emptied_below {
                None => number + nearest == count,
                Some(places) => {
                    let is_in = |place: &String| {
                        dir.strip_prefix(place.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
                    };
                    places.iter().any(is_in)
                }
            };
            is_emptied.then_some(dir)
        })
    }
}

fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..path.len()).filter(|&at| path[at] == b'/').map(|at| &path[..at])
}
