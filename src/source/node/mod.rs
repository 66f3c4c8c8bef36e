//! Node packages: from a lock file to a `node_modules` for the image's machine.
//!
//! 1. The [`lock`] file is read as far as to know what decides the files, and which of them are the function's own.
//! 2. That, the [`version`] of the program that installs, and the machine make the [`Bundle`]'s identity.
//! 3. Only when its layer is nowhere, the program is run ([`install`]) in a private copy, and what it left is
//!    [`check`]ed.
//!
//! npm's major version is part of the identity, as each has its own view of optional packages for other machines.
//! On a machine without npm the layer of any version serves: there is no other it could be confused with.

mod check;
mod files;
mod foreign;
mod install;
mod lock;
mod npmrc;
mod provider;
mod version;
mod yarn;

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use self::lock::{Local, Lock, Tool};
pub(super) use self::provider::Provider;
use self::version::Version;
use super::directory::hash_missing;
use super::part::Context;
use crate::error::{Error, Result};
use crate::image::{Arch, Digest};
use crate::recipe::Npm;
use crate::tree::{Content, EntryKind};

/// Changes with anything here that changes what is installed.
const VERSION: &str = "node_modules-1";

/// A `node_modules` that becomes one layer.
#[derive(Clone)]
struct Bundle {
    npm: Npm,
    arch: Arch,
    lock: Arc<Lock>,
    version: Version,
    /// Over all that decides the files, but the version of the program.
    decisive: Digest,
}

/// Fails when there is nothing that could be installed.
fn check_lock(npm: &Npm) -> Result<()> {
    let package = npm.path.join("package.json");
    std::fs::metadata(&package).map_err(|source| Error::Read { path: package, source })?;
    lock::find(&npm.path).map(drop)
}

/// What the lock file's packages will be. Nothing is installed.
async fn bundle(npm: &Npm, context: &Context) -> Result<Bundle> {
    let arch: Arch = context.platform.architecture.parse()?;
    let this = npm.clone();
    let read = context.threads.run(context.threads.all(), move |threads, _| {
        let lock = Lock::read(&this.path)?;
        let decisive = decisive(&this, arch, &lock, threads)?;
        Ok((lock, decisive))
    });
    let (lock, decisive) = read.await?;
    let version = version::find(lock.tool, &npm.path).await?;
    Ok(Bundle { npm: npm.clone(), arch, lock: Arc::new(lock), version, decisive })
}

/// As node has it.
fn cpu(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "x64",
        Arch::Arm64 => "arm64",
    }
}

fn decisive(npm: &Npm, arch: Arch, lock: &Lock, jobs: usize) -> Result<Digest> {
    let mut hash = Sha256::new();
    // Every variable part goes in with its length, so that no two lists run together to the same bytes.
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(arch.as_str().as_bytes());
    part(&[u8::from(npm.scripts)]);
    part(&lock.decisive);
    part(&package(&npm.path, npm.scripts)?);
    part(&files::read(&npm.path.join("pnpm-workspace.yaml"))?.unwrap_or_default());
    npmrc::decisive(&npm.path).iter().for_each(|setting| part(setting.as_bytes()));
    if lock.tool == Tool::Berry {
        part(yarn::decisive(&npm.path)?.as_bytes());
    }
    for (place, local) in &lock.local {
        let path = npm.path.join(place);
        match local {
            // Its files are the code's; what it asks for is in the lock.
            Local::Workspace if !npm.scripts => {
                part(place.as_bytes());
                part(&files::read(&path.join("package.json"))?.unwrap_or_default());
            }
            Local::Workspace | Local::Package => {
                part(place.as_bytes());
                content(&path, jobs, &mut part)?;
            }
            Local::Unused => {}
        }
    }
    Ok(Digest::from_bytes(hash.finalize().into()))
}

/// What of package.json decides: what it asks for, and its own scripts when they run.
fn package(dir: &Path, scripts: bool) -> Result<Vec<u8>> {
    let path = dir.join("package.json");
    let bytes = files::read(&path)?.unwrap_or_default();
    let fail =
        |error: serde_json::Error| Error::Requirements { path: path.clone(), fault: error.to_string() };
    let mut package: serde_json::Map<String, Value> = serde_json::from_slice(&bytes).map_err(fail)?;
    package.retain(|key, _| match key.as_str() {
        "scripts" => scripts,
        "workspaces"
        | "overrides"
        | "resolutions"
        | "pnpm"
        | "bundleDependencies"
        | "bundledDependencies" => true,
        "devDependencies" => false,
        key => key.ends_with("ependencies") || key.ends_with("DependenciesMeta"),
    });
    Ok(Value::Object(package).to_string().into_bytes())
}

/// A local package's files.
fn content(path: &Path, jobs: usize, part: &mut dyn FnMut(&[u8])) -> Result<()> {
    let mut tree = files::local(path)?;
    hash_missing(&mut tree, jobs)?;
    for (path, entry) in tree.iter() {
        part(path);
        part(&entry.mode.to_be_bytes());
        match &entry.kind {
            EntryKind::File(Content::File(file)) => {
                part(file.sha256.as_ref().map_or(&[][..], |digest| &digest.as_bytes()[..]));
            }
            EntryKind::Symlink(target) => part(target),
            // A walk finds no other kind than directories.
            _ => part(b"/"),
        }
    }
    Ok(())
}
