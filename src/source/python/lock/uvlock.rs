//! `uv.lock`, read as uv reads it: the walk starts at the project's dependencies, and evaluates each marker for the
//! target.
//!
//! For a function's directory, development groups, the project's own extras and the project itself stay out: the
//! project's files come with the directory. A command of uv selects what it takes. In the lock of a workspace, the project is the member in whose directory the function is. The
//! format: <https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile>

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::groups::Taken;
use super::package::{LockedFile, LockedPackage};
use super::uv_check::check_fit;
use super::uv_schema::{UvArtifact, UvDependency, UvLock, UvPackage, UvSource};
use crate::error::{Error, Result};
use crate::recipe::{LockSelection, LockedProject};
use crate::source::address::{file_name, file_url};
use crate::source::python::hashes::Hashes;
use crate::source::python::markers::Environment;
use crate::source::python::wheel::normalized;
use crate::source::text;

/// The packages that the project in the directory `project` needs on the target; without a directory, those of the
/// project at the root. With a selection, they are those that a command of uv takes.
pub(in crate::source::python) fn read(
    text: &str,
    path: &Path,
    project: Option<&Path>,
    selection: Option<&LockSelection>,
    environment: &Environment,
) -> Result<Vec<LockedPackage>> {
    let fail = |fault: String| Error::Requirements { path: path.to_owned(), fault };
    let lock = parsed(text).map_err(fail)?;
    if let Some(specifier) = &lock.requires_python
        && !environment.takes_python(specifier).map_err(fail)?
    {
        return Err(fail(format!("it is for Python {specifier}")));
    }
    if !environment.is_among(&lock.supported_markers).map_err(fail)? {
        return Err(fail("its environments do not include the image's".to_owned()));
    }
    let root = root(&lock, path, project).map_err(fail)?;
    let package = &lock.packages[root];
    let taken = match selection {
        None => Taken::main(),
        Some(selection) => {
            let place = package.source.project().unwrap_or(".");
            let file = path.parent().unwrap_or(Path::new("")).join(place).join("pyproject.toml");
            let project: toml::Table = text::read(&file)?.parse().map_err(|error: toml::de::Error| {
                fail(format!("pyproject.toml cannot be read: {}", error.message()))
            })?;
            taken(&lock, root, selection, &project).map_err(fail)?
        }
    };
    let mut walk = DependencyWalk { lock: &lock, environment, reached: BTreeMap::new(), todo: Vec::new() };
    for dependencies in dependencies(package, &taken) {
        walk.dependencies(dependencies).map_err(fail)?;
    }
    let requested: BTreeSet<usize> = walk.reached.keys().copied().collect();
    walk.run().map_err(fail)?;
    let wanted = selection.map_or(LockedProject::LeftOut, |selection| selection.project);
    if wanted != LockedProject::LeftOut && taken.main {
        walk.reached.entry(root).or_default();
    } else {
        walk.reached.remove(&root);
    }
    // Only the dependencies of a virtual project are installed.
    let is_installed = |number: &usize| !matches!(lock.packages[*number].source, UvSource::Virtual(_));
    let reached: Vec<usize> = walk.reached.into_keys().filter(is_installed).collect();
    if wanted == LockedProject::Editable
        && let Some(number) = reached.iter().find(|number| lock.packages[**number].source.is_editable())
    {
        return Err(Error::EditablePackage { package: lock.packages[*number].name.clone() });
    }
    reached
        .into_iter()
        .map(|number| locked(&lock.packages[number], requested.contains(&number), path))
        .collect()
}

/// The tables of a lock.
pub(super) fn parsed(text: &str) -> Result<UvLock, String> {
    let lock: UvLock = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    match lock.version {
        1 => Ok(lock),
        version => Err(format!("its version is {version}, which lbuild does not know")),
    }
}

/// What a command takes of the project with this number.
pub(super) fn taken(
    lock: &UvLock,
    root: usize,
    selection: &LockSelection,
    project: &toml::Table,
) -> Result<Taken, String> {
    let package = &lock.packages[root];
    if !lock.conflicts.is_empty() {
        return Err(
            "it has extras or groups that exclude each other, which lbuild does not support".to_owned()
        );
    }
    if selection.checked {
        check_fit(lock, package, project)?;
    }
    let groups = package.dev_dependencies.keys().chain(package.metadata.requires_dev.keys());
    let groups = groups.map(|name| normalized(name)).collect();
    let extras = package.optional_dependencies.keys().chain(&package.metadata.provides_extras);
    let extras = extras.map(|name| normalized(name)).collect();
    Taken::of_uv(selection, project, &groups, &extras)
}

/// The lists of dependencies that are taken of a project.
pub(super) fn dependencies<'p>(package: &'p UvPackage, taken: &Taken) -> Vec<&'p [UvDependency]> {
    let mut all = Vec::new();
    if taken.main {
        all.push(&package.dependencies[..]);
    }
    let extras = package.optional_dependencies.iter();
    all.extend(
        extras.filter(|(name, _)| taken.extras.contains(&normalized(name))).map(|(_, list)| &list[..]),
    );
    let groups = package.dev_dependencies.iter();
    all.extend(
        groups.filter(|(name, _)| taken.groups.contains(&normalized(name))).map(|(_, list)| &list[..]),
    );
    all
}

/// The packages of the lock that a dependency may mean.
pub(super) fn candidates<'l>(
    lock: &'l UvLock,
    dependency: &UvDependency,
) -> impl Iterator<Item = (usize, &'l UvPackage)> {
    lock.packages.iter().enumerate().filter(|(_, package)| {
        package.name == dependency.name
            && dependency.version.as_ref().is_none_or(|version| *version == package.version)
            && dependency.source.as_ref().is_none_or(|source| *source == package.source)
    })
}

/// The index of the project whose dependencies are installed: the nearest at or above the directory `project`.
fn root(lock: &UvLock, path: &Path, project: Option<&Path>) -> Result<usize, String> {
    let dir = path.parent().unwrap_or(Path::new(""));
    let real = |path: &Path| std::path::absolute(path).map(|path| path.canonicalize().unwrap_or(path)).ok();
    let projects = lock.packages.iter().enumerate();
    let projects = projects.filter_map(|(number, package)| Some((number, package.source.project()?)));
    let projects: Vec<(usize, &str)> = projects.collect();
    let function = project.and_then(real);
    let above = |place: &str| {
        let at = real(&dir.join(place))?;
        function.as_ref().filter(|function| function.starts_with(&at)).map(|_| at.components().count())
    };
    let nearest = projects.iter().filter_map(|(number, place)| Some((above(place)?, *number))).max();
    if let Some((_, number)) = nearest {
        return Ok(number);
    }
    let members = &lock.manifest.members;
    match projects.iter().find(|(_, place)| *place == ".") {
        Some((number, _)) if members.len() < 2 || function.is_none() => Ok(*number),
        None if members.is_empty() => Err("it has no project at its root".to_owned()),
        _ => Err(format!(
            "it is the lock of the workspace members {}, and the function is in the directory of none of them: for one \
             of them, run `uv export --package NAME --format pylock.toml --output-file pylock.toml`",
            members.join(", ")
        )),
    }
}

/// The packages of the lock that the walk has reached, and those whose dependencies it still has to follow.
struct DependencyWalk<'a> {
    lock: &'a UvLock,
    environment: &'a Environment,
    /// The packages, by their index in the lock, and the requested extras of each.
    reached: BTreeMap<usize, BTreeSet<String>>,
    /// Dependencies of a package, or of one of its extras.
    todo: Vec<(usize, Option<String>)>,
}

impl<'a> DependencyWalk<'a> {
    fn run(&mut self) -> Result<(), String> {
        while let Some((number, extra)) = self.todo.pop() {
            let package = &self.lock.packages[number];
            let dependencies = match &extra {
                None => &package.dependencies,
                Some(extra) => match package.optional_dependencies.get(extra) {
                    Some(dependencies) => dependencies,
                    // As with pip, an extra that the package does not have is ignored.
                    None => continue,
                },
            };
            self.dependencies(dependencies)?;
        }
        Ok(())
    }

    fn dependencies(&mut self, dependencies: &'a [UvDependency]) -> Result<(), String> {
        for dependency in dependencies {
            if let Some(marker) = &dependency.marker
                && !self.environment.matches(marker)?
            {
                continue;
            }
            let number = self.find(dependency)?;
            let new = !self.reached.contains_key(&number);
            let extras = self.reached.entry(number).or_default();
            if new {
                self.todo.push((number, None));
            }
            for extra in &dependency.extra {
                if extras.insert(extra.clone()) {
                    self.todo.push((number, Some(extra.clone())));
                }
            }
        }
        Ok(())
    }

    /// The package that a dependency names. If the lock has several versions of it, the dependency names one, or the
    /// markers of the versions decide.
    fn find(&self, dependency: &UvDependency) -> Result<usize, String> {
        let mut matching: Vec<_> = candidates(self.lock, dependency).collect();
        if matching.len() > 1 {
            let mut fitting = Vec::new();
            for (number, package) in &matching {
                for marker in &package.resolution_markers {
                    if self.environment.matches(marker)? {
                        fitting.push((*number, *package));
                        break;
                    }
                }
            }
            matching = fitting;
        }
        match matching[..] {
            [(number, _)] => Ok(number),
            [] => Err(format!("{} is needed, but not locked", dependency.name)),
            _ => Err(format!("{} is locked in several versions that fit the target", dependency.name)),
        }
    }
}

fn locked(package: &UvPackage, requested: bool, path: &Path) -> Result<LockedPackage> {
    let fail = |fault: &str| {
        let fault = fault.to_owned();
        Error::Locked { path: path.to_owned(), package: package.name.clone(), fault }
    };
    if let Some(fault) = package.source.unbuilt() {
        return Err(fail(fault));
    }
    let artifacts = package.wheels.iter().chain(&package.sdist);
    let dir = path.parent().unwrap_or(Path::new(""));
    let directory = package.source.project();
    let directory = directory.map(|place| LockedFile::directory(&package.name, &package.version, dir, place));
    let files = artifacts.map(|artifact| file(artifact, package, path)).chain(directory);
    let files: Option<Vec<LockedFile>> = files.collect();
    let files = files.ok_or_else(|| fail("one of its files has neither a URL nor a path"))?;
    let direct = !matches!(package.source, UvSource::Registry(_));
    let (name, version) = (normalized(&package.name), package.version.clone());
    Ok(LockedPackage { name, version, files, requested, direct })
}

fn file(artifact: &UvArtifact, package: &UvPackage, lock: &Path) -> Option<LockedFile> {
    let dir = lock.parent().unwrap_or(Path::new(""));
    let url = match (&artifact.url, &artifact.path, &package.source) {
        (Some(url), _, _) => url.clone(),
        // A path within a directory that serves as an index.
        (None, Some(path), UvSource::Registry(index)) => file_url(&dir.join(index), path)?,
        (None, Some(path), _) | (None, None, UvSource::Path(path)) => file_url(dir, path)?,
        (None, None, UvSource::Url(url)) => url.clone(),
        _ => return None,
    };
    let name = artifact.filename.clone().or_else(|| file_name(&url))?;
    Some(LockedFile { name, url, hashes: Hashes::of(&artifact.hash), size: artifact.size })
}

#[cfg(test)]
mod tests;
