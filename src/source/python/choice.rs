//! Chooses one file of a locked package.

use std::str::FromStr;

use pep440_rs::Version;

use super::lock::{LockedFile, LockedPackage};
use super::target::Target;
use super::wheel::{WheelName, is_source, normalized};
use crate::error::{Error, Result};

/// The chosen file of a package. Its hashes and size may be unknown.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) file: LockedFile,
    pub(super) requested: bool,
    pub(super) direct: bool,
}

impl LockedPackage {
    /// The wheel that runs on the target, or the source of a package without wheels. pip reports a version as
    /// the package spells it, uv reports its normal form; the image's history always has the normal form.
    /// <https://packaging.python.org/en/latest/specifications/version-specifiers/#normalization>
    pub(super) fn choose(&self, target: &Target) -> Result<Chosen> {
        // A lock may omit the version (PEP 751); the name of a wheel contains it.
        let wheel = self.files.iter().find_map(|file| WheelName::parse(&file.name));
        let in_name = wheel.map(|wheel| wheel.version).unwrap_or_default();
        let version = if self.version.is_empty() { in_name } else { self.version.clone() };
        let version = Version::from_str(&version).map_or(version, |version| version.to_string());
        let best = target.best(&self.files, |file| &file.name);
        // A package that has wheels for other targets only is native, and cannot be built here.
        let source = || match self.files.iter().any(|file| WheelName::parse(&file.name).is_some()) {
            true => None,
            false => self.files.iter().find(|file| is_source(&file.name)),
        };
        let best = best.or_else(source).ok_or_else(|| Error::NoWheel {
            package: format!("{} {version}", self.name).trim_end().to_owned(),
            target: target.to_string(),
            fault: target.why_not(self.files.iter().map(|file| file.name.as_str())),
        })?;
        let (requested, direct) = (self.requested, self.direct);
        Ok(Chosen { name: normalized(&self.name), version, file: best.clone(), requested, direct })
    }
}

#[cfg(test)]
mod tests {
    use super::super::hashes::Hashes;
    use super::*;

    #[test]
    fn a_version_is_normalized() {
        let target = Target::new(12, super::super::target::Machine::X86_64, (2, 34));
        let file = |name: &str| LockedFile {
            name: name.to_owned(),
            url: String::new(),
            hashes: Hashes::default(),
            size: None,
        };
        for (version, file_name, form) in [
            ("1.0.0-Beta.1", "a-1.0.0b1-py3-none-any.whl", "1.0.0b1"),
            ("v2024.01.02", "a-2024.1.2-py3-none-any.whl", "2024.1.2"),
            ("1.0+Ubuntu_1", "a-1.0+ubuntu.1-py3-none-any.whl", "1.0+ubuntu.1"),
            ("", "a-01.0-py3-none-any.whl", "1.0"),
            ("not a version", "a-1-py3-none-any.whl", "not a version"),
        ] {
            let (name, version) = ("a".to_owned(), version.to_owned());
            let locked =
                LockedPackage { name, version, files: vec![file(file_name)], ..LockedPackage::default() };
            assert_eq!(locked.choose(&target).unwrap().version, form);
        }
    }
}
