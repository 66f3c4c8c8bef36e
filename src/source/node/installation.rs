//! An install of Node packages into an image, without running its command in the image.
//!
//! 1. [`NodeInstallation::of`] finds the directory in the view of the image.
//! 2. The caller reads the files that it [`needs`](NodeInstallation::needs), and [`check`](NodeInstallation::check)s them.
//! 3. [`prepare`](NodeInstallation::prepare) writes them to a directory of this machine, at their paths in the image.
//!    Installing there gives the layers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::files::PACKAGE;
use super::image_install::{NodeImageInstall, decisive};
use super::machine::NodeMachine;
use super::tool::Tool;
use super::{npmrc, package_json, scripts, version, yarnrc};
use crate::error::{Error, Result};
use crate::image::Arch;
use crate::recipe::{NodeInstall, NodeInstaller};
use crate::source::part::Context;
use crate::tree::{Target, View};

/// The contents of the image's files, by their paths without a leading slash.
type Contents = BTreeMap<String, Vec<u8>>;

/// Files that package managers read in their directory. Each may be missing.
const READ: [&str; 10] = [
    PACKAGE,
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    ".pnpmfile.cjs",
    npmrc::NAME,
    ".yarnrc",
    yarnrc::SETTINGS,
];

/// An install, with what it depends on in the image. Paths are without a slash at either end.
pub(crate) struct NodeInstallation {
    install: NodeInstall,
    directory: String,
    /// The home directory of root.
    home: String,
    musl: bool,
    /// The files of the directory outside of `node_modules`, and whether they are programs.
    files: BTreeMap<String, bool>,
    /// Whether the directory has installed packages.
    has_packages: bool,
}

/// Why an install needs a process.
pub(crate) struct NodeFault {
    pub(crate) fault: String,
    pub(crate) hint: Option<String>,
}

impl NodeInstallation {
    /// Finds the directory. `home` is the home directory of root, and `musl` tells the C library of the image.
    pub(crate) fn of<C>(
        install: &NodeInstall,
        directory: &str,
        home: &str,
        view: &View<'_, C>,
        musl: bool,
    ) -> NodeInstallation {
        let path = match install.directory.starts_with('/') {
            true => install.directory.clone(),
            false => format!("{}/{}", directory.trim_end_matches('/'), install.directory),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let directory = text(view.resolve(&path).path.as_bytes());
        let (mut files, mut has_packages) = (BTreeMap::new(), false);
        for file in view.below(&directory) {
            let path = text(file.member.path.as_bytes());
            let own = path[directory.len()..].trim_start_matches('/');
            if own.split('/').any(|part| part == "node_modules" || part == ".git") {
                has_packages |= own.starts_with("node_modules/") && !file.member.is_directory();
            } else if file.member.is_file() {
                files.insert(path, file.member.entry.mode & 0o111 != 0);
            }
        }
        let home = match view.resolve(home).target {
            Target::Nothing => home.trim_matches('/').to_owned(),
            _ => text(view.resolve(home).path.as_bytes()),
        };
        NodeInstallation { install: install.clone(), directory, home, musl, files, has_packages }
    }

    /// The files of the image that are needed and not among those that were read.
    pub(crate) fn needs(&self, read: &Contents) -> Vec<String> {
        let mut wanted: Vec<String> = READ.iter().map(|name| self.own(name)).collect();
        wanted.push(self.user_settings());
        wanted.extend(self.above().map(|dir| below(dir, PACKAGE)));
        let of_yarn = [".yarn/patches/", ".yarn/plugins/", ".yarn/releases/"].map(|dir| self.own(dir));
        let all = read.get(&self.own(PACKAGE)).is_some_and(|package| package_json::names_files(package));
        let own = self.files.keys().filter(|path| all || of_yarn.iter().any(|dir| path.starts_with(dir)));
        wanted.extend(own.cloned());
        wanted.retain(|path| !read.contains_key(path));
        wanted
    }

    /// Whether the files that were read allow an install without a process.
    pub(crate) fn check(&self, read: &Contents) -> std::result::Result<(), NodeFault> {
        let fail = |fault: String, hint: &str| {
            Err(NodeFault { fault, hint: (!hint.is_empty()).then(|| hint.to_owned()) })
        };
        let (directory, program) = (&self.directory, self.program());
        let Some(package) = read.get(&self.own(PACKAGE)) else {
            return fail(format!("`/{}` does not exist in the image", self.own(PACKAGE)), COPY);
        };
        for dir in self.above() {
            let outer = read.get(&below(dir, PACKAGE));
            if outer.is_some_and(|package| package_json::has_workspaces(package)) {
                let fault = format!(
                    "`/{directory}` may be a workspace of `/{dir}`, whose packages {program} would install"
                );
                return fail(fault, "install in the directory that has the lock file");
            }
        }
        if self.has_packages && !(self.install.program == NodeInstaller::Npm && self.install.frozen) {
            let fault =
                format!("`/{directory}/node_modules` has packages already, which {program} would keep");
            return fail(fault, "leave node_modules out by .dockerignore, or use `npm ci`");
        }
        let needs_lock = self.install.frozen || self.install.program != NodeInstaller::Npm;
        if needs_lock && !self.locks().iter().any(|name| read.contains_key(&self.own(name))) {
            let fault = format!("`/{directory}` has no lock file ({})", self.locks().join(", "));
            return fail(fault, COPY);
        }
        if self.tool(read) == Tool::Berry {
            let settings = read.get(&self.own(yarnrc::SETTINGS)).map(|text| String::from_utf8_lossy(text));
            if !settings.is_some_and(|settings| yarnrc::uses_node_modules(&settings)) {
                let fault = "yarn 2 and later install without node_modules".to_owned();
                return fail(fault, "write `nodeLinker: node-modules` into .yarnrc.yml");
            }
            if self.is_production() {
                let fault = "yarn 2 and later install all packages, also in production".to_owned();
                return fail(fault, "unset NODE_ENV and --production for this line");
            }
        }
        let locks = self.locks().into_iter().filter_map(|name| read.get(&self.own(name)));
        let is_locked = locks
            .map(|text| String::from_utf8_lossy(text))
            .any(|text| OF_GIT.iter().any(|mark| text.contains(mark)));
        if is_locked || package_json::names_git(package) {
            let fault = "a package comes from a git repository, where its scripts may have to build it";
            return fail(fault.to_owned(), "depend on a published version of the package");
        }
        self.check_scripts(read)
    }

    fn check_scripts(&self, read: &Contents) -> std::result::Result<(), NodeFault> {
        let settings = [self.own(npmrc::NAME), self.user_settings()];
        let settings = settings.iter().filter_map(|path| read.get(path));
        let off = settings.into_iter().any(|text| npmrc::ignores_scripts(&String::from_utf8_lossy(text)));
        if self.install.ignore_scripts || off {
            return Ok(());
        }
        // yarn 1 prepares a package only with its packages for development.
        let only_packages = self.install.program == NodeInstaller::Yarn && self.is_production();
        let own = format!("/{PACKAGE}");
        let packages = read.iter().filter(|(path, _)| self.files.contains_key(*path));
        let mut packages = packages.filter(|(path, _)| path.ends_with(&own) || *path == PACKAGE);
        let found =
            packages.find_map(|(path, text)| Some((path, scripts::of_directory(text, only_packages)?)));
        found.map_or(Ok(()), |(path, script)| {
            let fault = format!("`/{path}` has the script `{script}`, which needs a process");
            Err(NodeFault { fault, hint: Some(SCRIPTS.to_owned()) })
        })
    }

    /// Writes the files of the image. `variables` are those of the command's environment.
    pub(crate) async fn prepare(
        self,
        read: Contents,
        variables: &BTreeMap<String, String>,
        context: &Context,
    ) -> Result<NodeImageInstall> {
        let arch: Arch = context.platform.architecture.parse()?;
        let machine = NodeMachine { arch, musl: self.musl };
        let tool = self.tool(&read);
        let workplace = context.cache.workplace()?;
        let root = workplace.path().join("root");
        let mut written = Contents::new();
        for (path, bytes) in &read {
            let bytes = match path.strip_prefix(&*self.directory).map(|own| own.trim_start_matches('/')) {
                // yarn 2 and later run these scripts regardless of the settings.
                Some(PACKAGE) if tool == Tool::Berry => package_json::without_scripts(bytes),
                _ => bytes.clone(),
            };
            write(&root.join(path), &bytes, self.files.get(path).is_some_and(|&is_program| is_program))?;
            written.insert(path.clone(), bytes);
        }
        let place = root.join(&self.directory);
        if tool == Tool::Berry {
            let bytes = yarnrc::settings(&place, machine)?;
            write(&place.join(yarnrc::SETTINGS), &bytes, false)?;
            written.insert(self.own(yarnrc::SETTINGS), bytes);
        }
        let version = version::find(tool, &place, &context.cache).await?;
        let lock = self.locks().into_iter().find(|name| read.contains_key(&self.own(name)));
        let user_settings = read.contains_key(&self.user_settings()).then(|| root.join(self.user_settings()));
        let programs = self.files.iter().filter(|&(path, &is_program)| is_program && read.contains_key(path));
        let programs = programs.map(|(path, _)| path.clone()).collect();
        let lock_path = PathBuf::from(format!("/{}", self.own(lock.unwrap_or(PACKAGE))));
        let named = [self.own(npmrc::NAME), self.user_settings()];
        let named = named.iter().filter_map(|path| read.get(path)).flat_map(|text| {
            npmrc::variables(&String::from_utf8_lossy(text)).map(str::to_owned).collect::<Vec<_>>()
        });
        let variables =
            named.filter_map(|name| Some((name.clone(), variables.get(&name)?.clone()))).collect();
        let decisive = decisive(&self.install, machine, &self.directory, &written, &root)?;
        Ok(NodeImageInstall {
            install: self.install,
            directory: self.directory,
            tool,
            version,
            machine,
            has_lock: lock.is_some(),
            lock: lock_path,
            user_settings,
            variables,
            written,
            programs,
            decisive,
            workplace,
        })
    }

    /// Whether packages of the image are removed first.
    pub(crate) fn removed(&self) -> Option<String> {
        self.has_packages.then(|| self.own("node_modules"))
    }

    /// The directory, for display.
    pub(crate) fn place(&self) -> String {
        format!("/{}", self.directory)
    }

    /// Whether the command asks for packages for production only.
    fn is_production(&self) -> bool {
        let options = &self.install.options;
        let off = options.iter().any(|option| option == "--production=false");
        !off && (self.install.production || options.iter().any(|option| option == "--production"))
    }

    fn program(&self) -> &'static str {
        match self.install.program {
            NodeInstaller::Npm => "npm",
            NodeInstaller::Yarn => "yarn",
            NodeInstaller::Pnpm => "pnpm",
        }
    }

    /// The names of the program's lock file.
    fn locks(&self) -> Vec<&'static str> {
        match self.install.program {
            NodeInstaller::Npm => vec!["npm-shrinkwrap.json", "package-lock.json"],
            NodeInstaller::Yarn => vec!["yarn.lock"],
            NodeInstaller::Pnpm => vec!["pnpm-lock.yaml"],
        }
    }

    fn tool(&self, read: &Contents) -> Tool {
        match self.install.program {
            NodeInstaller::Npm => Tool::Npm,
            NodeInstaller::Pnpm => Tool::Pnpm,
            NodeInstaller::Yarn => {
                let lock = read.get(&self.own("yarn.lock")).map(|text| String::from_utf8_lossy(text));
                let is_berry = lock.is_some_and(|text| text.lines().any(|line| line == "__metadata:"));
                if is_berry { Tool::Berry } else { Tool::Yarn }
            }
        }
    }

    /// The directories above, without the root, where package managers look for a workspace.
    fn above(&self) -> impl Iterator<Item = &str> {
        self.directory.match_indices('/').map(|(at, _)| &self.directory[..at])
    }

    fn own(&self, name: &str) -> String {
        below(&self.directory, name)
    }

    fn user_settings(&self) -> String {
        below(&self.home, npmrc::NAME)
    }
}

const COPY: &str = "COPY it before this line";

const SCRIPTS: &str = "if the function works without the script, add --ignore-scripts";

fn below(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

/// How locks name a package of a git repository.
const OF_GIT: [&str; 5] =
    ["\"resolved\": \"git", "resolved \"git", "codeload.github.com", "#commit=", "type: git}"];

fn write(path: &Path, bytes: &[u8], is_program: bool) -> Result<()> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
    let made = made.and_then(|()| match is_program {
        true => fs::set_permissions(path, fs::Permissions::from_mode(0o755)),
        false => Ok(()),
    });
    made.map_err(|source| Error::Write { path: path.to_owned(), source })
}
