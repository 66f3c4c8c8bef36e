//! A function's `node_modules`: the files that determine its content, and their digest.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::lock::{Local, Lock};
use super::machine::NodeMachine;
use super::tool::Tool;
use super::version::{self, Version};
use super::{files, npmrc, package_json, yarnrc};
use crate::error::Result;
use crate::image::{Arch, Digest};
use crate::recipe::Npm;
use crate::source::local;
use crate::source::part::Context;

/// Part of every layer's identity. Increase it with any code change that changes the installed files.
pub(super) const VERSION: &str = "node_modules-2";

/// The packages of a function, before they are installed.
#[derive(Clone)]
pub(super) struct NodeModules {
    pub(super) npm: Npm,
    pub(super) machine: NodeMachine,
    pub(super) lock: Arc<Lock>,
    pub(super) version: Version,
    /// Digest over everything that determines the files, except the program's version.
    pub(super) decisive: Digest,
}

/// Reads the files that determine the installation. Nothing is installed.
pub(super) async fn plan(npm: &Npm, context: &Context) -> Result<NodeModules> {
    let arch: Arch = context.platform.architecture.parse()?;
    // The bases of AWS have glibc.
    let machine = NodeMachine { arch, musl: false };
    let this = npm.clone();
    let read = context.threads.run(context.threads.all(), move |threads, _| {
        let lock = Lock::read(&this.path)?;
        let decisive = decisive(&this, arch, &lock, threads)?;
        Ok((lock, decisive))
    });
    let (lock, decisive) = read.await?;
    let version = version::find(lock.tool, &npm.path, &context.cache).await?;
    Ok(NodeModules { npm: npm.clone(), machine, lock: Arc::new(lock), version, decisive })
}

/// The digest over everything that determines the files, except the program's version.
fn decisive(npm: &Npm, arch: Arch, lock: &Lock, jobs: usize) -> Result<Digest> {
    let mut hash = Sha256::new();
    // Each variable part is preceded by its length, so that different lists never have the same bytes.
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(arch.as_str().as_bytes());
    part(&[u8::from(npm.scripts)]);
    part(&lock.decisive);
    part(&package_json::decisive(&npm.path, npm.scripts)?);
    part(&files::read(&npm.path.join("pnpm-workspace.yaml"))?.unwrap_or_default());
    npmrc::decisive(&npm.path).iter().for_each(|setting| part(setting.as_bytes()));
    if lock.tool == Tool::Berry {
        part(yarnrc::decisive(&npm.path)?.as_bytes());
    }
    for (place, local) in &lock.local {
        let path = npm.path.join(place);
        match local {
            // Its files are in the layer of the code; its dependencies are in the lock file.
            Local::Workspace if !npm.scripts => {
                part(place.as_bytes());
                part(&files::read(&path.join("package.json"))?.unwrap_or_default());
            }
            Local::Workspace | Local::Package => {
                part(place.as_bytes());
                local::content(&mut files::local(&path)?, jobs, &mut part)?;
            }
            Local::Unused => {}
        }
    }
    Ok(Digest::from_bytes(hash.finalize().into()))
}
