//! What a lock file says of a package, whatever its format, and the choice of the one wheel.

use std::path::Path;
use std::str::FromStr;

use pep440_rs::Version;
use reqwest::Url;

use super::tags::{Target, WheelName, normalized};
use crate::error::{Error, Result};
use crate::image::Digest;

/// A package of a lock file that is wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Locked {
    pub(super) name: String,
    pub(super) version: String,
    /// Its wheels, and a source archive perhaps.
    pub(super) files: Vec<File>,
    /// Whether it was asked for by name.
    pub(super) requested: bool,
    /// Whether it was asked for by address.
    pub(super) direct: bool,
}

/// A file of a package.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) sha256: Option<Digest>,
    pub(super) size: Option<u64>,
}

/// The wheel of a package that is taken, as far as it is known before anything is asked.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) file: File,
    pub(super) requested: bool,
    pub(super) direct: bool,
}

impl Locked {
    /// The wheel that runs on the target. pip tells a version as the package has it, uv in its normal form, and it
    /// is in the image's history: it becomes the normal one.
    /// <https://packaging.python.org/en/latest/specifications/version-specifiers/#normalization>
    pub(super) fn choose(&self, target: &Target) -> Result<Chosen> {
        // A lock may leave the version out (PEP 751); a wheel's name has it.
        let told = self.files.iter().find_map(|file| WheelName::parse(&file.name));
        let told = told.map(|wheel| wheel.version).unwrap_or_default();
        let version = if self.version.is_empty() { told } else { self.version.clone() };
        let version = Version::from_str(&version).map_or(version, |version| version.to_string());
        let best = target.best(&self.files, |file| &file.name).ok_or_else(|| Error::NoWheel {
            package: format!("{} {version}", self.name).trim_end().to_owned(),
            target: target.to_string(),
            fault: target.why_not(self.files.iter().map(|file| file.name.as_str())),
        })?;
        let (requested, direct) = (self.requested, self.direct);
        Ok(Chosen { name: normalized(&self.name), version, file: best.clone(), requested, direct })
    }
}

/// `sha256:…`, of those kinds of hash that a lock file may have; others are passed over.
pub(super) fn sha256(text: &str) -> Option<Digest> {
    text.parse().ok()
}

/// The last part of an address's path, without the escapes of addresses.
pub(super) fn file_name(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let name = path.rsplit('/').next().filter(|name| !name.is_empty())?;
    let name = unescaped(name)?;
    // An escaped slash would make the name a path.
    (!name.contains(['/', '\0'])).then_some(name)
}

/// A part of an address without its escapes.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// A path, relative to `dir`, as an address.
pub(super) fn file_url(dir: &Path, path: &str) -> Option<String> {
    let path = std::path::absolute(dir.join(path)).ok()?;
    Url::from_file_path(path).ok().map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_form() {
        let target = Target::new(12, super::super::tags::Machine::X86_64, (2, 34));
        let file = |name: &str| File { name: name.to_owned(), url: String::new(), sha256: None, size: None };
        for (version, file_name, form) in [
            ("1.0.0-Beta.1", "a-1.0.0b1-py3-none-any.whl", "1.0.0b1"),
            ("v2024.01.02", "a-2024.1.2-py3-none-any.whl", "2024.1.2"),
            ("1.0+Ubuntu_1", "a-1.0+ubuntu.1-py3-none-any.whl", "1.0+ubuntu.1"),
            ("", "a-01.0-py3-none-any.whl", "1.0"),
            ("not a version", "a-1-py3-none-any.whl", "not a version"),
        ] {
            let (name, version) = ("a".to_owned(), version.to_owned());
            let locked = Locked { name, version, files: vec![file(file_name)], ..Locked::default() };
            assert_eq!(locked.choose(&target).unwrap().version, form);
        }
    }

    #[test]
    fn an_address_ends_in_a_files_name() {
        for (url, name) in [
            ("https://h/a/b-1.0%2Blocal-py3-none-any.whl", Some("b-1.0+local-py3-none-any.whl")),
            ("https://h/b.whl#sha256=00", Some("b.whl")),
            ("https://h/b.whl?token=x/y", Some("b.whl")),
            ("file:///x/b%20c.whl", Some("b c.whl")),
            ("https://h/..%2f..%2fetc", None),
            ("https://h/", None),
        ] {
            assert_eq!(file_name(url).as_deref(), name, "{url}");
        }
    }

    #[test]
    fn a_path_is_an_address() {
        assert_eq!(file_url(Path::new("/a"), "b c.whl").as_deref(), Some("file:///a/b%20c.whl"));
        assert_eq!(file_url(Path::new("/a"), "/b.whl").as_deref(), Some("file:///b.whl"));
    }
}
