//! An install of Python packages into an image, without running its command.
//!
//! 1. [`PythonInstallation::of`] finds the interpreter and its packages in the view of the image.
//! 2. The caller reads the files that it [`needs`](PythonInstallation::needs), which may name others.
//! 3. [`plan`](PythonInstallation::plan) resolves the requirements, and returns the layers of the wheels, with the files
//!    of the packages that they replace.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::environment::VirtualEnvironment;
use super::image_files::{Contents, files_below, is_below, text_of};
use super::installed::{Installed, InstalledPackage};
use super::interpreter::{ImageLibc, ImagePython};
use super::layer::{WheelLayer, layers};
use super::listed::{included, is_editable, lines_of, local_path};
use super::lock::lines;
use super::locked::LockedFiles;
use super::pin::pin;
use super::removal::Removal;
use super::resolve::Present;
use super::settings::InstallSurroundings;
use crate::error::{Error, Result};
use crate::image::paths::{joined, relative};
use crate::recipe::{Python, PythonInstall, PythonInstaller, Requirements, Wheel};
use crate::source::part::{Context, Part};
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

    /// Resolves the requirements. `read` has the files that were needed, as far as they exist.
    pub(crate) async fn plan(&self, read: &Contents, context: &Context) -> Result<InstallPlan> {
        self.check_links(read)?;
        let place = Arc::new(context.cache.workplace()?);
        let root = place.absolute()?.join("root");
        if let Some(lock) = self.locked() {
            lock.check(read, &self.python)
                .map_err(|fault| Error::Requirements { path: self.install.named().into(), fault })?;
        }
        if let Some(line) =
            self.lists(read).iter().flat_map(|path| lines_of(path, read)).find(|line| is_editable(line))
        {
            let fault =
                format!("`{line}` installs a package in its directory, which only its build backend can do");
            return Err(Error::Requirements { path: self.install.named().into(), fault });
        }
        let (lines, settings) = self
            .settled(read, &root)
            .map_err(|fault| Error::Requirements { path: self.install.named().into(), fault })?;
        let path = self.write(read, &root, &lines)?;
        let uses_uv = self.install.installer == PythonInstaller::Uv;
        let metadata = self
            .packages
            .iter()
            .filter_map(|package| Some((package.directory.clone(), read.get(&package.metadata())?.clone())));
        let installed = Installed::new(self.packages.clone(), metadata.collect());
        // pip and uv look at the packages of the interpreter; in a directory of its own only uv does.
        let ignores = self.target.is_some() && !uses_uv;
        let present = Present {
            installed: if ignores { Installed::default() } else { installed },
            upgrade: self.install.upgrade,
            no_dependencies: self.install.no_dependencies,
            settings,
        };
        let python = self.python(path);
        let selection = self.install.lock.as_ref();
        // A lock names all packages, whatever the image has.
        let nothing = Present { settings: present.settings.clone(), ..Present::default() };
        let resolving = selection.map_or(&present, |_| &nothing);
        let mut wheels = pin(&python, resolving, selection, context).await?;
        // uv marks every package as requested, and so does Pipenv, which names them all to pip.
        let all = uses_uv || (selection.is_some() && self.install.installer == PythonInstaller::Pip);
        // A package of the image has no name in the command.
        let is_local = |wheel: &Wheel| selection.is_none() && wheel.direct && wheel.url.starts_with("file:");
        wheels.iter_mut().for_each(|wheel| wheel.requested |= all || is_local(wheel));
        let emptied_below = uses_uv.then(|| match (&self.target, &self.environment) {
            (Some(target), _) => vec![target.clone()],
            (None, Some(environment)) => vec![environment.packages(&self.python)],
            (None, None) => self.python.packages.clone(),
        });
        let (mut removed, mut warnings) = (Removal::new(emptied_below), Vec::new());
        self.add_extraneous(&mut removed, &wheels, read);
        if selection.is_some() {
            wheels.retain(|wheel| !present.installed.has(&wheel.name, &wheel.version));
        }
        wheels.retain(|wheel| {
            let Some(old) = self.packages.iter().find(|package| package.name == wheel.name) else { return true };
            if ignores && !self.install.upgrade {
                if old.version != wheel.version {
                    let (name, old, new) = (&wheel.name, &old.version, &wheel.version);
                    warnings.push(format!(
                        "{name} {old} stays in the target directory, and {new} is not installed: --upgrade replaces it"
                    ));
                }
                return false;
            }
            // Of the packages of all users, one user hides the old version.
            let is_hidden = self.user_base.as_ref().is_some_and(|base| !is_below(&old.directory, base));
            if !is_hidden {
                let record = read.get(&old.record()).map(|bytes| String::from_utf8_lossy(bytes));
                removed.add(old, &record.unwrap_or_default());
            }
            true
        });
        let installer = match self.install.installer {
            _ if !self.install.installer_metadata => None,
            PythonInstaller::Pip => Some("pip\n"),
            PythonInstaller::Uv => Some("uv"),
            PythonInstaller::Poetry => Some("Poetry"),
        };
        let scheme = match &self.environment {
            Some(environment) => environment.scheme(&self.python, installer),
            None => match (&self.target, &self.user_base) {
                (Some(_), _) => self.python.flat_scheme(installer),
                (None, Some(base)) => self.python.user_scheme(installer, base),
                (None, None) => self.python.scheme(installer),
            },
        };
        let mut layers = self.skeleton(read)?;
        let of_wheels = self::layers(&python, &wheels, Some(&scheme), &present.settings, context).await?;
        let keep = |layer: WheelLayer| Box::new(layer.within(place.clone())) as Box<dyn Part>;
        layers.extend(of_wheels.into_iter().map(keep));
        let to = self.target.as_deref().map_or("/".to_owned(), |target| format!("/{target}"));
        let place = scheme.directories.as_ref().map_or(to.clone(), |dirs| format!("/{}", dirs.packages));
        let count = layers.len();
        Ok(InstallPlan { layers, to, place, removed, warnings, count })
    }

    /// The layer of a new virtual environment, if there is one.
    fn skeleton(&self, read: &Contents) -> Result<Vec<Box<dyn Part>>> {
        let Some(environment) = &self.environment else { return Ok(Vec::new()) };
        let prompt = self.locked().map(|lock| lock.prompt(read)).unwrap_or_default();
        let skeleton = environment.skeleton(&self.python, &prompt)?;
        Ok(skeleton.map(|skeleton| Box::new(skeleton) as Box<dyn Part>).into_iter().collect())
    }

    /// The files of the packages that an exact install removes, because the lock does not have them.
    fn add_extraneous(&self, removal: &mut Removal, wanted: &[Wheel], read: &Contents) {
        if !self.install.exact {
            return;
        }
        let keeps_seeds = self.environment.as_ref().is_none_or(VirtualEnvironment::keeps_seeds);
        let seeds: &[&str] =
            if self.python.minor < 12 { &["pip", "uv", "setuptools", "wheel"] } else { &["pip", "uv"] };
        let is_kept = |package: &&InstalledPackage| {
            wanted.iter().any(|wheel| wheel.name == package.name)
                || (keeps_seeds && seeds.contains(&&*package.name))
        };
        for package in self.packages.iter().filter(|package| !is_kept(package)) {
            removal.add(package, &text_of(read, &package.record()));
        }
    }

    /// Refuses requirements that find packages in a directory: the directory is not read.
    fn check_links(&self, read: &Contents) -> Result<()> {
        let is_local = |line: &String| {
            let place = ["--find-links", "-f"].iter().find_map(|flag| line.strip_prefix(flag));
            place.is_some_and(|place| !place.contains("://"))
        };
        let files = self.lists(read);
        let texts = files.iter().filter_map(|path| Some((path, read.get(path)?)));
        for (path, bytes) in texts {
            let line = lines(&String::from_utf8_lossy(bytes)).into_iter().find(is_local);
            if let Some(line) = line {
                let fault = format!("`{line}` is not supported: it must be an address");
                return Err(Error::Requirements { path: path.into(), fault });
            }
        }
        Ok(())
    }

    fn python(&self, path: PathBuf) -> Python {
        let (glibc, musl) = match self.python.libc {
            ImageLibc::Glibc(major, minor) => ((major, minor), false),
            ImageLibc::Musl => ((2, 0), true),
        };
        Python {
            requirements: Requirements::File { project: path.parent().map(Path::to_owned), path },
            version: format!("3.{}", self.python.minor),
            glibc,
            musl,
            wheels: None,
            require_hashes: self.install.require_hashes,
            slim: false,
            bytecode: self.install.bytecode,
        }
    }

    /// Writes the files below `root` at their paths in the image, and a file that names them all.
    fn write(&self, read: &Contents, root: &Path, lines: &[String]) -> Result<PathBuf> {
        let write = |path: &Path, bytes: &[u8]| {
            let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
            made.map_err(|source| Error::Write { path: path.to_owned(), source })
        };
        for (path, bytes) in read {
            write(&root.join(path), bytes)?;
        }
        if let Some(lock) = self.locked() {
            return Ok(lock.lock(root));
        }
        let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        for path in &self.install.find_links {
            text += &format!("--find-links {}\n", root.join(self.path(path)).display());
        }
        let lists = [("-r", &self.install.requirements), ("-c", &self.install.constraints)];
        for (flag, paths) in lists {
            for path in paths {
                let path = root.join(self.path(path));
                text += &format!("{flag} {}\n", path.display());
            }
        }
        for package in &self.install.packages {
            match local_path(package) {
                Some(path) => {
                    let place = root.join(self.path(path));
                    text += &format!("{}{}\n", place.display(), &package[path.len()..]);
                }
                None => text += &format!("{package}\n"),
            }
        }
        let path = root.join(relative(&self.surroundings.directory)).join("requirements.lbuild.txt");
        write(&path, text.as_bytes())?;
        Ok(path)
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
