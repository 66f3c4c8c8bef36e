//! The function's own files that determine which packages are installed.

use std::path::Path;

use crate::error::{Error, Result};
use crate::source::directory;
use crate::source::ignore::Ignore;
use crate::source::text;
use crate::tree::FileTree;

/// The name of a package's manifest.
pub(super) const PACKAGE: &str = "package.json";

/// Files that a package manager reads beside the lock file. Each may be missing.
pub(super) const BESIDE: [&str; 2] = [PACKAGE, "pnpm-workspace.yaml"];

/// The path of a local package that is a single archive.
pub(super) const SINGLE: &[u8] = b"archive";

/// The file's text in UTF-8; `None` if the file does not exist.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match text::read(path) {
        Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => read.map(|text| Some(text.into_bytes())),
    }
}

/// A local package: its directory without installed packages, or its archive.
pub(super) fn local(path: &Path) -> Result<FileTree> {
    let rules = Ignore::parse(b"**/node_modules\n**/.npmrc", path)?;
    let to = if path.is_dir() { &b""[..] } else { SINGLE };
    directory::collect(path, to, &rules, 1)
}
