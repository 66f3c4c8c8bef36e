//! `Pipfile.lock`: <https://pipenv.pypa.io/en/latest/pipfile.html>.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::fresh;
use super::pinned::{Pinned, Place};
use crate::error::{Error, Result};
use crate::recipe::{LockExport, LockSelection};
use crate::source::python::hashes::Hashes;
use crate::source::python::markers::Environment;
use crate::source::text;

#[derive(Deserialize)]
struct PipfileLock {
    #[serde(rename = "_meta")]
    meta: PipfileMeta,
    /// The packages of each category: `default`, `develop` and others.
    #[serde(flatten)]
    categories: BTreeMap<String, BTreeMap<String, PipfilePackage>>,
}

#[derive(Deserialize)]
struct PipfileMeta {
    hash: Option<PipfileHash>,
    #[serde(default)]
    sources: Vec<PipfileSource>,
}

#[derive(Deserialize)]
struct PipfileHash {
    sha256: String,
}

#[derive(Deserialize)]
struct PipfileSource {
    #[serde(default)]
    name: String,
    url: String,
}

#[derive(Deserialize)]
struct PipfilePackage {
    version: Option<String>,
    #[serde(default)]
    hashes: Vec<String>,
    markers: Option<String>,
    /// The name of a source.
    index: Option<String>,
    /// A URL, or the path of a file.
    file: Option<String>,
    path: Option<String>,
    subdirectory: Option<String>,
    #[serde(default)]
    extras: Vec<String>,
}

/// The packages of the lock's default category that the target needs; with a selection, those that a command of Pipenv
/// takes.
pub(in crate::source::python) fn read(
    text: &str,
    path: &Path,
    selection: Option<&LockSelection>,
    environment: &Environment,
) -> Result<Pinned> {
    let pinned = pinned(text, path, selection, environment);
    pinned.map_err(|fault| Error::Requirements { path: path.to_owned(), fault })
}

impl PipfileLock {
    /// The packages of the categories that are taken.
    fn taken(
        &self,
        selection: Option<&LockSelection>,
    ) -> std::result::Result<BTreeMap<&String, &PipfilePackage>, String> {
        let only = selection.map_or(&[][..], |selection| &selection.only);
        let with = selection.map_or(&[][..], |selection| &selection.with);
        let standard = ["default".to_owned()];
        let names = if only.is_empty() { &standard[..] } else { only };
        let mut found = BTreeMap::new();
        for name in names.iter().chain(with) {
            // Options name the categories as the Pipfile does.
            let name = match name.as_str() {
                "packages" => "default",
                "dev-packages" => "develop",
                name => name,
            };
            match self.categories.get(name) {
                Some(packages) => {
                    for (name, package) in packages {
                        found.entry(name).or_insert(package);
                    }
                }
                None if ["default", "develop"].contains(&name) => {}
                None => return Err(format!("it has no category `{name}`")),
            }
        }
        Ok(found)
    }
}

/// The lock as requirements, as `pipenv requirements` writes them.
pub(super) fn export(text: &str, export: &LockExport) -> std::result::Result<String, String> {
    let lock: PipfileLock = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut lines = String::new();
    for (number, source) in lock.meta.sources.iter().enumerate() {
        let option = if number == 0 { "-i" } else { "--extra-index-url" };
        lines += &format!("{option} {}\n", source.url);
        if source.url.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err("the URL of an index cannot be read".to_owned());
        }
    }
    for (name, package) in lock.taken(Some(&export.selection))? {
        let Some(version) =
            package.version.as_ref().filter(|_| package.file.is_none() && package.path.is_none())
        else {
            return Err(format!("{name} is not from an index, and cannot be exported"));
        };
        let extras = match &package.extras[..] {
            [] => String::new(),
            extras => format!("[{}]", extras.join(",")),
        };
        let marker = package.markers.as_ref().map_or(String::new(), |marker| format!("; {marker}"));
        let hashes = package.hashes.iter().filter(|_| export.hashes).map(|hash| format!(" --hash={hash}"));
        let line = format!("{name}{extras}{version}{marker}{}", hashes.collect::<String>());
        if line.contains(|c: char| c.is_control() || c == '\\') {
            return Err(format!("`{}` is not a requirement", line.escape_debug()));
        }
        lines += &format!("{line}\n");
    }
    Ok(lines)
}

fn pinned(
    text: &str,
    path: &Path,
    selection: Option<&LockSelection>,
    environment: &Environment,
) -> std::result::Result<Pinned, String> {
    let lock: PipfileLock = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let pipfile = text::read(&path.with_file_name("Pipfile")).unwrap_or_default();
    if selection.is_some_and(|selection| selection.checked)
        && let (Some(digest), Some(locked)) = (fresh::of_pipenv(&pipfile), &lock.meta.hash)
        && digest != locked.sha256
    {
        return Err("it does not fit the Pipfile: run `pipenv lock`".to_owned());
    }
    let sources = &lock.meta.sources;
    // A lock alone must not choose which variable is sent to which host.
    if sources.iter().any(|source| source.url.contains("${") && !pipfile.contains(&source.url)) {
        return Err("the URL of an index has a variable, and the Pipfile does not have this URL".into());
    }
    let mut pinned = Pinned::default();
    for (name, package) in lock.taken(selection)? {
        if !package.markers.as_ref().map_or(Ok(true), |marker| environment.matches(marker))? {
            continue;
        }
        let hashes = Hashes::of(&package.hashes);
        let place = match (&package.file, &package.path) {
            _ if package.subdirectory.is_some() => {
                return Err(format!("{name} is a directory of an archive, which would have to be built"));
            }
            (Some(url), _) if url.contains("://") => Place::Url(url),
            (Some(path), _) | (None, Some(path)) => Place::Path(path),
            (None, None) => {
                let Some(version) = &package.version else {
                    return Err(format!("{name} has no version, and would have to be built"));
                };
                // Like pipenv: the package's own index, else all, the first of them first.
                let own = sources.iter().filter(|source| package.index.as_ref() == Some(&source.name));
                let own: Vec<String> = own.map(|source| source.url.clone()).collect();
                let all = || sources.iter().map(|source| source.url.clone()).collect();
                pinned.add(name, version, if own.is_empty() { all() } else { own }, hashes)?;
                continue;
            }
        };
        let version = package.version.as_deref().unwrap_or_default().trim_start_matches('=');
        pinned.add_direct(path, name, version, &place, hashes)?;
    }
    Ok(pinned)
}
