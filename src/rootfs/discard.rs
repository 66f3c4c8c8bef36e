//! Removes directories that builds have left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::remove;
use super::run::{Ids, end_leftovers, within};

/// The beginning of the name of a directory with a tree in which commands run.
pub(crate) const TREE: &str = "tree";

/// The name of a directory with files of an image, one level below a directory of a build.
pub(crate) const FILES: &str = "files";

/// Ends the processes that live in the trees below `dir`, which nobody uses any more, and removes it. The files may belong
/// to ids that only a user namespace has.
///
/// # Errors
/// When a process does not end, or a file cannot be removed.
pub(crate) fn discard(dir: &Path) -> io::Result<()> {
    for tree in trees(dir) {
        end_leftovers(&tree)?;
    }
    let refused = match remove(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
        done => return done,
    };
    for ids in Ids::candidates().into_iter().filter(|ids| *ids != Ids::Real) {
        if within(&ids, &[], || remove(dir)).is_ok() {
            return Ok(());
        }
    }
    Err(refused)
}

fn trees(dir: &Path) -> Vec<PathBuf> {
    let below = fs::read_dir(dir).into_iter().flatten().flatten();
    let trees = below.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(TREE.as_bytes()));
    trees.map(|entry| entry.path().join(FILES)).filter(|tree| tree.is_dir()).collect()
}
