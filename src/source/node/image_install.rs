//! The installation of Node packages for a command of a Dockerfile, in a directory of this machine that has the files of
//! the image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};

use super::files::PACKAGE;
use super::machine::NodeMachine;
use super::run::InstallerRun;
use super::tool::Tool;
use super::version::{self, Version};
use super::{arguments, check, foreign, npmrc, package_layer, scripts, yarnrc};
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::recipe::NodeInstall;
use crate::source::directory;
use crate::source::ignore::Ignore;
use crate::source::part::{Context, PackageInstall, Part};
use crate::store::Workplace;
use crate::tree::{Content, Entry, EntryKind, FileTree};

/// Part of every identity. Increase it with any code change that changes the installed files.
const VERSION: &str = "node-install-1";

/// Files in `node_modules` that package managers write for their own use, and that differ from run to run. The list of
/// npm, `.package-lock.json`, does not.
const OWN: [&str; 7] = [
    ".package-map.json",
    ".yarn-integrity",
    ".yarn-state.yml",
    ".modules.yaml",
    ".pnpm",
    ".pnpm-workspace-state.json",
    ".pnpm-workspace-state-v1.json",
];

/// An install whose files are written. Paths in the image are without a slash at either end.
pub(crate) struct NodeImageInstall {
    pub(super) install: NodeInstall,
    /// The directory in the image.
    pub(super) directory: String,
    pub(super) tool: Tool,
    pub(super) version: Version,
    pub(super) machine: NodeMachine,
    /// Without a lock, the packages are resolved each time.
    pub(super) has_lock: bool,
    /// The lock file in the image, or `package.json`, for messages.
    pub(super) lock: PathBuf,
    /// The settings of the image's root.
    pub(super) user_settings: Option<PathBuf>,
    /// The variables of the command that its settings name.
    pub(super) variables: Vec<(String, String)>,
    /// The files that were written, by their paths in the image.
    pub(super) written: BTreeMap<String, Vec<u8>>,
    /// Those of them that are programs.
    pub(super) programs: BTreeSet<String>,
    /// Everything that decides the files, except the program's version.
    pub(super) decisive: Digest,
    /// The directory of this machine; `root` in it stands for the root of the image.
    pub(super) workplace: Workplace,
}

/// A digest over everything that decides the files, except the program's version. `root` stands for the root of the
/// image. Logins, and the addresses of registries, are left out.
pub(super) fn decisive(
    install: &NodeInstall,
    machine: NodeMachine,
    directory: &str,
    written: &BTreeMap<String, Vec<u8>>,
    root: &Path,
) -> Result<Digest> {
    let mut hash = Sha256::new();
    // Each part is preceded by its length, so that different lists never have the same bytes.
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    let kept = |option: &&String| !option.starts_with("--registry=");
    let options: Vec<&String> = install.options.iter().filter(kept).collect();
    let NodeInstall { program, directory: _, frozen, production, ignore_scripts, options: _ } = install;
    let known = serde_json::json!([program, frozen, production, ignore_scripts, options, directory]);
    part(known.to_string().as_bytes());
    part(machine.cpu().as_bytes());
    part(machine.libc().as_bytes());
    for (path, bytes) in written {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        part(path.as_bytes());
        match name {
            npmrc::NAME => {
                npmrc::decisive(&root.join(dir)).iter().for_each(|setting| part(setting.as_bytes()))
            }
            yarnrc::SETTINGS => part(yarnrc::decisive(&root.join(dir))?.as_bytes()),
            _ => part(bytes),
        }
    }
    Ok(Digest::from_bytes(hash.finalize().into()))
}

impl PackageInstall for NodeImageInstall {
    fn name(&self) -> String {
        "node_modules".to_owned()
    }

    fn identities(&self) -> Vec<Digest> {
        if !self.has_lock {
            return Vec::new();
        }
        version::identities(self.tool, &self.version, &format!("{VERSION} {}", self.decisive))
    }

    fn install<'a>(self: Box<Self>, context: &'a Context) -> BoxFuture<'a, Result<Vec<Box<dyn Part>>>> {
        async move {
            self.run(context).await?;
            let collect = move |threads, _: &_| {
                let tree = self.collect(threads)?;
                package_layer::layers(tree, self.workplace)
            };
            context.threads.run(context.threads.all(), collect).await
        }
        .boxed()
    }
}

impl NodeImageInstall {
    fn root(&self) -> PathBuf {
        self.workplace.path().join("root")
    }

    async fn run(&self, context: &Context) -> Result<()> {
        let place = self.root().join(&self.directory);
        let mut variables = arguments::variables(self.tool, false);
        // The variable of lbuild's own environment does not count.
        let environment = if self.install.production { "production" } else { "" };
        variables.push(("NODE_ENV".to_owned(), environment.to_owned()));
        if let Some(settings) = &self.user_settings {
            let absolute = std::path::absolute(settings)
                .map_err(|source| Error::Read { path: settings.clone(), source })?;
            variables.push(("NPM_CONFIG_USERCONFIG".to_owned(), absolute.display().to_string()));
        }
        variables.extend(self.variables.iter().cloned());
        let mut secrets = npmrc::secrets(&place);
        secrets.extend(self.user_settings.iter().filter_map(|path| path.parent()).flat_map(npmrc::secrets));
        // A shorter value is not a secret, and would occur within ordinary words.
        secrets
            .extend(self.variables.iter().map(|(_, value)| value.clone()).filter(|value| value.len() >= 4));
        let run = InstallerRun {
            tool: self.tool,
            version: &self.version,
            lock: &self.lock,
            arguments: arguments::of_command(self.tool, &self.install, self.machine),
            variables,
            directory: &place,
            hidden: self.root().display().to_string(),
            secrets,
        };
        run.finish(&context.cache).await
    }

    /// The files that are new or changed, at their paths in the image.
    fn collect(&self, jobs: usize) -> Result<FileTree> {
        let root = self.root();
        let place = root.join(&self.directory);
        let found = directory::collect(&place, self.directory.as_bytes(), &Ignore::none(), jobs)?;
        let mut entries = Vec::new();
        for (path, entry) in found {
            if !is_own(&path) && self.is_changed(&path, &entry)? {
                entries.push((path, entry));
            }
        }
        let mut tree = FileTree::of(entries)?;
        if self.tool == Tool::Yarn {
            let package = format!("{}/{PACKAGE}", self.directory);
            let package = self.written.get(package.trim_start_matches('/'));
            foreign::remove(&mut tree, package.map_or(&b"{}"[..], Vec::as_slice), self.machine)?;
        }
        check::links(&tree, &root)?;
        check::machines(&tree, self.machine.arch)?;
        if !self.install.ignore_scripts && !self.ignores_scripts() {
            scripts::check(&tree, self.machine)?;
        }
        Ok(tree)
    }

    fn ignores_scripts(&self) -> bool {
        let settings = self.written.iter().filter(|(path, _)| path.rsplit('/').next() == Some(npmrc::NAME));
        settings.into_iter().any(|(_, text)| npmrc::ignores_scripts(&String::from_utf8_lossy(text)))
    }

    fn is_program(&self, path: &[u8]) -> bool {
        std::str::from_utf8(path).is_ok_and(|path| self.programs.contains(path))
    }

    /// Whether the image does not have exactly this. Directories are those of packages.
    fn is_changed(&self, path: &[u8], entry: &Entry) -> Result<bool> {
        let written = std::str::from_utf8(path).ok().and_then(|path| self.written.get(path));
        match (&entry.kind, written) {
            (EntryKind::Directory, _) => {
                Ok(path.split(|&byte| byte == b'/').any(|part| part == b"node_modules"))
            }
            // npm makes the programs of workspaces executable.
            (EntryKind::File(_), Some(_)) if (entry.mode & 0o111 != 0) != self.is_program(path) => Ok(true),
            (EntryKind::File(Content::File(file)), Some(bytes)) if file.stat.size == bytes.len() as u64 => {
                let now = std::fs::read(&file.path);
                let now = now.map_err(|source| Error::Read { path: file.path.clone(), source })?;
                Ok(now != *bytes)
            }
            _ => Ok(true),
        }
    }
}

/// Whether a package manager needs the file for itself.
fn is_own(path: &[u8]) -> bool {
    let parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    let is = |part: &[u8], names: &[&str]| names.iter().any(|name| name.as_bytes() == part);
    let in_modules = parts.windows(2).any(|pair| pair[0] == b"node_modules" && is(pair[1], &OWN));
    let in_yarn = parts.windows(2).any(|pair| {
        pair[0] == b".yarn" && is(pair[1], &["cache", "install-state.gz", "build-state.yml", "unplugged"])
    });
    in_modules || in_yarn
}
