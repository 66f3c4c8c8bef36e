//! Wheels that have a file where another has a directory. Installers fail for such wheels, too.

use crate::error::{Error, Result};
use crate::recipe::Wheel;
use crate::tree::{EntryKind, FileTree};

/// A path at which one wheel has a file and another a directory.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::source::python) struct Clash(Vec<u8>);

impl Clash {
    /// The first path of a tree that is both a file and a directory: an entry that is not a directory, but has entries
    /// below it.
    pub(in crate::source::python) fn within(tree: &FileTree) -> Option<Clash> {
        let mut checked: &[u8] = b"";
        for (path, _) in tree.iter() {
            let mut parents = (0..path.len()).filter(|&end| path[end] == b'/').map(|end| &path[..end]);
            let last = parents.clone().next_back().unwrap_or_default();
            if last == checked {
                continue;
            }
            let is_file = |parent: &&[u8]| tree.get(parent).is_some_and(|entry| !is_directory(&entry.kind));
            if let Some(parent) = parents.find(is_file) {
                return Some(Clash(parent.to_vec()));
            }
            checked = last;
        }
        None
    }

    /// The first path that is a directory of its own in one of the trees, and a file in the other.
    pub(in crate::source::python) fn between(one: &FileTree, other: &FileTree) -> Option<Clash> {
        let clashes = other.iter().find(|(path, entry)| {
            one.get(path).is_some_and(|found| is_directory(&found.kind) != is_directory(&entry.kind))
        });
        clashes.map(|(path, _)| Clash(path.to_vec()))
    }

    /// The error that names the wheels. `trees` are the wheels' own trees.
    pub(in crate::source::python) fn error<'a>(
        &self,
        trees: impl Iterator<Item = Result<(&'a Wheel, FileTree)>>,
    ) -> Error {
        let Clash(path) = self;
        let (mut file, mut directory) = (None, None);
        for found in trees {
            let (wheel, tree) = match found {
                Ok(found) => found,
                Err(error) => return error,
            };
            match tree.get(path).map(|entry| &entry.kind) {
                Some(EntryKind::Directory) => directory = Some(wheel),
                Some(_) => file = Some(wheel),
                None => {}
            }
            let below =
                |path: &[u8]| path.strip_prefix(&self.0[..]).is_some_and(|rest| rest.starts_with(b"/"));
            if tree.iter().any(|(path, _)| below(path)) {
                directory = Some(wheel);
            }
        }
        let name = |wheel: Option<&Wheel>| wheel.map_or(String::new(), |wheel| wheel.file.clone());
        let path = String::from_utf8_lossy(path).into_owned();
        Error::WheelClash { path, file: name(file), directory: name(directory) }
    }
}

fn is_directory(kind: &EntryKind) -> bool {
    matches!(kind, EntryKind::Directory)
}
