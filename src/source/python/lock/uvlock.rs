//! `uv.lock`, read as uv reads it: the walk starts at the project's dependencies, and evaluates each marker for the
//! target.
//!
//! Development groups, the project's own extras and the project itself stay out: the project's files come with the
//! function's directory. In the lock of a workspace, the project is the member in whose directory the function is. The
//! format: <https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile>

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::package::{LockedFile, LockedPackage};
use super::uv_schema::{UvArtifact, UvDependency, UvLock, UvPackage, UvSource};
use crate::error::{Error, Result};
use crate::source::address::{file_name, file_url};
use crate::source::python::hashes::Hashes;
use crate::source::python::markers::Environment;
use crate::source::python::wheel::normalized;

/// The packages that the project in the directory `project` needs on the target; without a directory, those of the
/// project at the root.
pub(in crate::source::python) fn read(
    text: &str,
    path: &Path,
    project: Option<&Path>,
    environment: &Environment,
) -> Result<Vec<LockedPackage>> {
    let fail = |fault: String| Error::Requirements { path: path.to_owned(), fault };
    let lock: UvLock = toml::from_str(text).map_err(|error| fail(error.to_string().trim_end().to_owned()))?;
    if lock.version != 1 {
        return Err(fail(format!("its version is {}, which lbuild does not know", lock.version)));
    }
    if let Some(specifier) = &lock.requires_python
        && !environment.takes_python(specifier).map_err(fail)?
    {
        return Err(fail(format!("it is for Python {specifier}")));
    }
    if !environment.is_among(&lock.supported_markers).map_err(fail)? {
        return Err(fail("its environments do not include the image's".to_owned()));
    }
    let root = root(&lock, path, project).map_err(fail)?;
    let mut walk = DependencyWalk { lock: &lock, environment, reached: BTreeMap::new(), todo: Vec::new() };
    walk.dependencies(&lock.packages[root].dependencies).map_err(fail)?;
    let requested: BTreeSet<usize> = walk.reached.keys().copied().collect();
    walk.run().map_err(fail)?;
    // Only the dependencies of a virtual project are installed.
    let is_installed =
        |number: &usize| *number != root && !matches!(lock.packages[*number].source, UvSource::Virtual(_));
    let reached = walk.reached.into_keys().filter(is_installed);
    reached.map(|number| locked(&lock.packages[number], requested.contains(&number), path)).collect()
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
        let mut matching = Vec::new();
        for (number, package) in self.lock.packages.iter().enumerate() {
            let is = package.name == dependency.name
                && dependency.version.as_ref().is_none_or(|version| *version == package.version)
                && dependency.source.as_ref().is_none_or(|source| *source == package.source);
            if is {
                matching.push((number, package));
            }
        }
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
mod tests {
    use super::*;
    use crate::source::python::target::{Machine, Target};

    fn read_for(minor: u32, text: &str) -> Result<Vec<LockedPackage>> {
        let environment = Environment::of(&Target::new(minor, Machine::Aarch64, (2, 34)));
        read(text, Path::new("/p/uv.lock"), None, &environment)
    }

    const LOCK: &str = r#"
version = 1
revision = 3
requires-python = ">=3.9"

[[package]]
name = "fn"
version = "0.1"
source = { virtual = "." }
dependencies = [
    { name = "client", extra = ["fast"] },
    { name = "old", version = "1", source = { registry = "https://i/simple" }, marker = "python_full_version < '3.10'" },
    { name = "old", version = "2", source = { registry = "https://i/simple" }, marker = "python_full_version >= '3.10'" },
    { name = "local" },
]
[package.optional-dependencies]
plots = [{ name = "never" }]
[package.dev-dependencies]
dev = [{ name = "never" }]

[[package]]
name = "client"
version = "3"
source = { registry = "https://i/simple" }
dependencies = [{ name = "colours", marker = "sys_platform == 'win32'" }, { name = "base" }]
wheels = [{ url = "https://f/client-3-py3-none-any.whl", hash = "sha256:HEX", size = 9 }]
[package.optional-dependencies]
fast = [{ name = "speed" }]

[[package]]
name = "base"
version = "1"
source = { registry = "https://i/simple" }
dependencies = [{ name = "client" }]
resolution-markers = ["python_full_version < '3.10'"]

[[package]]
name = "base"
version = "2"
source = { registry = "https://i/simple" }
resolution-markers = ["python_full_version >= '3.10'"]

[[package]]
name = "speed"
version = "1"
source = { registry = "../wheels" }
wheels = [{ path = "speed-1-py3-none-any.whl", hash = "sha256:HEX" }]

[[package]]
name = "old"
version = "1"
source = { registry = "https://i/simple" }

[[package]]
name = "old"
version = "2"
source = { registry = "https://i/simple" }

[[package]]
name = "local"
version = "5"
source = { path = "w/local-5-py3-none-any.whl" }
wheels = [{ filename = "local-5-py3-none-any.whl", hash = "sha256:HEX" }]

[[package]]
name = "never"
version = "1"
source = { url = "https://g/never.zip", subdirectory = "x" }

[[package]]
name = "colours"
version = "1"
source = { registry = "https://i/simple" }
"#;

    fn lock() -> String {
        LOCK.replace("HEX", &"cd".repeat(32))
    }

    #[test]
    fn the_projects_dependencies_on_the_target_are_found() {
        let names = |minor| {
            let found = read_for(minor, &lock()).unwrap();
            let text = |locked: &LockedPackage| {
                format!("{} {}{}", locked.name, locked.version, if locked.requested { " *" } else { "" })
            };
            found.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(names(12), ["client 3 *", "base 2", "speed 1", "old 2 *", "local 5 *"]);
        assert_eq!(names(9), ["client 3 *", "base 1", "speed 1", "old 1 *", "local 5 *"]);
    }

    #[test]
    fn a_lock_fits_if_one_of_its_environments_is_the_images() {
        let markers = r#"supported-markers = ["sys_platform == 'win32'", "platform_machine == 'aarch64'"]"#;
        let text = lock().replacen("requires-python", &format!("{markers}\nrequires-python"), 1);
        assert_eq!(read_for(12, &text).unwrap().len(), 5);
    }

    #[test]
    fn files_are_found_by_url_and_by_path() {
        let found = read_for(12, &lock()).unwrap();
        let file = |number: usize| found[number].files[0].clone();
        assert_eq!((file(0).url.as_str(), file(0).size), ("https://f/client-3-py3-none-any.whl", Some(9)));
        assert!(!file(0).hashes.is_empty() && !found[0].direct);
        assert!(file(2).url.ends_with("/wheels/speed-1-py3-none-any.whl"), "{}", file(2).url);
        assert_eq!(file(4).url, "file:///p/w/local-5-py3-none-any.whl");
        assert!(found[4].direct);
    }

    #[test]
    fn an_unsupported_package_or_lock_is_named() {
        for (from, to, fault) in [
            ("version = 1\nrevision", "version = 2\nrevision", "its version is 2"),
            (">=3.9", ">=3.13", "it is for Python >=3.13"),
            (
                "requires-python",
                "supported-markers = [\"sys_platform == 'win32'\", \"platform_machine == 'x86_64'\"]\nrequires-python",
                "its environments do not include",
            ),
            (
                "requires-python",
                "supported-markers = ['x']\nrequires-python",
                "the marker `x` cannot be read",
            ),
            ("virtual = \".\"", "virtual = \"x\"", "no project at its root"),
            ("{ name = \"base\" }]", "{ name = \"gone\" }]", "gone is needed, but not locked"),
            (
                "{ path = \"w/local-5-py3-none-any.whl\" }",
                "{ url = \"https://h/a.zip\", subdirectory = \"x\" }",
                "local from /p/uv.lock: it is a directory of an archive",
            ),
            (
                "{ path = \"w/",
                "{ future = \"w/",
                "local from /p/uv.lock: it has a source that lbuild does not",
            ),
            (
                "resolution-markers = [\"python_full_version >= '3.10'\"]",
                "",
                "base is needed, but not locked",
            ),
        ] {
            assert!(lock().contains(from), "{from}");
            let error = read_for(12, &lock().replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(fault), "{to}: {error}");
        }
    }
}
