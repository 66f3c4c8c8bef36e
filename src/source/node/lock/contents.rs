//! The parsed content of a lock file.

use std::collections::BTreeMap;

/// The content of a lock file of any format.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents {
    /// The bytes that determine the installed files.
    pub(super) decisive: Vec<u8>,
    /// The function's own files that the lock names, by path relative to the function's directory.
    pub(super) local: BTreeMap<String, Local>,
}

/// A file or directory of the function that a lock file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::source::node) enum Local {
    /// A package that stays in its directory; `node_modules` gets a link to it.
    Workspace,
    /// A package that is copied: a directory or an archive.
    Package,
    /// A workspace or package for development only.
    Unused,
}
