//! The mounts of a command that runs: files of contexts and images, caches, secrets, memory, and sockets of SSH agents.
//!
//! Each becomes a bind of the command's root. The files of a context or an image are unpacked for this command alone, so
//! what it writes to them is lost with them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::add::Adding;
use super::agent::{self, Agent};
use super::command::PlannedCommand;
use super::mounts::{PLACE, part, source_of};
use super::unpack::{make_root, owners, unpack_apart};
use super::write::layer_of_files;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::recipe::{Access, Mount, Sharing};
use crate::rootfs::{self, Bind, BindSource, Index, Mode, Snapshot, Way};
use crate::store::{CacheMount, Holding, Usage};

/// The prepared mounts of a command.
#[derive(Default)]
pub(super) struct Attached {
    pub(super) binds: Vec<Bind>,
    /// Variables with secrets, and those that name sockets.
    pub(super) variables: BTreeMap<String, String>,
    /// By their keys.
    caches: BTreeMap<Digest, CacheMount>,
    pub(super) agents: Vec<Agent>,
}

impl Attached {
    /// Records what the caches hold. Must be called when the command has ended.
    pub(super) fn ended(&self, way: &Way) {
        for cache in self.caches.values() {
            let files = cache.files();
            if let Ok(found) = rootfs::within(&way.ids, &[], || Snapshot::of(&files)) {
                let (files, bytes) = found.usage();
                cache.record(Usage { files, bytes });
            }
        }
    }
}

impl Adding<'_> {
    /// Prepares the mounts of a command.
    pub(super) async fn attach(&self, planned: &PlannedCommand, way: &Way) -> Result<Attached> {
        // A stage may use a cache that this command is about to hold.
        for source in planned.mounts.iter().filter_map(|mount| source_of(mount, &planned.origin)) {
            self.build_stages(&*part(&source, self.context).await?).await?;
        }
        let mut attached = Attached { caches: self.caches(planned, way).await?, ..Attached::default() };
        for mount in &planned.mounts {
            self.attach_one(planned, way, mount, &mut attached).await?;
        }
        Ok(attached)
    }

    async fn attach_one(
        &self,
        planned: &PlannedCommand,
        way: &Way,
        mount: &Mount,
        attached: &mut Attached,
    ) -> Result<()> {
        let mut bind = |source, target: &str, writable| {
            attached.binds.push(Bind { source, target: target.to_owned(), writable });
        };
        match mount {
            Mount::Bind { target, writable, .. } => {
                if let Some(files) = self.files_of(planned, way, mount).await? {
                    bind(BindSource::Path(files), target, *writable);
                }
            }
            Mount::Tmpfs { target, size } => bind(BindSource::Memory { size: *size }, target, true),
            Mount::Secret { id, target, env, access, .. } => {
                // A missing secret that is required was found before.
                let Some(secret) = self.session.secrets.get(id) else { return Ok(()) };
                if let Some(target) = target {
                    let Access { mode, uid, gid } = *access;
                    bind(BindSource::File { content: secret.to_vec(), mode, uid, gid }, target, false);
                }
                if let Some(name) = env {
                    let text = String::from_utf8(secret.to_vec()).map_err(|_| {
                        planned.origin.failed_at(
                            id,
                            format!("the secret `{id}` is not text, and {name} cannot have it"),
                            None,
                        )
                    })?;
                    attached.variables.insert(name.clone(), text);
                }
            }
            Mount::Cache { id, target, read_only, .. } => {
                let files = attached.caches.get(&cache_key(id, way)).map(CacheMount::files);
                bind(BindSource::Path(files.ok_or(Error::Interrupted)?), target, !read_only);
            }
            Mount::Ssh { id, target, required, access } => {
                let dir = self.roots.directory(self.session, way, "agent").await?;
                let agent = (id.as_str(), *required, *access);
                if let Some((agent, socket)) =
                    agent::start(self.session, &planned.origin, (way, &dir), agent)?
                {
                    let number = attached.agents.len();
                    let target =
                        target.clone().unwrap_or_else(|| format!("/run/buildkit/ssh_agent.{number}"));
                    bind(BindSource::Path(socket), &target, true);
                    attached.variables.entry("SSH_AUTH_SOCK".to_owned()).or_insert(target);
                    attached.agents.push(agent);
                }
            }
        }
        Ok(())
    }

    /// The files of a mount in a directory of the build, as `COPY` would take them.
    async fn files_of(&self, planned: &PlannedCommand, way: &Way, mount: &Mount) -> Result<Option<PathBuf>> {
        let Some(source) = source_of(mount, &planned.origin) else { return Ok(None) };
        let (tree, is_file) = self.mount_files(&source).await?;
        // A single file is in the directory, by its name.
        let below = tree.iter().map(|(path, _)| path).filter(|path| path.len() > PLACE.len());
        let file = below.last().filter(|_| is_file).map(|path| PathBuf::from(OsStr::from_bytes(path)));
        let place = file.unwrap_or_else(|| PathBuf::from(PLACE));
        let dir = self.roots.directory(self.session, way, "mount").await?.join(rootfs::FILES);
        let layer = layer_of_files(self.session, tree, self.epoch).await?;
        make_root(way, &dir, &Index::new())?;
        unpack_apart(self.session, way, &layer, &dir).await?;
        Ok(Some(dir.join(place)))
    }

    /// The directories of the cache mounts.
    async fn caches(&self, planned: &PlannedCommand, way: &Way) -> Result<BTreeMap<Digest, CacheMount>> {
        // In the order of their keys, so that two commands that wait for each other's caches cannot both wait.
        let mut wanted = BTreeMap::new();
        for mount in &planned.mounts {
            let Mount::Cache { id, .. } = mount else { continue };
            if wanted.insert(cache_key(id, way), mount).is_some() && moves(way) {
                let fault = format!("the cache `{id}` cannot be in two places where nothing can be mounted");
                return Err(planned.origin.failed_at(
                    id,
                    fault,
                    Some("`lbuild doctor --run` has details".to_owned()),
                ));
            }
        }
        let mut held = BTreeMap::new();
        for (key, mount) in wanted {
            held.insert(key, self.cache(planned, way, mount, key).await?);
        }
        Ok(held)
    }

    /// The directory of a cache mount; a new one gets its first files.
    async fn cache(
        &self,
        planned: &PlannedCommand,
        way: &Way,
        mount: &Mount,
        key: Digest,
    ) -> Result<CacheMount> {
        let Mount::Cache { sharing, access, .. } = mount else { return Err(Error::Interrupted) };
        let holding = match sharing {
            // Where nothing can be mounted, a directory is in one place only.
            Sharing::Shared if !moves(way) => Holding::Together,
            Sharing::Shared | Sharing::Locked => Holding::Alone,
            Sharing::Private => Holding::Apart,
        };
        let session = self.session.clone();
        let held = crate::threads::blocking(move |stop: &AtomicBool| session.cache.mount(key, holding, stop));
        let mut cache = held.await?;
        if cache.is_new() {
            let place = cache.place();
            let _ = rootfs::discard(&place);
            let first = self.files_of(planned, way, mount).await?;
            let Access { mode, uid, gid } = access.unwrap_or(Access { mode: 0o755, uid: 0, gid: 0 });
            match first {
                Some(from) => {
                    let failed = |source| Error::Write { path: place.clone(), source };
                    std::fs::rename(&from, &place).map_err(failed)?;
                    // A directory of another user could not be moved any more.
                    if access.is_some() {
                        let give = || rootfs::set_access(&place, mode, (uid, gid), owners(&way.ids));
                        rootfs::within(&way.ids, &[], give).map_err(failed)?;
                    }
                }
                None => {
                    let mut index = Index::new();
                    index.describe_root(mode, uid.into(), gid.into());
                    make_root(way, &place, &index)?;
                }
            }
            cache.filled()?;
        }
        Ok(cache)
    }
}

/// The key of a cache: its files have the ids of those who made them.
fn cache_key(id: &str, way: &Way) -> Digest {
    Digest::of(format!("mount-1 {id} {}", serde_json::json!(way.ids)).as_bytes())
}

/// Whether directories are moved into the image, because nothing can be mounted.
fn moves(way: &Way) -> bool {
    matches!(way.mode, Mode::Chroot | Mode::Proot)
}
