//! [`Session`]: the state that all parts of the engine share, and its builder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::archives::Archives;
use super::running::{RunMode, Running};
use super::turns::Turns;
use crate::error::{Error, Result};
use crate::event::{Event, Events};
use crate::image::{Blob, Digest, LayerKey, Location, Platform, Reference};
use crate::recipe::Stage;
use crate::source::{self, Context, LambdaLayers, SourceImage};
use crate::store::{Addresses, BuildSecrets, Cache, Credentials, DockerConfig, Downloads, Registries};
use crate::threads::Threads;

/// The state that all parts of an engine share: the cache, connections, threads and settings.
pub(super) struct Session {
    pub(super) cache: Cache,
    pub(super) caching: CacheUse,
    pub(super) threads: Threads,
    pub(super) dry_run: bool,
    /// Whether an image of the local store is preferred to one of the same name in a registry.
    pub(super) local_images: bool,
    pub(super) registries: Registries,
    pub(super) downloads: Downloads,
    pub(super) archives: Archives,
    pub(super) events: Events,
    /// The sockets of SSH agents that mounts of commands name.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "commands run on Linux only"))]
    pub(super) agents: BTreeMap<String, PathBuf>,
    /// The secrets that mounts of commands name.
    pub(super) secrets: BuildSecrets,
    /// How commands run.
    pub(super) running: Running,
    /// Layers that builds make at the same time.
    pub(super) making: Turns<LayerKey>,
    /// Blobs that pushes send to a repository at the same time, by its name.
    pub(super) sending: Turns<(String, Digest)>,
    lambda_layers: Option<Arc<dyn LambdaLayers>>,
    /// Whether the user was told that modes of files change.
    told_of_modes: Arc<AtomicBool>,
}

impl Session {
    /// The blob, in the cache if that has a copy of one in a registry.
    pub(super) fn nearest(&self, blob: &Blob) -> Blob {
        let held = match blob.location {
            Location::Registry(_) => self.cache.held(blob.digest).filter(|held| held.size == blob.size),
            Location::Memory(_) | Location::File(_) | Location::Slice { .. } => None,
        };
        held.map_or_else(|| blob.clone(), |held| Blob { location: Location::File(held.path), ..blob.clone() })
    }

    /// The context for the sources of a stage.
    pub(super) fn context(&self, stage: &Stage, platform: &Platform, images: Vec<SourceImage>) -> Context {
        let files = stage.adds().flat_map(|add| source::provider(&add.source).requirement_files());
        Context {
            cache: self.cache.clone(),
            downloads: self.downloads.clone(),
            events: self.events.clone(),
            threads: self.threads.clone(),
            platform: platform.clone(),
            requirement_files: files.collect(),
            images: images.into(),
            registries: self.registries.clone(),
            lambda_layers: self.lambda_layers.clone(),
            told_of_modes: self.told_of_modes.clone(),
        }
    }
}

/// Whether to use layers of earlier builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// Use them.
    #[default]
    On,
    /// Make them again, and fail if the digests differ.
    Verify,
    /// Do not look for them. New layers are still added to the cache.
    Off,
}

/// The use of layers of earlier builds.
#[derive(Clone, Default)]
pub(super) struct CacheUse {
    pub(super) policy: Caching,
    /// Cache sources besides the images that the destinations' tags name.
    pub(super) from: Vec<Reference>,
    /// The names of the stages whose layers are made again.
    pub(super) without: Vec<String>,
}

impl CacheUse {
    /// For a stage of this name.
    pub(super) fn of_stage(&self, name: Option<&str>) -> Caching {
        let is_made =
            name.is_some_and(|name| self.without.iter().any(|stage| stage.eq_ignore_ascii_case(name)));
        if is_made { Caching::Off } else { self.policy }
    }
}

/// Settings of an [`Engine`](super::Engine); every field has a default.
#[derive(Default)]
pub struct EngineBuilder {
    cache: Option<PathBuf>,
    caching: CacheUse,
    running: Running,
    jobs: Option<usize>,
    credentials: Vec<Arc<dyn Credentials>>,
    lambda_layers: Option<Arc<dyn LambdaLayers>>,
    insecure: Vec<String>,
    endpoints: Vec<(String, String)>,
    events: Events,
    secrets: BTreeMap<String, Vec<u8>>,
    agents: BTreeMap<String, PathBuf>,
    dry_run: bool,
    local_images: bool,
}

impl EngineBuilder {
    /// Sets the cache's directory. Default: [`Cache::default_root`].
    #[must_use]
    pub fn cache(mut self, root: impl Into<PathBuf>) -> EngineBuilder {
        self.cache = Some(root.into());
        self
    }

    /// Sets whether to use layers of earlier builds, from the cache on this machine or from images.
    #[must_use]
    pub fn caching(mut self, caching: Caching) -> EngineBuilder {
        self.caching.policy = caching;
        self
    }

    /// Adds a cache source: an image whose layers are reused if their keys match, besides the images that the
    /// destinations' tags name. It may be in any registry, and need not exist.
    #[must_use]
    pub fn cache_from(mut self, image: Reference) -> EngineBuilder {
        self.caching.from.push(image);
        self
    }

    /// Makes the layers of this stage again, even if the cache or an image has them. May be called several times.
    #[must_use]
    pub fn without_cache(mut self, stage: impl Into<String>) -> EngineBuilder {
        self.caching.without.push(stage.into());
        self
    }

    /// Sets the only mode in which commands of a Dockerfile run. Default: the first of [`RunMode::ALL`] that works here.
    #[must_use]
    pub fn run_mode(mut self, mode: RunMode) -> EngineBuilder {
        self.running.mode = Some(mode);
        self
    }

    /// Sets whether layers of commands keep the files that differ with each run, such as logs of package managers.
    #[must_use]
    pub fn keep_noise(mut self, keep: bool) -> EngineBuilder {
        self.running.keeps_noise = keep;
        self
    }

    /// Sets the number of threads that compress. Default: one per core, at most 16. The bytes do not depend on it.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> EngineBuilder {
        self.jobs = Some(jobs.max(1));
        self
    }

    /// Adds a source of credentials, used after those added before it. Default: [`DockerConfig`].
    #[must_use]
    pub fn credentials(mut self, source: impl Credentials + 'static) -> EngineBuilder {
        self.credentials.push(Arc::new(source));
        self
    }

    /// Sets the source of Lambda layers that recipes name by their ARNs. Default: none, so that such recipes fail.
    #[must_use]
    pub fn lambda_layers(mut self, source: impl LambdaLayers + 'static) -> EngineBuilder {
        self.lambda_layers = Some(Arc::new(source));
        self
    }

    /// Uses plain HTTP for a registry (host, with its port). Registries on loopback use it by default.
    #[must_use]
    pub fn insecure(mut self, registry: impl Into<String>) -> EngineBuilder {
        self.insecure.push(registry.into());
        self
    }

    /// Sets another endpoint for a registry, as `https://HOST[:PORT]`: a mirror, a private link, a test. Images keep
    /// the registry's name, and its credentials are sent to this endpoint only.
    #[must_use]
    pub fn endpoint(mut self, registry: impl Into<String>, endpoint: impl Into<String>) -> EngineBuilder {
        self.endpoints.push((registry.into(), endpoint.into()));
        self
    }

    /// Sets the receiver of events, which is called from several threads.
    #[must_use]
    pub fn on_event(mut self, sink: impl Fn(Event) + Send + Sync + 'static) -> EngineBuilder {
        self.events = Events::to(sink);
        self
    }

    /// Adds an SSH agent that mounts of a Dockerfile's commands name by its id, by the path of its socket. Commands can use
    /// its keys, and cannot read them.
    #[must_use]
    pub fn ssh_agent(mut self, id: impl Into<String>, socket: impl Into<PathBuf>) -> EngineBuilder {
        self.agents.insert(id.into(), socket.into());
        self
    }

    /// Adds a secret that mounts of a Dockerfile's commands name by its id. It is in no layer, key, event or error.
    #[must_use]
    pub fn secret(mut self, id: impl Into<String>, value: impl Into<Vec<u8>>) -> EngineBuilder {
        self.secrets.insert(id.into(), value.into());
        self
    }

    /// Sets whether a name of a registry's image means that of the local image store, if it has one of this name, as
    /// `docker build` does. Default: it does not, so that a build does not depend on the machine.
    #[must_use]
    pub fn local_images(mut self, local_images: bool) -> EngineBuilder {
        self.local_images = local_images;
        self
    }

    /// Sets whether to skip all writes to the destinations. The cache is still filled.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> EngineBuilder {
        self.dry_run = dry_run;
        self
    }

    /// The session with these settings.
    pub(super) fn session(mut self) -> Result<Arc<Session>> {
        let root = self.cache.or_else(Cache::default_root).ok_or(Error::NoCacheRoot)?;
        if self.credentials.is_empty() {
            self.credentials.push(Arc::new(DockerConfig));
        }
        let mut addresses = Addresses::default();
        self.insecure.into_iter().for_each(|registry| addresses.insecure(registry));
        for (registry, endpoint) in &self.endpoints {
            addresses.endpoint(registry, endpoint)?;
        }
        // Each thread needs a few megabytes; beyond 16 threads the disk is the limit.
        let jobs = || std::thread::available_parallelism().map_or(1, |cores| cores.get().min(16));
        let cache = Cache::at(root);
        let secrets = BuildSecrets::new(self.secrets);
        let events = match secrets.is_empty() {
            true => self.events,
            false => {
                let secrets = secrets.clone();
                self.events.rewritten(move |text| secrets.hide(text).into_owned())
            }
        };
        Ok(Arc::new(Session {
            downloads: Downloads::new(cache.clone(), events.clone()),
            archives: Archives::default(),
            cache,
            caching: self.caching,
            running: self.running,
            threads: Threads::new(self.jobs.unwrap_or_else(jobs)),
            dry_run: self.dry_run,
            local_images: self.local_images,
            registries: Registries::new(self.credentials, addresses, events.clone())?,
            events,
            secrets,
            agents: self.agents,
            making: Turns::default(),
            sending: Turns::default(),
            lambda_layers: self.lambda_layers,
            told_of_modes: Arc::default(),
        }))
    }
}
