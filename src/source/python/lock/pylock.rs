//! `pylock.toml`, [PEP 751](https://packaging.python.org/en/latest/specifications/pylock-toml/): the common lock format
//! of all tools, and the output format of `uv pip compile`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::package::{LockedFile, LockedPackage};
use crate::error::{Error, Result};
use crate::source::address::{file_name, file_url};
use crate::source::python::hashes::Hashes;
use crate::source::python::markers::Environment;
use crate::source::python::wheel::normalized;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pylock {
    lock_version: String,
    #[serde(default)]
    environments: Vec<String>,
    requires_python: Option<String>,
    #[serde(default)]
    default_groups: Vec<String>,
    #[serde(default)]
    packages: Vec<PylockPackage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PylockPackage {
    name: String,
    #[serde(default)]
    version: String,
    marker: Option<String>,
    requires_python: Option<String>,
    #[serde(default)]
    wheels: Vec<PylockArtifact>,
    archive: Option<PylockArtifact>,
    sdist: Option<PylockArtifact>,
    directory: Option<PylockDirectory>,
    vcs: Option<toml::Value>,
}

#[derive(Deserialize)]
struct PylockDirectory {
    path: String,
    subdirectory: Option<String>,
}

#[derive(Deserialize)]
struct PylockArtifact {
    name: Option<String>,
    url: Option<String>,
    path: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// The packages of the lock that the target needs. `path` is the path of the lock; the lock's own paths are relative to
/// its directory.
pub(in crate::source::python) fn read(
    text: &str,
    path: &Path,
    environment: &Environment,
) -> Result<Vec<LockedPackage>> {
    let fail = |fault: String| Error::Requirements { path: path.to_owned(), fault };
    let lock: Pylock = toml::from_str(text).map_err(|error| fail(error.to_string().trim_end().to_owned()))?;
    if !lock.lock_version.starts_with("1.") {
        return Err(fail(format!("its version is {}, which lbuild does not know", lock.lock_version)));
    }
    let mut environment = environment.clone();
    environment.groups.extend(lock.default_groups.iter().map(|name| normalized(name)));
    if let Some(specifier) = &lock.requires_python
        && !environment.takes_python(specifier).map_err(fail)?
    {
        return Err(fail(format!("it is for Python {specifier}")));
    }
    if !environment.is_among(&lock.environments).map_err(fail)? {
        return Err(fail("its environments do not include the image's".to_owned()));
    }
    let mut found = Vec::new();
    for package in lock.packages {
        let wanted = package.marker.as_deref().map_or(Ok(true), |marker| environment.matches(marker));
        if wanted.map_err(fail)? {
            found.push(locked(package, path, &environment)?);
        }
    }
    Ok(found)
}

fn locked(package: PylockPackage, path: &Path, environment: &Environment) -> Result<LockedPackage> {
    let fail = |fault: String| Error::Locked { path: path.to_owned(), package: package.name.clone(), fault };
    if let Some(specifier) = &package.requires_python
        && !environment.takes_python(specifier).map_err(fail)?
    {
        return Err(fail(format!("it is for Python {specifier}")));
    }
    if package.vcs.is_some() {
        return Err(fail("it is in a version control system, and would have to be built".to_owned()));
    }
    let direct = package.archive.is_some() || package.directory.is_some();
    let artifacts = package.wheels.iter().chain(&package.archive).chain(&package.sdist);
    let directory = package.directory.as_ref().map(|directory| {
        let within = directory.subdirectory.as_deref().unwrap_or_default();
        let place = Path::new(&directory.path).join(within);
        LockedFile::directory(&package.name, &package.version, parent(path), place.to_str()?)
    });
    let files = artifacts.map(|artifact| file(artifact, path)).chain(directory);
    let files: Option<Vec<LockedFile>> = files.collect();
    let files = files.ok_or_else(|| fail("one of its files has neither a URL nor a path".to_owned()))?;
    Ok(LockedPackage { name: package.name, version: package.version, files, requested: false, direct })
}

fn file(artifact: &PylockArtifact, lock: &Path) -> Option<LockedFile> {
    // PEP 751: if both are given, the path takes precedence.
    let url = match (&artifact.path, &artifact.url) {
        (Some(path), _) => file_url(parent(lock), path)?,
        (None, url) => url.clone()?,
    };
    let name = artifact.name.clone().or_else(|| file_name(&url))?;
    let hashes = Hashes::of(artifact.hashes.iter().map(|(algorithm, hex)| format!("{algorithm}:{hex}")));
    Some(LockedFile { name, url, hashes, size: artifact.size })
}

fn parent(lock: &Path) -> &Path {
    lock.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::python::target::{Machine, Target};

    fn read_for(minor: u32, text: &str) -> Result<Vec<LockedPackage>> {
        let environment = Environment::of(&Target::new(minor, Machine::Aarch64, (2, 34)));
        read(text, Path::new("/lock/pylock.toml"), &environment)
    }

    const HEAD: &str = "lock-version = '1.0'\ncreated-by = 'test'\n";

    #[test]
    fn packages_for_the_target_are_read_with_hash_size_and_url() {
        let hex = "ab".repeat(32);
        let text = format!(
            "{HEAD}
[[packages]]
name = 'A.b'
version = '1.0'
marker = \"platform_machine == 'aarch64' and 'dev' not in dependency_groups\"
sdist = {{ url = 'https://h/a_b-1.0.tar.gz', hashes = {{ sha256 = '{hex}' }} }}
wheels = [
  {{ url = 'https://h/x/a_b-1.0-py3-none-any.whl', size = 7, hashes = {{ sha512 = 'x', sha256 = '{hex}' }} }},
  {{ name = 'a_b-1.0-cp312-cp312-linux_x86_64.whl', path = 'w/local.whl', url = 'https://h/y' }},
]
[[packages]]
name = 'windows-only'
marker = \"sys_platform == 'win32'\"
[[packages]]
name = 'url-only'
archive = {{ url = 'https://h/url_only-2-py3-none-any.whl', hashes = {{ sha256 = '{hex}' }} }}
"
        );
        let found = read_for(12, &text).unwrap();
        assert_eq!(found.iter().map(|locked| locked.name.as_str()).collect::<Vec<_>>(), ["A.b", "url-only"]);
        let chosen = found[0].choose(&Target::new(12, Machine::Aarch64, (2, 34))).unwrap();
        assert_eq!((chosen.name.as_str(), chosen.version.as_str(), chosen.direct), ("a-b", "1.0", false));
        let hashes = Hashes::of([format!("sha256:{hex}"), "sha512:x".to_owned()]);
        assert_eq!((chosen.file.size, chosen.file.hashes), (Some(7), hashes));
        assert_eq!(found[0].files[1].url, "file:///lock/w/local.whl");
        let direct = found[1].choose(&Target::new(12, Machine::Aarch64, (2, 34))).unwrap();
        assert_eq!((direct.version.as_str(), direct.direct), ("2", true));
    }

    #[test]
    fn a_directory_is_a_package() {
        let text = format!(
            "{HEAD}[[packages]]\nname='a'\ndirectory={{path='libs/a', editable=true, subdirectory='s'}}"
        );
        let found = read_for(12, &text).unwrap();
        let chosen = found[0].choose(&Target::new(12, Machine::Aarch64, (2, 34))).unwrap();
        assert_eq!((chosen.file.name.as_str(), chosen.file.url.as_str()), ("a/", "file:///lock/libs/a/s/"));
        assert_eq!(chosen.version, "");
    }

    #[test]
    fn a_lock_for_other_environments_is_refused() {
        for (text, fault) in [
            ("lock-version = '2.0'", "its version is 2.0"),
            ("lock-version = 1", "invalid type"),
            (&format!("{HEAD}requires-python = '>=3.13'"), "it is for Python >=3.13"),
            (
                &format!("{HEAD}environments = [\"sys_platform == 'win32'\"]"),
                "its environments do not include",
            ),
            (&format!("{HEAD}[[packages]]\nname='a'\nmarker='x'"), "the marker `x` cannot be read"),
            (&format!("{HEAD}[[packages]]\nname='a'\nvcs={{type='git'}}"), "version control"),
            (&format!("{HEAD}[[packages]]\nname='a'\nwheels=[{{}}]"), "neither a URL nor a path"),
        ] {
            let error = read_for(12, text).unwrap_err().to_string();
            assert!(error.contains(fault) && error.contains("/lock/pylock.toml"), "{text}: {error}");
        }
    }
}
