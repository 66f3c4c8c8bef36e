//! The packages that an image has already. Both resolvers take them into account as pip does: what is installed satisfies
//! a requirement, and is replaced only if it does not.
//!
//! uv sees them as wheels without files beside those of the index, and prefers their versions as it prefers those of an
//! existing lock. pip sees them as the packages of its environment.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use pep440_rs::Version;
use rawzip::{CompressionMethod, ZipArchiveWriter};

use super::wheel::normalized;
use crate::error::{Error, Result};

/// A package of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstalledPackage {
    /// Its name in the normal form.
    pub(super) name: String,
    pub(super) version: String,
    /// The directory with its metadata, a path in the image; its files are listed relative to the directory above.
    pub(super) directory: String,
}

/// The packages of an image, with what resolvers read of their metadata.
#[derive(Debug, Default)]
pub(crate) struct Installed {
    packages: Vec<InstalledPackage>,
    /// METADATA by the directory; missing for a package without it.
    metadata: BTreeMap<String, Vec<u8>>,
}

/// The endings of a directory with metadata, each with the name of the file that describes the package.
const KINDS: [(&str, &str); 2] = [(".dist-info", "METADATA"), (".egg-info", "PKG-INFO")];

impl InstalledPackage {
    /// The package of a directory with metadata, by its path in the image.
    pub(crate) fn of(directory: &str) -> Option<InstalledPackage> {
        let last = directory.rsplit('/').next()?;
        let stem = KINDS.iter().find_map(|(ending, _)| last.strip_suffix(ending))?;
        let mut parts = stem.split('-');
        let (name, version) = (parts.next()?, parts.next()?);
        let is_sound = !name.is_empty() && Version::from_str(version).is_ok();
        is_sound.then(|| InstalledPackage {
            name: normalized(name),
            version: version.to_owned(),
            directory: directory.to_owned(),
        })
    }

    /// The path of the file that describes the package.
    pub(crate) fn metadata(&self) -> String {
        let kind = KINDS.iter().find(|(ending, _)| self.directory.ends_with(ending));
        format!("{}/{}", self.directory, kind.map_or("METADATA", |(_, name)| name))
    }

    /// The path of the list of its files.
    pub(crate) fn record(&self) -> String {
        format!("{}/RECORD", self.directory)
    }
}

impl Installed {
    pub(crate) fn new(packages: Vec<InstalledPackage>, metadata: BTreeMap<String, Vec<u8>>) -> Installed {
        Installed { packages, metadata }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// The package with this normalised name.
    pub(super) fn get(&self, name: &str) -> Option<&InstalledPackage> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// Whether this version of a package is installed.
    pub(super) fn has(&self, name: &str, version: &str) -> bool {
        let same = |known: &str| match (Version::from_str(known), Version::from_str(version)) {
            (Ok(known), Ok(version)) => known == version,
            _ => known == version,
        };
        self.get(&normalized(name)).is_some_and(|known| same(&known.version))
    }

    /// The metadata of a package that has no usable one of its own.
    fn described(&self, package: &InstalledPackage) -> Vec<u8> {
        let own = self.metadata.get(&package.directory).filter(|text| text.starts_with(b"Metadata-Version:"));
        own.cloned().unwrap_or_else(|| {
            let InstalledPackage { name, version, .. } = package;
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n").into_bytes()
        })
    }

    /// Writes a directory of metadata for pip.
    pub(super) fn write_environment(&self, place: &Path) -> Result<PathBuf> {
        let dir = place.join("installed");
        for package in &self.packages {
            let name = format!("{}-{}.dist-info", package.name.replace('-', "_"), package.version);
            let own = dir.join(name);
            fs::create_dir_all(&own).map_err(|source| Error::Write { path: own.clone(), source })?;
            let path = own.join("METADATA");
            fs::write(&path, self.described(package)).map_err(|source| Error::Write { path, source })?;
        }
        Ok(dir)
    }

    /// Writes a directory of wheels without files for uv.
    pub(super) fn write_wheels(&self, place: &Path) -> Result<PathBuf> {
        let dir = place.join("wheels");
        fs::create_dir_all(&dir).map_err(|source| Error::Write { path: dir.clone(), source })?;
        for package in &self.packages {
            let stem = format!("{}-{}", package.name.replace('-', "_"), package.version);
            let path = dir.join(format!("{stem}-py3-none-any.whl"));
            let written = wheel(&stem, &self.described(package)).and_then(|bytes| fs::write(&path, bytes));
            written.map_err(|source| Error::Write { path, source })?;
        }
        Ok(dir)
    }

    /// The lock whose versions uv prefers. Those of the packages that are to be upgraded are left out.
    pub(super) fn preferences(&self, is_upgraded: impl Fn(&str) -> bool) -> String {
        let kept = self.packages.iter().filter(|package| !is_upgraded(&package.name));
        let packages = kept.map(|InstalledPackage { name, version, .. }| {
            format!("[[packages]]\nname = \"{name}\"\nversion = \"{version}\"\n")
        });
        format!("lock-version = \"1.0\"\ncreated-by = \"lbuild\"\n{}", packages.collect::<String>())
    }
}

/// A wheel with nothing but metadata.
fn wheel(stem: &str, metadata: &[u8]) -> std::io::Result<Vec<u8>> {
    let about = b"Wheel-Version: 1.0\nGenerator: lbuild\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let files: [(&str, &[u8]); 3] = [("METADATA", metadata), ("WHEEL", about), ("RECORD", b"")];
    let mut archive = ZipArchiveWriter::new(Vec::new());
    let failed = |error: rawzip::Error| std::io::Error::other(error.to_string());
    for (name, content) in files {
        let path = format!("{stem}.dist-info/{name}");
        // uv reads wheels as they arrive, and finds the end of a member only if it is deflated.
        let file = archive.new_file(&path).compression_method(CompressionMethod::DEFLATE);
        let (mut entry, config) = file.start().map_err(failed)?;
        let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::fast()));
        writer.write_all(content)?;
        let (encoder, end) = writer.finish().map_err(failed)?;
        encoder.finish()?;
        entry.finish(end).map_err(failed)?;
    }
    archive.finish().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_told_by_the_names_of_their_directories() {
        let named = |dir: &str| InstalledPackage::of(dir).map(|found| (found.name, found.version));
        for (dir, expected) in [
            ("a/boto3-1.34.0.dist-info", Some(("boto3", "1.34.0"))),
            ("a/Typing_Extensions-4.12.2.dist-info", Some(("typing-extensions", "4.12.2"))),
            ("a/PyYAML-6.0-py3.11.egg-info", Some(("pyyaml", "6.0"))),
            ("a/boto3", None),
            ("a/x.dist-info", None),
            ("a/-1.dist-info", None),
        ] {
            let expected = expected.map(|(name, version)| (name.to_owned(), version.to_owned()));
            assert_eq!(named(dir), expected, "{dir}");
        }
        let one = InstalledPackage::of("s/six-1.17.0.dist-info").unwrap();
        let installed = Installed::new(vec![one], BTreeMap::new());
        assert!(
            installed.has("Six", "1.17") && !installed.has("six", "1.16.0") && !installed.has("idna", "1")
        );
    }
}
