//! `Pipfile.lock`: <https://pipenv.pypa.io/en/latest/pipfile.html>.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::pinned::{Pinned, Place};
use crate::error::{Error, Result};
use crate::source::python::hashes::Hashes;
use crate::source::python::markers::Environment;
use crate::source::text;

#[derive(Deserialize)]
struct PipfileLock {
    #[serde(rename = "_meta")]
    meta: PipfileMeta,
    #[serde(default)]
    default: BTreeMap<String, PipfilePackage>,
}

#[derive(Deserialize)]
struct PipfileMeta {
    #[serde(default)]
    sources: Vec<PipfileSource>,
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
}

/// The packages of the lock's default group that the target needs.
pub(in crate::source::python) fn read(text: &str, path: &Path, environment: &Environment) -> Result<Pinned> {
    pinned(text, path, environment).map_err(|fault| Error::Requirements { path: path.to_owned(), fault })
}

fn pinned(text: &str, path: &Path, environment: &Environment) -> std::result::Result<Pinned, String> {
    let lock: PipfileLock = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let pipfile = text::read(&path.with_file_name("Pipfile")).unwrap_or_default();
    let sources = &lock.meta.sources;
    // A lock alone must not choose which variable is sent to which host.
    if sources.iter().any(|source| source.url.contains("${") && !pipfile.contains(&source.url)) {
        return Err("the URL of an index has a variable, and the Pipfile does not have this URL".into());
    }
    let mut pinned = Pinned::default();
    for (name, package) in &lock.default {
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
