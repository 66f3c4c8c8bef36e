//! `poetry.lock`: <https://python-poetry.org/docs/basic-usage/#installing-with-poetrylock>.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::condition::Condition;
use super::fresh;
use super::groups::Taken;
use super::pinned::{Pinned, Place};
use super::requirement_line::{Requirement, line};
use crate::error::{Error, Result};
use crate::recipe::{LockExport, LockSelection};
use crate::source::python::hashes::Hashes;
use crate::source::python::markers::Environment;
use crate::source::python::wheel::normalized;
use crate::source::text;

#[derive(Deserialize)]
struct PoetryLock {
    #[serde(default, rename = "package")]
    packages: Vec<PoetryPackage>,
    #[serde(default)]
    metadata: PoetryMetadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PoetryMetadata {
    python_versions: Option<String>,
    content_hash: Option<String>,
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

/// The packages of the lock's main group that the target needs; with a selection, those that a command of Poetry takes.
pub(in crate::source::python) fn read(
    text: &str,
    path: &Path,
    selection: Option<&LockSelection>,
    environment: &Environment,
) -> Result<Pinned> {
    let taken = match selection {
        None => Ok(Taken { groups: BTreeSet::from(["main".to_owned()]), ..Taken::main() }),
        Some(selection) => {
            let project = text::read(&path.with_file_name("pyproject.toml"))?.parse();
            let project = project.map_err(|error: toml::de::Error| error.message().to_owned());
            project.and_then(|project: toml::Table| {
                check_fit(text, selection, &project)?;
                Taken::of_poetry(selection, &project)
            })
        }
    };
    let pinned = taken.and_then(|taken| pinned(text, path, &taken, environment));
    pinned.map_err(|fault| Error::Requirements { path: path.to_owned(), fault })
}

/// Fails if the project's file has changed since the lock was written.
fn check_fit(
    text: &str,
    selection: &LockSelection,
    project: &toml::Table,
) -> std::result::Result<(), String> {
    let locked = PoetryLock::of(text)?.metadata.content_hash;
    match (locked, fresh::of_poetry(project)) {
        (Some(locked), Some(digests)) if selection.checked && !digests.contains(&locked) => {
            Err("pyproject.toml has changed since it was written: run `poetry lock`".to_owned())
        }
        _ => Ok(()),
    }
}

impl PoetryLock {
    fn of(text: &str) -> std::result::Result<PoetryLock, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }
}

impl PoetryPackage {
    /// The markers of the groups that are taken, `None` for a group without one; empty if no group is taken.
    fn markers(&self, taken: &Taken) -> std::result::Result<Vec<Option<&str>>, String> {
        let Some(groups) = &self.groups else {
            return Err("it does not mark development packages: run `poetry lock` of version 2".into());
        };
        let groups = groups.iter().filter(|group| taken.groups.contains(&normalized(group)));
        let marker = |group: &String| match &self.markers {
            Some(Markers::All(marker)) => Some(marker.as_str()),
            Some(Markers::Each(markers)) => markers.get(group).map(String::as_str),
            None => None,
        };
        // Only an extra needs an optional package.
        let is_wanted = !self.optional || !taken.extras.is_empty();
        Ok(groups.filter(|_| is_wanted).map(marker).collect())
    }
}

/// The lock as requirements, as `poetry export` writes them. `project` is `pyproject.toml`.
pub(super) fn export(
    text: &str,
    project: &toml::Table,
    export: &LockExport,
) -> std::result::Result<String, String> {
    let lock = PoetryLock::of(text)?;
    let taken = Taken::of_poetry(&export.selection, project)?;
    let python = Condition::of(lock.metadata.python_marker().as_deref())?;
    let (mut lines, mut indexes) = (String::new(), Vec::new());
    let mut all_of_indexes = true;
    for package in &lock.packages {
        let mut condition = Condition::default();
        for marker in package.markers(&taken)? {
            let wanted = Condition::of(marker)?.with_extras(&taken.extras);
            condition = condition.or(&wanted)?;
        }
        let Some(marker) = condition.and(&python)?.text() else { continue };
        let PoetryPackage { name, version, files, .. } = package;
        let text = match &package.source {
            None => {
                all_of_indexes = false;
                format!("{name}=={version}")
            }
            Some(PoetrySource { kind, url, .. }) if kind == "legacy" => {
                if !indexes.contains(url) {
                    indexes.push(url.clone());
                }
                format!("{name}=={version}")
            }
            Some(PoetrySource { kind, url, subdirectory: None }) if kind == "url" => {
                format!("{name} @ {url}")
            }
            Some(_) => return Err(format!("{name} is not from an index, and cannot be exported")),
        };
        if text.contains(|c: char| c.is_control() || c == '\\') {
            return Err(format!("`{}` is not a requirement", text.escape_debug()));
        }
        let is_plain =
            |hash: &&PoetryFile| hash.hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b':');
        let hashes = files.iter().filter(is_plain).map(|file| file.hash.clone()).collect();
        let requirement = Requirement { text, marker, hashes, users: Vec::new() };
        lines += &line(&requirement, " ; ", export.hashes);
    }
    Ok(index_options(&indexes, all_of_indexes)? + &lines)
}

/// The lines that name the indexes. The first is the only one for what has no index of its own, if the project replaces
/// the default one.
fn index_options(indexes: &[String], all: bool) -> std::result::Result<String, String> {
    let mut text = String::new();
    for (number, url) in indexes.iter().enumerate() {
        if url.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err("the URL of an index cannot be read".to_owned());
        }
        if let Some(rest) = url.strip_prefix("http://") {
            text += &format!("--trusted-host {}\n", rest.split('/').next().unwrap_or_default());
        }
        let option = if all && number == 0 { "--index-url" } else { "--extra-index-url" };
        text += &format!("{option} {url}\n");
    }
    if !text.is_empty() {
        text.push('\n');
    }
    Ok(text)
}

impl PoetryMetadata {
    /// The versions of Python as a marker, if they are a list of simple bounds.
    fn python_marker(&self) -> Option<String> {
        let bound = |text: &str| {
            let text = text.trim();
            let (operator, version) = [">=", "<=", "<", ">"]
                .into_iter()
                .find_map(|operator| Some((operator, text.strip_prefix(operator)?.trim())))?;
            let is_number =
                !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            let name = match version.matches('.').count() {
                0 | 1 => "python_version",
                _ => "python_full_version",
            };
            is_number.then(|| format!("{name} {operator} \"{version}\""))
        };
        let bounds: Option<Vec<String>> = self.python_versions.as_deref()?.split(',').map(bound).collect();
        Some(bounds?.join(" and "))
    }
}

fn pinned(
    text: &str,
    path: &Path,
    taken: &Taken,
    environment: &Environment,
) -> std::result::Result<Pinned, String> {
    let lock = PoetryLock::of(text)?;
    let mut environment = environment.clone();
    environment.extras.clone_from(&taken.extras);
    let mut pinned = Pinned::default();
    for package in &lock.packages {
        let name = &package.name;
        let mut is_needed = false;
        for marker in package.markers(taken)? {
            is_needed |= marker.map_or(Ok(true), |marker| environment.matches(marker))?;
        }
        if !is_needed {
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
