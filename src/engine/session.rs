//! [`Session`]: all that the parts of the engine share, and the builder that sets it up.

use std::path::PathBuf;
use std::sync::Arc;

use super::archives::Archives;
use crate::error::{Error, Result};
use crate::event::{Event, Events};
use crate::image::{Platform, Reference};
use crate::recipe::Stage;
use crate::source::{self, Context, SourceImage};
use crate::store::{Addresses, Cache, Credentials, DockerConfig, Downloads, Registries};
use crate::threads::Threads;

/// What the parts of an engine share: the cache, connections, threads and settings.
pub(super) struct Session {
    pub(super) cache: Cache,
    pub(super) caching: CacheUse,
    pub(super) threads: Threads,
    pub(super) dry_run: bool,
    pub(super) registries: Registries,
    pub(super) downloads: Downloads,
    pub(super) archives: Archives,
    pub(super) events: Events,
}

impl Session {
    /// What the sources of a stage work with.
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
        }
    }
}

/// Whether layers of earlier builds are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// They are taken.
    #[default]
    On,
    /// They are made again all the same, and must have the same digests.
    Verify,
    /// None is looked for. Layers that are made are kept for later builds.
    Off,
}

/// Where layers of earlier builds are looked for.
#[derive(Clone, Default)]
pub(super) struct CacheUse {
    pub(super) policy: Caching,
    /// Images to look in, besides those that the destinations' tags name.
    pub(super) from: Vec<Reference>,
}

/// Settings of an [`Engine`](super::Engine); every field has a default.
#[derive(Default)]
pub struct EngineBuilder {
    cache: Option<PathBuf>,
    caching: CacheUse,
    jobs: Option<usize>,
    credentials: Vec<Arc<dyn Credentials>>,
    insecure: Vec<String>,
    endpoints: Vec<(String, String)>,
    events: Events,
    dry_run: bool,
}

impl EngineBuilder {
    /// Where the cache is, instead of [`Cache::default_root`].
    #[must_use]
    pub fn cache(mut self, root: impl Into<PathBuf>) -> EngineBuilder {
        self.cache = Some(root.into());
        self
    }

    /// Whether layers that were made earlier are taken, from the cache on this machine or from images.
    #[must_use]
    pub fn caching(mut self, caching: Caching) -> EngineBuilder {
        self.caching.policy = caching;
        self
    }

    /// An image whose layers are taken where they are what would be made, besides the images that the destinations'
    /// tags name. It may be in any registry, and need not be there.
    #[must_use]
    pub fn cache_from(mut self, image: Reference) -> EngineBuilder {
        self.caching.from.push(image);
        self
    }

    /// How many threads compress, instead of one a core (16 at most). The bytes are the same for any number.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> EngineBuilder {
        self.jobs = Some(jobs.max(1));
        self
    }

    /// A place to take credentials from, asked after those that were named before it. When none is named,
    /// [`DockerConfig`] is.
    #[must_use]
    pub fn credentials(mut self, source: impl Credentials + 'static) -> EngineBuilder {
        self.credentials.push(Arc::new(source));
        self
    }

    /// A registry (host, with its port) to speak plain HTTP to. Registries on loopback need not be named.
    #[must_use]
    pub fn insecure(mut self, registry: impl Into<String>) -> EngineBuilder {
        self.insecure.push(registry.into());
        self
    }

    /// Where a registry is reached, as `https://HOST[:PORT]`, when that is not where its name says: a mirror, a
    /// private link, a test. Images keep the registry's name, and its credentials go there and nowhere else.
    #[must_use]
    pub fn endpoint(mut self, registry: impl Into<String>, endpoint: impl Into<String>) -> EngineBuilder {
        self.endpoints.push((registry.into(), endpoint.into()));
        self
    }

    /// Where events go; they come from several threads.
    #[must_use]
    pub fn on_event(mut self, sink: impl Fn(Event) + Send + Sync + 'static) -> EngineBuilder {
        self.events = Events::to(sink);
        self
    }

    /// Whether all is done but writing to the destinations; the cache is filled all the same.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> EngineBuilder {
        self.dry_run = dry_run;
        self
    }

    /// What an engine of these settings shares.
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
        // Each thread holds a few megabytes; beyond this many the disk is the limit anyway.
        let jobs = || std::thread::available_parallelism().map_or(1, |cores| cores.get().min(16));
        let cache = Cache::at(root);
        Ok(Arc::new(Session {
            downloads: Downloads::new(cache.clone(), self.events.clone()),
            archives: Archives::default(),
            cache,
            caching: self.caching,
            threads: Threads::new(self.jobs.unwrap_or_else(jobs)),
            dry_run: self.dry_run,
            registries: Registries::new(self.credentials, addresses, self.events.clone())?,
            events: self.events,
        }))
    }
}
