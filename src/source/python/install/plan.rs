//! The plan of an install: what is resolved, what is removed and which layers result.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::environment::VirtualEnvironment;
use super::super::image_files::{Contents, is_below, text_of};
use super::super::installed::{Installed, InstalledPackage};
use super::super::interpreter::ImageLibc;
use super::super::layer::{self, WheelLayer};
use super::super::listed::{is_editable, lines_of, local_path};
use super::super::lock::lines;
use super::super::pin::pin;
use super::super::removal::Removal;
use super::super::resolve::Present;
use super::super::settings::InstallSettings;
use super::super::wheel::Scheme;
use super::{InstallPlan, PythonInstallation};
use crate::error::{Error, Result};
use crate::image::paths::relative;
use crate::recipe::{Python, PythonInstaller, Requirements, Wheel};
use crate::source::part::{Context, Part};

impl PythonInstallation {
    /// Resolves the requirements. `read` has the files that were needed, as far as they exist.
    pub(crate) async fn plan(&self, read: &Contents, context: &Context) -> Result<InstallPlan> {
        self.check(read)?;
        let place = Arc::new(context.cache.workplace()?);
        let root = place.absolute()?.join("root");
        let (lines, settings) = self.settled(read, &root).map_err(|fault| self.fault(fault))?;
        let python = self.python(self.write(read, &root, &lines)?);
        let present = self.present(read, settings);
        let mut wheels = self.wheels(&python, &present, context).await?;
        let (removed, warnings) = self.replace(&mut wheels, &present, read);
        let scheme = self.scheme();
        let mut layers = self.skeleton(read)?;
        let of_wheels = layer::layers(&python, &wheels, Some(&scheme), &present.settings, context).await?;
        let keep = |wheel: WheelLayer| Box::new(wheel.within(place.clone())) as Box<dyn Part>;
        layers.extend(of_wheels.into_iter().map(keep));
        let to = self.target.as_deref().map_or("/".to_owned(), |target| format!("/{target}"));
        let place = scheme.directories.as_ref().map_or(to.clone(), |dirs| format!("/{}", dirs.packages));
        let count = layers.len();
        Ok(InstallPlan { layers, to, place, removed, warnings, count })
    }

    /// Refuses files that no translation can follow.
    fn check(&self, read: &Contents) -> Result<()> {
        self.check_links(read)?;
        if let Some(lock) = self.locked() {
            lock.check(read, &self.python).map_err(|fault| self.fault(fault))?;
        }
        let lists = self.lists(read);
        match lists.iter().flat_map(|path| lines_of(path, read)).find(|line| is_editable(line)) {
            Some(line) => Err(self.fault(format!(
                "`{line}` installs a package in its directory, which only its build backend can do"
            ))),
            None => Ok(()),
        }
    }

    fn fault(&self, fault: String) -> Error {
        Error::Requirements { path: self.install.named().into(), fault }
    }

    fn uses_uv(&self) -> bool {
        self.install.installer == PythonInstaller::Uv
    }

    /// pip and uv look at the packages of the interpreter; in a directory of its own only uv does.
    fn ignores_present(&self) -> bool {
        self.target.is_some() && !self.uses_uv()
    }

    /// What the place of the install has already.
    fn present(&self, read: &Contents, settings: InstallSettings) -> Present {
        let metadata = self
            .packages
            .iter()
            .filter_map(|package| Some((package.directory.clone(), read.get(&package.metadata())?.clone())));
        let installed = match self.ignores_present() {
            true => Installed::default(),
            false => Installed::new(self.packages.clone(), metadata.collect()),
        };
        Present {
            installed,
            upgrade: self.install.upgrade,
            no_dependencies: self.install.no_dependencies,
            settings,
        }
    }

    /// The wheels that are wanted and not there.
    async fn wheels(&self, python: &Python, present: &Present, context: &Context) -> Result<Vec<Wheel>> {
        let selection = self.install.lock.as_ref();
        // A lock names all packages, whatever the image has.
        let nothing = Present { settings: present.settings.clone(), ..Present::default() };
        let resolving = selection.map_or(present, |_| &nothing);
        let mut wheels = pin(python, resolving, selection, context).await?;
        // uv marks every package as requested, and so does Pipenv, which names them all to pip.
        let all = self.uses_uv() || (selection.is_some() && self.install.installer == PythonInstaller::Pip);
        // A package of the image has no name in the command.
        let is_local = |wheel: &Wheel| selection.is_none() && wheel.direct && wheel.url.starts_with("file:");
        wheels.iter_mut().for_each(|wheel| wheel.requested |= all || is_local(wheel));
        Ok(wheels)
    }

    /// What is removed for the wheels, without those that stay out, and warnings about these.
    fn replace(&self, wheels: &mut Vec<Wheel>, present: &Present, read: &Contents) -> (Removal, Vec<String>) {
        let emptied_below = self.uses_uv().then(|| match (&self.target, &self.environment) {
            (Some(target), _) => vec![target.clone()],
            (None, Some(environment)) => vec![environment.packages(&self.python)],
            (None, None) => self.python.packages.clone(),
        });
        let (mut removed, mut warnings) = (Removal::new(emptied_below), Vec::new());
        self.add_extraneous(&mut removed, wheels, read);
        // A resolver leaves out what is there; a lock names it.
        if self.install.lock.is_some() {
            wheels.retain(|wheel| !present.installed.has(&wheel.name, &wheel.version));
        }
        wheels.retain(|wheel| {
            let Some(old) = self.packages.iter().find(|package| package.name == wheel.name) else { return true };
            if self.ignores_present() && !self.install.upgrade {
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
        (removed, warnings)
    }

    /// Where the files of packages go.
    fn scheme(&self) -> Scheme {
        let installer = match self.install.installer {
            _ if !self.install.installer_metadata => None,
            PythonInstaller::Pip => Some("pip\n"),
            PythonInstaller::Uv => Some("uv"),
            PythonInstaller::Poetry => Some("Poetry"),
        };
        match (&self.environment, &self.target, &self.user_base) {
            (Some(environment), _, _) => environment.scheme(&self.python, installer),
            (None, Some(_), _) => self.python.flat_scheme(installer),
            (None, None, Some(base)) => self.python.user_scheme(installer, base),
            (None, None, None) => self.python.scheme(installer),
        }
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
