//! Tests of whole roots. [`inside`] runs a test as root, and as an ordinary user in a user namespace.

mod inside;
mod layers;
mod random;
mod rig;
mod script;
mod settling;
mod unpacking;

use std::collections::BTreeMap;
use std::path::Path;

use super::attributes::Owners;
use super::directories::{Directories, is_directory, join};
use super::read::Found;

/// Everything that a program can see of a file, less the number of its inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    entry: crate::tree::Entry<super::index::FileFact>,
    mtime: i64,
    has_names: bool,
}

/// The files below a directory, as a program sees them. Sockets are left out.
pub(super) fn files(root: &Path, owners: Owners) -> BTreeMap<String, Seen> {
    fn read(directories: &mut Directories, dir: &[u8], owners: Owners, files: &mut BTreeMap<String, Seen>) {
        for name in directories.names(dir).unwrap() {
            let path = join(dir, &name);
            let Some(found) = Found::read(directories, &path, owners, false, None, (0, 0)).unwrap() else {
                continue;
            };
            let seen = Seen { entry: found.entry, mtime: found.mtime, has_names: found.inode.is_some() };
            files.insert(String::from_utf8(path.clone()).unwrap(), seen);
            if is_directory(&directories.stat(&path).unwrap().unwrap()) {
                read(directories, &path, owners, files);
            }
        }
    }
    let mut directories = Directories::open(root).unwrap();
    let mut files = BTreeMap::new();
    let found = Found::read(&mut directories, b"", owners, false, None, (0, 0)).unwrap().unwrap();
    files.insert(String::new(), Seen { entry: found.entry, mtime: found.mtime, has_names: false });
    read(&mut directories, b"", owners, &mut files);
    files
}

/// Fails with the paths that differ.
pub(super) fn assert_same<V: PartialEq + std::fmt::Debug>(
    what: &str,
    one: &BTreeMap<String, V>,
    other: &BTreeMap<String, V>,
) {
    let paths: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differing: Vec<_> = paths.into_iter().filter(|path| one.get(*path) != other.get(*path)).collect();
    let lines: Vec<String> = differing
        .iter()
        .map(|path| format!("{path}:\n  {:?}\n  {:?}", one.get(*path), other.get(*path)))
        .collect();
    assert!(lines.is_empty(), "{}\n{what}", lines.join("\n"));
}
