//! An install of Python packages into an image, without running its command.
//!
//! 1. [`PythonInstallation::of`] finds the interpreter and its packages in the view of the image.
//! 2. The caller reads the files that it [`needs`](PythonInstallation::needs), which may name others.
//! 3. [`plan`](PythonInstallation::plan) resolves the requirements, and returns the layers of the wheels, with the files
//!    of the packages that they replace.

mod plan;

use std::collections::BTreeSet;

use super::environment::VirtualEnvironment;
use super::image_files::{Contents, files_below};
use super::installed::InstalledPackage;
use super::interpreter::{ImageLibc, ImagePython};
use super::listed::{included, lines_of, local_path};
use super::locked::LockedFiles;
use super::removal::Removal;
use super::settings::InstallSurroundings;
use crate::image::paths::{joined, relative};
use crate::recipe::{PythonInstall, PythonInstaller};
use crate::source::part::Part;
use crate::tree::{Target, View};

/// An install, with what it depends on in the image.
pub(crate) struct PythonInstallation {
    pub(super) install: PythonInstall,
    pub(super) surroundings: InstallSurroundings,
    pub(super) python: ImagePython,
    /// The directory for the packages, a path in the image without a slash at either end; `None`: the interpreter's.
    pub(super) target: Option<String>,
    pub(super) environment: Option<VirtualEnvironment>,
    /// The directory of the user for whom the packages are.
    pub(super) user_base: Option<String>,
    /// The packages at the place of the install.
    packages: Vec<InstalledPackage>,
    /// The files below the directories that are packages themselves.
    sources: Vec<String>,
    /// Files that may belong to packages of the lock.
    candidates: Vec<String>,
}

/// The layers of an install, and what it removes.
pub(crate) struct InstallPlan {
    /// The layers, with the directory that their paths are relative to.
    pub(crate) layers: Vec<Box<dyn Part>>,
    pub(crate) to: String,
    /// The directory of the packages.
    pub(crate) place: String,
    /// The files of replaced packages.
    pub(crate) removed: Removal,
    /// What a user should know.
    pub(crate) warnings: Vec<String>,
    /// The number of layers.
    pub(crate) count: usize,
}

/// The directory of root's own packages.
const USER_BASE: &str = "/root/.local";

impl PythonInstallation {
    /// Finds what the install needs in an image. The error says what is missing.
    pub(crate) fn of<C>(
        install: &PythonInstall,
        surroundings: &InstallSurroundings,
        view: &View<'_, C>,
        libc: ImageLibc,
    ) -> std::result::Result<PythonInstallation, String> {
        let directory = surroundings.directory.as_str();
        let python = ImagePython::find(view, &surroundings.path, &install.program, libc)?;
        let resolve = |path: &str| {
            let resolved = view.resolve(joined(directory, path));
            String::from_utf8_lossy(resolved.path.as_bytes()).into_owned()
        };
        let is_file =
            |name: &String| !matches!(view.resolve(joined(directory, name)).target, Target::Nothing);
        if let Some(name) = install.patterns.iter().flat_map(|pattern| matches_of(pattern)).find(is_file) {
            return Err(format!(
                "a shell puts the file `{name}` in the place of the package: quote its name"
            ));
        }
        let target = install.target.as_deref().map(resolve);
        let named = install.environment.as_deref().map(|path| joined(directory, path));
        let environment = named
            .map(|named| VirtualEnvironment::find(view, &format!("/{}", relative(&named)), &python))
            .transpose()?;
        let user_base = install.user_base.as_deref().map(resolve);
        let places = match (&target, &environment) {
            (Some(target), _) => vec![target.clone()],
            (None, Some(environment)) => vec![environment.packages(&python)],
            (None, None) => {
                // The interpreter looks in the user's directory first; uv does not.
                let is_pip = install.installer == PythonInstaller::Pip;
                let base = user_base.clone().or_else(|| is_pip.then(|| resolve(USER_BASE)));
                let of_user = base.map(|base| python.user_packages(&base));
                of_user.into_iter().chain(python.packages.iter().cloned()).collect()
            }
        };
        let mut seen = BTreeSet::new();
        let packages = places.iter().flat_map(|place| packages_in(view, place));
        // A package hides another of its name in a later directory.
        let packages = packages.filter(|package| seen.insert(package.name.clone())).collect();
        let local = install.packages.iter().filter_map(|package| local_path(package));
        let local = local.chain(install.find_links.iter().map(String::as_str));
        let sources = local.map(resolve).flat_map(|path| files_below(view, &path)).collect();
        let own = if install.lock.is_some() { files_below(view, &resolve(".")) } else { Vec::new() };
        let is_packaged =
            |path: &String| !path.split('/').any(|part| [".venv", "node_modules"].contains(&part));
        let candidates = own.into_iter().filter(is_packaged).collect();
        let (install, surroundings) = (install.clone(), surroundings.clone());
        Ok(PythonInstallation {
            install,
            surroundings,
            python,
            target,
            environment,
            user_base,
            packages,
            sources,
            candidates,
        })
    }

    /// The requirements and constraints files, with those that they include as far as they were read.
    pub(super) fn lists(&self, read: &Contents) -> Vec<String> {
        let named = self.install.requirements.iter().chain(&self.install.constraints);
        let mut wanted: Vec<String> = named.map(|path| self.path(path)).collect();
        let mut next = 0;
        while let Some(path) = wanted.get(next).cloned() {
            next += 1;
            let dir = format!("/{}", path.rsplit_once('/').map_or("", |(dir, _)| dir));
            for line in lines_of(&path, read) {
                let included = included(&line).map(|name| relative(&joined(&dir, name)));
                wanted.extend(included.filter(|path| !wanted.contains(path)).into_iter().collect::<Vec<_>>());
            }
        }
        wanted
    }

    /// The files of the image that are needed and not among those that were read.
    pub(crate) fn needs(&self, read: &Contents) -> Vec<String> {
        let mut wanted = self.lists(read);
        if let Some(lock) = self.locked() {
            wanted.extend(lock.named());
            for place in lock.directories(read) {
                let is_below = |path: &&String| {
                    place.is_empty()
                        || path
                            .strip_prefix(&place)
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                wanted.extend(self.candidates.iter().filter(is_below).cloned());
            }
        }
        wanted.extend(self.sources.iter().cloned());
        wanted.extend(self.settings().into_iter().chain(self.netrc()));
        wanted.extend(self.packages.iter().flat_map(|package| [package.metadata(), package.record()]));
        wanted.retain(|path| !read.contains_key(path));
        wanted
    }

    /// The requirements files, of which a missing one is an error.
    pub(crate) fn requirements(&self) -> impl Iterator<Item = String> {
        let named = self.install.requirements.iter().chain(&self.install.constraints);
        let of_lock = self.locked().map(|lock| lock.required()).into_iter().flatten();
        named.map(|path| self.path(path)).chain(of_lock)
    }

    fn locked(&self) -> Option<LockedFiles<'_>> {
        self.install.lock.as_ref().map(|lock| LockedFiles::of(lock, &self.surroundings.directory))
    }
}

/// The names that match `name[extra]`: brackets stand for one of their characters.
fn matches_of(pattern: &str) -> Vec<String> {
    let parts = pattern.split_once('[').and_then(|(name, rest)| Some((name, rest.split_once(']')?)));
    let Some((name, (extra, rest))) = parts else { return Vec::new() };
    extra.chars().map(|c| format!("{name}{c}{rest}")).collect()
}

/// The packages of a directory, from the names of their metadata.
fn packages_in<C>(view: &View<'_, C>, dir: &str) -> Vec<InstalledPackage> {
    let start = if dir.is_empty() { 0 } else { dir.len() + 1 };
    let mut found: Vec<InstalledPackage> = Vec::new();
    for file in view.below(dir) {
        let path = String::from_utf8_lossy(file.member.path.as_bytes());
        let Some(name) = path.get(start..).and_then(|rest| rest.split('/').next()) else { continue };
        let directory = if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
        if found.last().is_none_or(|last| last.directory != directory) {
            found.extend(InstalledPackage::of(&directory));
        }
    }
    found
}
