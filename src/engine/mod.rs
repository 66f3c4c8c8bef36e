//! The one engine that executes every [`Recipe`].
//!
//! The flow of a push, as [`Engine::push`] reads:
//!
//! 1. The destinations are asked what they have ([`publish`]), the base is resolved to one platform's
//!    manifest and config ([`base`]), and the source directories are walked ([`stage`]), all at once.
//! 2. The base's layers set off for the destinations that lack them.
//! 3. Step by step, files become layers ([`layer`]): found by their key ([`key`]) in the cache or in an image that
//!    was pushed earlier ([`earlier`]), or made. Each sets off as soon as it is there.
//! 4. The config follows, then the manifest, and the tags move last.
//!
//! Where somebody judges the image first ([`Engine::push_if`]), blobs set off all the same, and wait before they would
//! be sent: a registry is asked meanwhile what it has.

mod base;
mod bridge;
mod built;
pub mod diff;
mod earlier;
mod key;
mod layer;
mod packages;
mod pin;
mod probe;
mod publish;
mod recompress;
mod stage;
mod survey;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::{Ready, try_join_all};

use crate::error::{Error, Result};
use crate::event::{Event, Events};
use crate::image::{Format, Image, Layer, Platform, Reference};
use crate::recipe::{Base, Recipe};
use crate::scan::{Annotate, LayerScan};
use crate::store::{Addresses, Cache, Credentials, Destination, DockerConfig, Downloads, Registries};
use crate::tree::FileTree;

pub use base::{Found, Inspected};
pub use built::{Built, Reach};
pub use diff::Difference;
pub use probe::Probe;
pub use publish::Published;

use built::Trees;
use earlier::Earlier;
use publish::{Gate, Push};

/// Why a push ends early.
enum Stop<E> {
    Failed(Error),
    Judged(E),
}

impl<E> From<Error> for Stop<E> {
    fn from(error: Error) -> Stop<E> {
        Stop::Failed(error)
    }
}

impl<E: From<Error>> Stop<E> {
    fn into(self) -> E {
        match self {
            Stop::Failed(error) => error.into(),
            Stop::Judged(error) => error,
        }
    }
}

/// Builds and publishes images. Cheap to clone; clones share connections, tokens and the cache.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    cache: Cache,
    caching: CacheUse,
    jobs: usize,
    dry_run: bool,
    registries: Registries,
    downloads: Downloads,
    archives: base::Archives,
    events: Events,
}

/// What layers that were made earlier are good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// They are taken as they are.
    #[default]
    On,
    /// They are made anew all the same, and must come out the same.
    Verify,
    /// None is looked for. What is made is kept for others.
    Off,
}

/// Where layers may be found that were made earlier.
#[derive(Clone, Default)]
struct CacheUse {
    policy: Caching,
    /// Images to look in, besides those that the destinations' tags name.
    from: Vec<Reference>,
}

/// How an [`Engine`] shall work; every field has a default.
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

    /// The engine.
    ///
    /// # Errors
    /// When there is no place for the cache, an endpoint is no address, or the system's TLS roots cannot be read.
    pub fn build(mut self) -> Result<Engine> {
        let root = self.cache.or_else(Cache::default_root).ok_or(Error::NoCacheRoot)?;
        if self.credentials.is_empty() {
            self.credentials.push(Arc::new(DockerConfig));
        }
        let mut addresses = Addresses::default();
        self.insecure.into_iter().for_each(|registry| addresses.insecure(registry));
        for (registry, endpoint) in &self.endpoints {
            addresses.endpoint(registry, endpoint)?;
        }
        // Each holds a few megabytes; beyond this many the disk is the limit anyway.
        let jobs = || std::thread::available_parallelism().map_or(1, |cores| cores.get().min(16));
        let cache = Cache::at(root);
        Ok(Engine {
            shared: Arc::new(Shared {
                downloads: Downloads::new(cache.clone(), self.events.clone()),
                archives: base::Archives::default(),
                cache,
                caching: self.caching,
                jobs: self.jobs.unwrap_or_else(jobs),
                dry_run: self.dry_run,
                registries: Registries::new(self.credentials, addresses, self.events.clone())?,
                events: self.events,
            }),
        })
    }
}

impl Engine {
    /// An engine to be set up.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// The engine's cache.
    pub fn cache(&self) -> &Cache {
        &self.shared.cache
    }

    /// Builds the image of the recipe's last stage. What the cache has is not made again.
    ///
    /// # Errors
    /// When the recipe, its base or its files do not allow it.
    pub async fn build(&self, recipe: &Recipe) -> Result<Image> {
        self.shared.build(recipe, &[], &Earlier::of(&self.shared, &[]), None).await
    }

    /// The layer of `files`, whose entries bear the time `epoch` (seconds since 1970): from the cache, or made
    /// and kept there.
    ///
    /// # Errors
    /// When a file cannot be read, or the cache not be written.
    pub async fn layer(&self, files: &FileTree, epoch: u64) -> Result<Layer> {
        self.shared.layer_of(files.clone(), epoch).await
    }

    /// Puts a built image to a destination, under each of its tags.
    ///
    /// # Errors
    /// When the destination refuses it, or a blob is not what its digest says.
    pub async fn publish(&self, image: &Image, format: Format, to: &Destination) -> Result<Published> {
        let gate = Arc::new(Gate::opened());
        let push = Push::open(self.shared.clone(), to, publish::registry_source(image), gate);
        push.image(image);
        let ready = push.ready(image, format).await?;
        push.put(image, ready).await
    }

    /// Builds and publishes in one go: whatever can be done at once, is.
    ///
    /// # Errors
    /// Those of [`build`](Engine::build) and [`publish`](Engine::publish). No tag has moved then, unless a
    /// destination refused the manifest that another took.
    pub async fn push(&self, recipe: &Recipe, to: &[(Destination, Format)]) -> Result<Vec<Published>> {
        self.push_judged(recipe, to, None::<&fn(&Built<'_>) -> Ready<Result<()>>>).await
    }

    /// The same, but nothing is sent before `judge` has agreed to the image. Registries are asked meanwhile what they
    /// have.
    ///
    /// # Errors
    /// As [`push`](Engine::push), and whatever `judge` fails with.
    pub async fn push_if<E: From<Error>>(
        &self,
        recipe: &Recipe,
        to: &[(Destination, Format)],
        judge: impl AsyncFn(&Built<'_>) -> Result<(), E>,
    ) -> Result<Vec<Published>, E> {
        self.push_judged(recipe, to, Some(&judge)).await
    }

    async fn push_judged<E: From<Error>>(
        &self,
        recipe: &Recipe,
        to: &[(Destination, Format)],
        judge: Option<&impl AsyncFn(&Built<'_>) -> Result<(), E>>,
    ) -> Result<Vec<Published>, E> {
        let on = self.shared.caching.policy != Caching::Off;
        let look_back = match self.try_push(recipe, to, on, judge).await {
            // A damaged blob of the cache is made anew, once; so is one that was pruned meanwhile.
            Err(Stop::Failed(Error::CorruptFile { path, expected, .. }))
                if self.shared.cache.holds(&path) =>
            {
                self.shared.cache.evict(expected);
                on
            }
            Err(Stop::Failed(
                Error::BlobRead { path, .. } | Error::Read { path, .. } | Error::SourceChanged { path },
            )) if self.shared.cache.holds(&path) => on,
            // What an earlier image promised is gone.
            Err(Stop::Failed(Error::LostBlob { .. })) if on => false,
            done => return done.map_err(Stop::into),
        };
        self.try_push(recipe, to, look_back, judge).await.map_err(Stop::into)
    }

    /// `look_back` is whether layers are taken from images that were pushed earlier.
    async fn try_push<E>(
        &self,
        recipe: &Recipe,
        to: &[(Destination, Format)],
        look_back: bool,
        judge: Option<&impl AsyncFn(&Built<'_>) -> Result<(), E>>,
    ) -> Result<Vec<Published>, Stop<E>> {
        let source = match recipe.stages.last().map(|stage| &stage.base) {
            Some(Base::Registry(name)) => Some(name.clone()),
            _ => None,
        };
        // What nobody judges sets off as it comes; all else waits for the verdict where it would be sent.
        let gate = Arc::new(if judge.is_some() { Gate::shut() } else { Gate::opened() });
        let open = |(to, _): &(Destination, Format)| {
            Push::open(self.shared.clone(), to, source.clone(), gate.clone())
        };
        let pushes: Vec<Push> = to.iter().map(open).collect();
        let earlier = if look_back { Earlier::of(&self.shared, &pushes) } else { Earlier::default() };
        let trees = judge.map(|_| Trees::default());
        let image = tokio::select! {
            image = self.shared.build(recipe, &pushes, &earlier, trees.as_ref()) => image?,
            error = first_failure(&pushes) => return Err(error.into()),
        };
        if let (Some(judge), Some(trees)) = (judge, &trees) {
            pushes.iter().for_each(|push| push.image(&image));
            judge(&Built { image: &image, shared: &self.shared, trees }).await.map_err(Stop::Judged)?;
            gate.open();
        }
        // No tag moves anywhere before every destination has what it needs.
        let ready = pushes.iter().zip(to).map(|(push, (_, format))| push.ready(&image, *format));
        let ready = try_join_all(ready).await?;
        Ok(try_join_all(pushes.iter().zip(ready).map(|(push, ready)| push.put(&image, ready))).await?)
    }

    /// The recipe made exact: bases by digest, every path in the image spelled out. Nothing is built.
    ///
    /// # Errors
    /// When a base is not there, or not for the platform.
    pub async fn pin(&self, recipe: Recipe) -> Result<Recipe> {
        pin::pin(&self.shared, recipe).await
    }

    /// Looks at an image without its layers' bytes. An index is resolved when a platform is named, or when
    /// it offers but one; else it is returned as such.
    ///
    /// # Errors
    /// When the image is not there, or cannot be read.
    pub async fn inspect(&self, image: &Base, platform: Option<&Platform>) -> Result<Inspected> {
        base::inspect(&self.shared, image, platform).await
    }

    /// What the image's layers hold, lowest first; `None` for one that is no tar. Layers are read in a stream, several
    /// at once, and only when they were not read before by the same annotator.
    ///
    /// # Errors
    /// When a layer cannot be had, or is no whole layer.
    pub async fn survey<A: Annotate + Send + 'static>(
        &self,
        image: &Found,
        annotator: Arc<A>,
    ) -> Result<Vec<Option<LayerScan<A::Fact>>>> {
        self.shared.survey(image, annotator).await
    }

    /// Why the second image is not the first. Layers are read only where they differ.
    ///
    /// # Errors
    /// When a layer cannot be had, or is no whole layer.
    pub async fn diff(&self, images: [&Found; 2]) -> Result<Difference> {
        self.shared.diff(images).await
    }

    /// Whether the recipe's files, as they are on disk now, put a file at `path` of the image. Files of the
    /// base do not count.
    ///
    /// # Errors
    /// When an ignore file cannot be read.
    pub fn provides(&self, recipe: &Recipe, path: &str) -> Result<bool> {
        stage::provides(recipe, path)
    }

    /// Whether a file at `path` on this machine is, or would be, among the recipe's files.
    ///
    /// # Errors
    /// When an ignore file cannot be read.
    pub fn packs(&self, recipe: &Recipe, path: &Path) -> Result<bool> {
        stage::packs(recipe, path)
    }
}

/// A destination that cannot be reached is no reason to finish a build first.
async fn first_failure(pushes: &[Push]) -> Error {
    let failures = pushes.iter().map(|push| Box::pin(push.failed()));
    match pushes.is_empty() {
        true => std::future::pending().await,
        false => futures_util::future::select_all(failures).await.0,
    }
}
