//! A package of a lock file, independent of the format.

use crate::image::Digest;

/// A package of a lock file that the target needs.
#[derive(Clone, Debug, Default)]
pub(in crate::source::python) struct LockedPackage {
    pub(in crate::source::python) name: String,
    pub(in crate::source::python) version: String,
    /// Its wheels, and possibly a source archive.
    pub(in crate::source::python) files: Vec<LockedFile>,
    /// Whether the requirements name it.
    pub(in crate::source::python) requested: bool,
    /// Whether the requirements give its URL.
    pub(in crate::source::python) direct: bool,
}

/// A file of a package.
#[derive(Clone, Debug)]
pub(in crate::source::python) struct LockedFile {
    pub(in crate::source::python) name: String,
    pub(in crate::source::python) url: String,
    pub(in crate::source::python) sha256: Option<Digest>,
    pub(in crate::source::python) size: Option<u64>,
}

/// The digest of a hash `sha256:…`; `None` for other hash algorithms, which a lock file may also have.
pub(in crate::source::python) fn sha256(text: &str) -> Option<Digest> {
    text.parse().ok()
}
