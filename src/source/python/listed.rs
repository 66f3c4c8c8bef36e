//! What an install names: packages of the image, and the lines of requirements files.

use super::image_files::{Contents, text_of};
use super::lock::lines;

/// The path of a package that is a file or a directory of the image, without its extras.
pub(super) fn local_path(package: &str) -> Option<&str> {
    let path = package.split('[').next()?;
    let is_archive =
        [".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2"].iter().any(|ending| path.ends_with(ending));
    let is_path = path == "." || path == ".." || path.contains('/') || is_archive;
    (is_path && !path.contains("://") && !package.contains(" @ ")).then_some(path)
}

/// The lines of a requirements file that was read.
pub(super) fn lines_of(path: &str, read: &Contents) -> Vec<String> {
    lines(&text_of(read, path))
}

pub(super) fn is_editable(line: &str) -> bool {
    line.starts_with("--editable")
        || line.strip_prefix("-e").is_some_and(|rest| rest.starts_with([' ', '\t', '.', '/']))
}

/// The file that a line of requirements includes.
pub(super) fn included(line: &str) -> Option<&str> {
    let flags = ["--requirement", "--constraint", "-r", "-c"];
    let rest = flags.iter().find_map(|flag| line.strip_prefix(flag))?;
    let path = rest.trim_start_matches('=').trim();
    (!path.is_empty() && !path.contains("://")).then_some(path)
}
