//! A package of a lock file, independent of the format.

use std::path::Path;

use crate::source::address::file_url;
use crate::source::python::hashes::Hashes;

/// A package of a lock file that the target needs.
#[derive(Clone, Debug, Default)]
pub(in crate::source::python) struct LockedPackage {
    pub(in crate::source::python) name: String,
    pub(in crate::source::python) version: String,
    /// Its wheels, and possibly a source archive; or only a directory.
    pub(in crate::source::python) files: Vec<LockedFile>,
    /// Whether the requirements name it.
    pub(in crate::source::python) requested: bool,
    /// Whether the requirements give its URL.
    pub(in crate::source::python) direct: bool,
}

/// A file of a package.
#[derive(Clone, Debug)]
pub(in crate::source::python) struct LockedFile {
    /// The file's name. That of a directory ends in a slash, and so does its URL.
    pub(in crate::source::python) name: String,
    pub(in crate::source::python) url: String,
    pub(in crate::source::python) hashes: Hashes,
    pub(in crate::source::python) size: Option<u64>,
}

impl LockedFile {
    /// The directory `path` of the package `name`, relative to `dir`. `version` may be empty.
    pub(in crate::source::python) fn directory(
        name: &str,
        version: &str,
        dir: &Path,
        path: &str,
    ) -> Option<LockedFile> {
        let name = format!("{name}-{version}");
        let name = format!("{}/", name.trim_end_matches('-'));
        let url = format!("{}/", file_url(dir, path)?.trim_end_matches('/'));
        Some(LockedFile { name, url, hashes: Hashes::default(), size: None })
    }
}
