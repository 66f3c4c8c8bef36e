//! An install of Python packages into an image, without running its command.
//!
//! 1. [`PythonInstallation::of`] finds the interpreter and its packages in the view of the image.
//! 2. The caller reads the files that it [`needs`](PythonInstallation::needs), which may name others.
//! 3. [`plan`](PythonInstallation::plan) resolves the requirements, and returns the layers of the wheels, with the files
//!    of the packages that they replace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::image_path::{absolute, is_below, plain};
use super::installed::{Installed, InstalledPackage};
use super::interpreter::{ImageLibc, ImagePython};
use super::layer::layers;
use super::lock::lines;
use super::pin::pin;
use super::removal::Removal;
use super::resolve::Present;
use super::wheel::Scheme;
use crate::error::{Error, Result};
use crate::recipe::{Python, PythonInstall, PythonInstaller, Requirements};
use crate::source::part::{Context, Part};
use crate::store::Workplace;
use crate::tree::{Target, View};

/// An install, with what it depends on in the image.
pub(crate) struct PythonInstallation {
    install: PythonInstall,
    /// The absolute directory of the command.
    directory: String,
    python: ImagePython,
    /// The directory for the packages, a path in the image without a slash at either end; `None`: the interpreter's.
    target: Option<String>,
    /// The directory of the user for whom the packages are.
    user_base: Option<String>,
    /// The packages at the place of the install.
    packages: Vec<InstalledPackage>,
    /// The files below the directories that are packages themselves.
    sources: Vec<String>,
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
    /// The number of packages.
    pub(crate) count: usize,
}

/// The directory of root's own packages.
const USER_BASE: &str = "/root/.local";

/// The contents of the image's files, by their paths without a leading slash.
pub(crate) type Contents = BTreeMap<String, Vec<u8>>;

impl PythonInstallation {
    /// Finds what the install needs in an image whose `PATH` is `path`. The error says what is missing.
    pub(crate) fn of<C>(
        install: &PythonInstall,
        directory: &str,
        path: &str,
        view: &View<'_, C>,
        libc: ImageLibc,
    ) -> std::result::Result<PythonInstallation, String> {
        let python = ImagePython::find(view, path, &install.program, libc)?;
        let resolve = |path: &str| {
            let resolved = view.resolve(absolute(directory, path));
            String::from_utf8_lossy(resolved.path.as_bytes()).into_owned()
        };
        let is_file =
            |name: &String| !matches!(view.resolve(absolute(directory, name)).target, Target::Nothing);
        if let Some(name) = install.patterns.iter().flat_map(|pattern| matches_of(pattern)).find(is_file) {
            return Err(format!(
                "a shell puts the file `{name}` in the place of the package: quote its name"
            ));
        }
        let target = install.target.as_deref().map(resolve);
        let user_base = install.user_base.as_deref().map(resolve);
        let places = match &target {
            Some(target) => vec![target.clone()],
            None => {
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
        let sources = local.map(resolve).flat_map(|path| files_below(view, &path)).collect();
        let (install, directory) = (install.clone(), directory.to_owned());
        Ok(PythonInstallation { install, directory, python, target, user_base, packages, sources })
    }

    /// The files of the image that are needed and not among those that were read.
    pub(crate) fn needs(&self, read: &Contents) -> Vec<String> {
        let mut wanted = self.all_requirements(read);
        wanted.extend(self.sources.iter().cloned());
        wanted.extend(self.packages.iter().flat_map(|package| [package.metadata(), package.record()]));
        wanted.retain(|path| !read.contains_key(path));
        wanted
    }

    /// The files with requirements and constraints, and those that they include, as far as they are read.
    fn all_requirements(&self, read: &Contents) -> Vec<String> {
        let mut wanted: Vec<String> = self.requirements().collect();
        let mut next = 0;
        while let Some(path) = wanted.get(next).cloned() {
            next += 1;
            let text = read.get(&path).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            let dir = format!("/{}", path.rsplit_once('/').map_or("", |(dir, _)| dir));
            for line in lines(&text.unwrap_or_default()) {
                let included = included(&line).map(|name| plain(&absolute(&dir, name)));
                wanted.extend(included.filter(|path| !wanted.contains(path)).into_iter().collect::<Vec<_>>());
            }
        }
        wanted
    }

    /// The requirements files, of which a missing one is an error.
    pub(crate) fn requirements(&self) -> impl Iterator<Item = String> {
        let named = self.install.requirements.iter().chain(&self.install.constraints);
        named.map(|path| plain(&absolute(&self.directory, path)))
    }

    /// Resolves the requirements. `read` has the files that were needed, as far as they exist.
    pub(crate) async fn plan(&self, read: &Contents, context: &Context) -> Result<InstallPlan> {
        self.check_links(read)?;
        let place = Arc::new(context.cache.workplace()?);
        let root = place.absolute()?.join("root");
        let path = self.write(read, &root)?;
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
        };
        let python = self.python(path);
        let mut wheels = pin(&python, &present, context).await?;
        // uv marks every package as requested.
        wheels.iter_mut().for_each(|wheel| wheel.requested |= uses_uv);
        let emptied_below = uses_uv.then(|| match &self.target {
            Some(target) => vec![target.clone()],
            None => self.python.packages.clone(),
        });
        let (mut removed, mut warnings) = (Removal::new(emptied_below), Vec::new());
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
        };
        let scheme = match (&self.target, &self.user_base) {
            (Some(_), _) => self.python.flat_scheme(installer),
            (None, Some(base)) => self.python.user_scheme(installer, base),
            (None, None) => self.python.scheme(installer),
        };
        let layers = self.layers(&python, &wheels, &scheme, &place, context).await?;
        let to = self.target.as_deref().map_or("/".to_owned(), |target| format!("/{target}"));
        let place = scheme.directories.as_ref().map_or(to.clone(), |dirs| format!("/{}", dirs.packages));
        Ok(InstallPlan { layers, to, place, removed, warnings, count: wheels.len() })
    }

    /// Refuses requirements that find packages in a directory: the directory is not read.
    fn check_links(&self, read: &Contents) -> Result<()> {
        let is_local = |line: &String| {
            let place = ["--find-links", "-f"].iter().find_map(|flag| line.strip_prefix(flag));
            place.is_some_and(|place| !place.contains("://"))
        };
        let files = self.all_requirements(read);
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

    async fn layers(
        &self,
        python: &Python,
        wheels: &[crate::recipe::Wheel],
        scheme: &Scheme,
        place: &Arc<Workplace>,
        context: &Context,
    ) -> Result<Vec<Box<dyn Part>>> {
        let layers = layers(python, wheels, Some(scheme), context).await?;
        let keep = |layer: super::layer::WheelLayer| Box::new(layer.within(place.clone())) as Box<dyn Part>;
        Ok(layers.into_iter().map(keep).collect())
    }

    fn python(&self, path: PathBuf) -> Python {
        let (glibc, musl) = match self.python.libc {
            ImageLibc::Glibc(major, minor) => ((major, minor), false),
            ImageLibc::Musl => ((2, 0), true),
        };
        Python {
            requirements: Requirements::File { path, project: None },
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
    fn write(&self, read: &Contents, root: &Path) -> Result<PathBuf> {
        let write = |path: &Path, bytes: &[u8]| {
            let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
            made.map_err(|source| Error::Write { path: path.to_owned(), source })
        };
        for (path, bytes) in read {
            write(&root.join(path), bytes)?;
        }
        let mut text: String = self.install.options.iter().map(|line| format!("{line}\n")).collect();
        let lists = [("-r", &self.install.requirements), ("-c", &self.install.constraints)];
        for (flag, paths) in lists {
            for path in paths {
                let path = root.join(plain(&absolute(&self.directory, path)));
                text += &format!("{flag} {}\n", path.display());
            }
        }
        for package in &self.install.packages {
            match local_path(package) {
                Some(path) => {
                    let place = root.join(plain(&absolute(&self.directory, path)));
                    text += &format!("{}{}\n", place.display(), &package[path.len()..]);
                }
                None => text += &format!("{package}\n"),
            }
        }
        let path = root.join(plain(&self.directory)).join("requirements.lbuild.txt");
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

/// The path of a package that is a file or a directory of the image, without its extras.
fn local_path(package: &str) -> Option<&str> {
    let path = package.split('[').next()?;
    let is_path = path == "." || path == ".." || path.contains('/') || path.ends_with(".whl");
    (is_path && !path.contains("://") && !package.contains(" @ ")).then_some(path)
}

/// The file that a line of requirements includes.
fn included(line: &str) -> Option<&str> {
    let flags = ["--requirement", "--constraint", "-r", "-c"];
    let rest = flags.iter().find_map(|flag| line.strip_prefix(flag))?;
    let path = rest.trim_start_matches('=').trim();
    (!path.is_empty() && !path.contains("://")).then_some(path)
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

fn files_below<C>(view: &View<'_, C>, path: &str) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match view.resolve(path).target {
        Target::Entry(file) if !file.member.is_directory() => vec![path.to_owned()],
        _ => {
            let files = view.below(path).filter(|file| file.member.is_file());
            files.map(|file| text(file.member.path.as_bytes())).collect()
        }
    }
}
