//! Copies the files that the lock file names into a private directory, and runs the package manager in it.

use std::fs;
use std::path::Path;

use super::files::PACKAGE;
use super::lock::Local;
use super::modules::NodeModules;
use super::run::InstallerRun;
use super::tool::Tool;
use super::{arguments, check, files, foreign, npmrc, package_json, version, yarnrc};
use crate::error::{Error, Result};
use crate::source::directory;
use crate::source::ignore::Ignore;
use crate::source::local;
use crate::source::part::Context;
use crate::source::text;
use crate::store::Workplace;
use crate::threads::blocking;
use crate::tree::FileTree;

const MODULES: &str = "node_modules";

/// Files that package managers write for their own use; they differ from run to run.
const OWN: [&str; 8] = [
    ".package-lock.json",
    ".package-map.json",
    ".yarn-integrity",
    ".yarn-state.yml",
    ".modules.yaml",
    ".pnpm",
    ".pnpm-workspace-state.json",
    ".pnpm-workspace-state-v1.json",
];

/// Installs the packages. Returns the installed files and the directory that holds them.
pub(super) async fn install(modules: &NodeModules, context: &Context) -> Result<(FileTree, Workplace)> {
    version::usable(modules.lock.tool, &modules.version, &modules.lock.path)?;
    let (this, cache) = (modules.clone(), context.cache.clone());
    let place = blocking(move |_| {
        let place = cache.workplace()?;
        copy(&this, place.path())?;
        Ok(place)
    })
    .await?;
    let run = InstallerRun {
        tool: modules.lock.tool,
        version: &modules.version,
        lock: &modules.lock.path,
        arguments: arguments::of_function(modules.lock.tool, modules.npm.scripts, modules.machine),
        variables: arguments::variables(modules.lock.tool, modules.npm.scripts),
        directory: place.path(),
        hidden: format!("{}/", place.path().display()),
        secrets: npmrc::secrets(&modules.npm.path),
    };
    run.finish(&context.cache).await?;
    let this = modules.clone();
    let collected = move |threads, _: &_| Ok((collect(&this, place.path(), threads)?, place));
    context.threads.run(context.threads.all(), collected).await
}

/// Copies the files that the program reads into the directory `to`, and no other file of the function.
fn copy(modules: &NodeModules, to: &Path) -> Result<()> {
    let (dir, lock) = (&modules.npm.path, &modules.lock);
    let write = |path: &Path, bytes: &[u8]| {
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
        written.map_err(|source| Error::Write { path: path.to_owned(), source })
    };
    write(&to.join(lock.name), &lock.bytes)?;
    for name in files::BESIDE {
        match files::read(&dir.join(name))? {
            Some(bytes) if name == PACKAGE && lock.tool == Tool::Berry && !modules.npm.scripts => {
                write(&to.join(name), &package_json::without_scripts(&bytes))?;
            }
            Some(bytes) => write(&to.join(name), &bytes)?,
            None => {}
        }
    }
    // Links instead of copies, so that secrets are not written again. Only `.yarnrc.yml` has to be changed.
    for name in [npmrc::NAME, ".yarnrc"] {
        let Ok(settings) = dir.join(name).canonicalize() else { continue };
        let link = to.join(name);
        match fs::read(&settings).ok().and_then(|bytes| marked(&bytes)) {
            // npm would not find the first setting of such a file, or any.
            Some(text) => write(&link, &text)?,
            None => std::os::unix::fs::symlink(settings, &link)
                .map_err(|source| Error::Write { path: link, source })?,
        }
    }
    if lock.tool == Tool::Berry {
        write(&to.join(yarnrc::SETTINGS), &yarnrc::settings(dir, modules.machine)?)?;
    }
    for (place, kind) in &lock.local {
        let (from, to) = (dir.join(place), to.join(place));
        if *kind != Local::Unused {
            local::copy(&files::local(&from)?, &to, Some(files::SINGLE))?;
        }
    }
    Ok(())
}

/// The settings in UTF-8, if their file is in UTF-16 or begins with a byte order mark.
fn marked(bytes: &[u8]) -> Option<Vec<u8>> {
    text::recoded(bytes.to_vec()).ok().filter(|text| text != bytes)
}

/// Collects every `node_modules` of the installation: the function's, and those of its workspaces.
fn collect(modules: &NodeModules, place: &Path, jobs: usize) -> Result<FileTree> {
    let spaces = modules.lock.local.iter().filter(|(_, local)| **local == Local::Workspace);
    let dirs = spaces.map(|(path, _)| format!("{}/{MODULES}", path.trim_start_matches("./")));
    let mut tree = FileTree::new();
    for dir in [MODULES.to_owned()].into_iter().chain(dirs) {
        if place.join(&dir).is_dir() {
            let rules = Ignore::none().without(&OWN.map(str::to_owned));
            tree.extend(directory::collect(&place.join(&dir), dir.as_bytes(), &rules, jobs)?);
        }
    }
    if modules.lock.tool == Tool::Yarn {
        let package = files::read(&modules.npm.path.join(PACKAGE))?.unwrap_or_default();
        foreign::remove(&mut tree, &package, modules.machine)?;
    }
    check::links(&tree, place)?;
    check::machines(&tree, modules.machine.arch)?;
    Ok(tree)
}
