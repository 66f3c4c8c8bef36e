//! The packages of `poetry.lock` and `Pipfile.lock`, which pin versions and hashes, but have no URLs of an index's
//! files. They become requirements with exact versions, which uv or pip resolves, each in its own index; lbuild verifies
//! the hashes. Packages that the lock names by file, URL or directory need no resolution.

use std::collections::BTreeMap;
use std::path::Path;

use super::package::{LockedFile, LockedPackage};
use super::requirements::Asked;
use crate::source::address::{file_name, file_url};
use crate::source::python::hashes::Hashes;
use crate::source::python::wheel::{is_source, normalized};

/// The packages of a lock that the target needs.
#[derive(Debug, Default)]
pub(in crate::source::python) struct Pinned {
    /// Pins of packages, as the text of a requirements file, by the indexes that have them. Without an index, those of
    /// the program.
    pub(in crate::source::python) groups: BTreeMap<Vec<String>, String>,
    /// Packages that need no index.
    pub(in crate::source::python) direct: Vec<LockedPackage>,
    /// The hashes that each package's files may have.
    pub(in crate::source::python) asked: Asked,
}

/// The place of a package that the lock does not take from an index.
pub(super) enum Place<'a> {
    Url(&'a str),
    /// A file or directory, relative to the lock.
    Path(&'a str),
}

impl Pinned {
    /// Adds a package of these indexes. `version` is a specifier such as `==1.2`.
    pub(super) fn add(
        &mut self,
        name: &str,
        version: &str,
        indexes: Vec<String>,
        hashes: Hashes,
    ) -> Result<(), String> {
        let line = format!("{name}{version}");
        if line.contains("${") {
            return Err(format!("`{line}` has a variable, which uv or pip would expand"));
        }
        // Text of a lock must stay on one line, and must not become an option: an option can name an index. pip also
        // ends a line at U+2028, removes blanks at its start, and joins it with the next after a backslash.
        let ends_line = |c: char| c.is_control() || c == '\\' || (c.is_whitespace() && c != ' ');
        let begins_with_name = line.starts_with(|c: char| c.is_ascii_alphanumeric());
        if line.contains(ends_line) || line.contains(" -") || !begins_with_name {
            return Err(format!("`{}` is not a requirement", line.escape_debug()));
        }
        let is_url = |url: &String| {
            !url.is_empty()
                && !url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\')
                && !url.starts_with('-')
        };
        if !indexes.iter().all(is_url) {
            return Err(format!("the URL of {name}'s index cannot be read"));
        }
        let text = self.groups.entry(indexes).or_default();
        text.push_str(&line);
        text.push('\n');
        self.asked.allow(name, hashes);
        Ok(())
    }

    /// Adds a package that is a file or directory. `version` is empty if only the file tells it.
    pub(super) fn add_direct(
        &mut self,
        lock: &Path,
        name: &str,
        version: &str,
        place: &Place<'_>,
        hashes: Hashes,
    ) -> Result<(), String> {
        let fail = |fault: &str| Err(format!("{name} {fault}"));
        let dir = lock.parent().unwrap_or(Path::new(""));
        let file = match place {
            Place::Url(url) if url.contains("${") => return fail("has a variable in its URL"),
            Place::Url(url) => {
                let url = url.split('#').next().unwrap_or_default().to_owned();
                file_name(&url).map(|name| LockedFile { name, url, hashes: Hashes::default(), size: None })
            }
            Place::Path(path) if dir.join(path).is_dir() => LockedFile::directory(name, version, dir, path),
            Place::Path(path) => file_url(dir, path).and_then(|url| {
                let name = file_name(&url)?;
                Some(LockedFile { name, url, hashes: Hashes::default(), size: None })
            }),
        };
        let Some(file) = file else { return fail("has a place that cannot be read") };
        if !file.name.ends_with(".whl") && !is_source(&file.name) {
            return fail("is neither a wheel nor a source archive nor a directory");
        }
        self.asked.allow(name, hashes);
        let (name, version) = (normalized(name), version.to_owned());
        self.direct.push(LockedPackage { name, version, files: vec![file], requested: false, direct: true });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
