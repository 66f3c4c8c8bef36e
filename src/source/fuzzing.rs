//! The readers of sources for `tests/fuzz`; see [`crate::fuzzing`].

use std::path::Path;

use super::ignore::Ignore;
use super::zip::{alone, collect};
use crate::error::Result;
use crate::tree::FileTree;

pub use super::node::node_lock;
pub use super::python::python_lock;

/// The files of a zip archive.
pub fn zip(path: &Path) -> Result<FileTree> {
    collect(&alone(path)?)
}

/// The rules of an ignore file.
pub struct Rules(Ignore);

impl Rules {
    /// Reads the text of an ignore file.
    pub fn parse(text: &[u8]) -> Result<Rules> {
        Ignore::parse(text, Path::new(".lambdaignore")).map(Rules)
    }

    /// Whether the path stays out.
    pub fn is_ignored(&self, path: &[u8]) -> bool {
        self.0.is_ignored(path)
    }

    /// Whether a walk skips everything below the directory.
    pub fn is_pruned(&self, dir: &[u8]) -> bool {
        self.0.can_prune(self.0.verdict(dir), dir)
    }
}
