//! `poetry.lock`: <https://python-poetry.org/docs/basic-usage/#installing-with-poetrylock>.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::pinned::{Pinned, Place};
use crate::error::{Error, Result};
use crate::source::python::hashes::Hashes;
use crate::source::python::markers::Environment;

#[derive(Deserialize)]
struct PoetryLock {
    #[serde(default, rename = "package")]
    packages: Vec<PoetryPackage>,
}

#[derive(Deserialize)]
struct PoetryPackage {
    name: String,
    version: String,
    #[serde(default)]
    optional: bool,
    /// Written by poetry 2; earlier locks do not mark packages for development.
    groups: Option<Vec<String>>,
    markers: Option<Markers>,
    #[serde(default)]
    files: Vec<PoetryFile>,
    source: Option<PoetrySource>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Markers {
    All(String),
    /// The markers of each group.
    Each(BTreeMap<String, String>),
}

#[derive(Deserialize)]
struct PoetryFile {
    hash: String,
}

#[derive(Deserialize)]
struct PoetrySource {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    url: String,
    subdirectory: Option<String>,
}

/// The packages of the lock's main group that the target needs.
pub(in crate::source::python) fn read(text: &str, path: &Path, environment: &Environment) -> Result<Pinned> {
    pinned(text, path, environment).map_err(|fault| Error::Requirements { path: path.to_owned(), fault })
}

fn pinned(text: &str, path: &Path, environment: &Environment) -> std::result::Result<Pinned, String> {
    let lock: PoetryLock = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut pinned = Pinned::default();
    for package in lock.packages.iter().filter(|package| !package.optional) {
        let name = &package.name;
        let Some(groups) = &package.groups else {
            return Err("it does not mark development packages: run `poetry lock` of version 2".into());
        };
        let marker = match &package.markers {
            Some(Markers::All(marker)) => Some(marker),
            Some(Markers::Each(groups)) => groups.get("main"),
            None => None,
        };
        if !groups.iter().any(|group| group == "main")
            || !marker.map_or(Ok(true), |marker| environment.matches(marker))?
        {
            continue;
        }
        let hashes = Hashes::of(package.files.iter().map(|file| &file.hash));
        let Some(PoetrySource { kind, url, subdirectory }) = &package.source else {
            pinned.add(name, &format!("=={}", package.version), Vec::new(), hashes)?;
            continue;
        };
        if subdirectory.is_some() {
            return Err(format!(
                "{name} is a directory of an archive or repository, which would have to be built"
            ));
        }
        let place = match kind.as_str() {
            "legacy" if url.contains("${") => {
                return Err(format!(
                    "the URL of {name}'s index has a variable, which uv or pip would expand"
                ));
            }
            // An index that the project declares.
            "legacy" => {
                pinned.add(name, &format!("=={}", package.version), vec![url.clone()], hashes)?;
                continue;
            }
            "url" => Place::Url(url),
            "file" | "directory" => Place::Path(url),
            kind => return Err(format!("{name} is of the kind {kind}, which would have to be built")),
        };
        pinned.add_direct(path, name, &package.version, &place, hashes)?;
    }
    Ok(pinned)
}
