//! The one engine that executes every [`Recipe`].
//!
//! The flow of a push:
//!
//! 1. [`prepare`]: requests the state of the destinations ([`publish`]), while the image is built ([`build`]): the base
//!    is resolved to one platform's manifest and config ([`find`]), the sources are planned, and parts become layers.
//!    The upload of each layer starts as soon as the layer exists.
//! 2. If the image is checked first, its own blobs wait at a [`gate`], and [`Prepared::scan`] lists the files of the layers
//!    ([`inspect`]). Layers of the base that are sent meanwhile are scanned as they pass.
//! 3. [`Prepared::send`]: sends the remaining blobs, the config, then the manifest; the tags move last.
//!
//! All parts share the [`session`].

mod archives;
mod build;
mod compression;
mod contents;
mod find;
mod gate;
mod inspect;
mod load;
mod pin;
mod prepare;
mod publish;
mod rebase;
mod running;
mod sent;
mod session;
mod turns;
#[cfg(target_os = "linux")]
mod unpack;

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::image::{Config, Digest, Format, Image, Layer, Platform, Reference};
use crate::recipe::{Base, Recipe};
#[cfg(target_os = "linux")]
use crate::rootfs::UnpackedImage;
use crate::scan::{Annotate, Scans};
use crate::store::{Cache, Destination, LocalImage, LocalImages};
use crate::tree::FileTree;

pub use find::{Inspected, StoredImage};
pub use inspect::diff;
pub use inspect::{Difference, Probe};
pub use prepare::{Prepared, Reach};
pub use publish::Published;
pub use running::{RunMode, RunProbe};
pub use sent::Sent;
pub use session::{Caching, EngineBuilder};

use build::Cached;
use contents::Trees;
use gate::Gate;
use prepare::Hold;
use publish::Push;
use session::Session;

/// Builds and publishes images. Cheap to clone; clones share connections, tokens, threads and the cache.
#[derive(Clone)]
pub struct Engine {
    session: Arc<Session>,
}

impl EngineBuilder {
    /// Creates the engine.
    ///
    /// # Errors
    /// When there is no directory for the cache, an endpoint is not an address, or the system's TLS roots cannot be
    /// read.
    pub fn build(self) -> Result<Engine> {
        Ok(Engine { session: self.session()? })
    }
}

impl Engine {
    /// A builder with the default settings.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// The engine's cache.
    pub fn cache(&self) -> &Cache {
        &self.session.cache
    }

    /// Builds the image of the recipe's last stage. Layers in the cache are not made again.
    ///
    /// # Errors
    /// When the recipe is invalid, or its base or files cannot be read.
    pub async fn build(&self, recipe: &Recipe) -> Result<Image> {
        let cached = Cached::of(&self.session, &[]);
        let built = build::build(&self.session, recipe, &[], &cached, &Trees::default(), None).await;
        built.map_err(|error| self.session.cache.explained(error))
    }

    /// The layer of `files`, whose entries have the time `epoch` (seconds since 1970): from the cache, or written and
    /// added to the cache.
    ///
    /// # Errors
    /// When a file cannot be read, or the cache cannot be written.
    pub async fn layer(&self, files: &FileTree, epoch: u64) -> Result<Layer> {
        build::layer_of_tree(&self.session, files.clone(), epoch).await
    }

    /// Publishes a built image to a destination, under each of its tags.
    ///
    /// # Errors
    /// When the destination refuses it, or a blob does not have its digest.
    pub async fn publish(&self, image: &Image, format: Format, to: &Destination) -> Result<Published> {
        let gate = Arc::new(Gate::opened());
        let push = Push::open(self.session.clone(), to, publish::registry_source(image), gate);
        push.image(image);
        let failed = |error: Error| {
            // A damaged blob of the cache is removed, so that the next build makes it again.
            self.session.cache.lost(&error);
            self.session.cache.explained(error)
        };
        let ready = push.ready(image, format).await.map_err(failed)?;
        let (published, failures) = push.put(image, ready).await;
        match failures.into_iter().next() {
            Some(failure) => Err(failed(failure)),
            None => published.ok_or(Error::Interrupted),
        }
    }

    /// Builds the image for its destinations, and meanwhile requests which blobs they lack. Layers of the base are sent
    /// to registries at once; the image's own blobs wait until [`Prepared::send`].
    ///
    /// # Errors
    /// Those of [`build`](Engine::build), and the first failure of a destination.
    pub async fn prepare(&self, recipe: &Recipe, to: &[(Destination, Format)]) -> Result<Prepared> {
        prepare::prepare(&self.session, recipe, to, Hold::Yes).await
    }

    /// As [`prepare`](Engine::prepare), for an image that is scanned before it is sent: layers of the base that are sent
    /// to a registry are scanned as they pass. `annotator` gets the config of the image.
    ///
    /// # Errors
    /// Those of [`prepare`](Engine::prepare).
    pub async fn prepare_scanned<A: Annotate>(
        &self,
        recipe: &Recipe,
        to: &[(Destination, Format)],
        annotator: impl Fn(&Config) -> A + Send + Sync + 'static,
    ) -> Result<Prepared> {
        let scanner = inspect::scanner(&self.session, annotator);
        prepare::prepare(&self.session, recipe, to, Hold::Scanned(scanner)).await
    }

    /// Builds and publishes the image. Uploads start as layers become available.
    ///
    /// # Errors
    /// Those of [`build`](Engine::build) and [`publish`](Engine::publish). In that case no tag has moved, unless
    /// one destination refused the manifest that another accepted.
    pub async fn push(&self, recipe: &Recipe, to: &[(Destination, Format)]) -> Result<Vec<Published>> {
        self.push_each(recipe, to).await?.complete()
    }

    /// As [`push`](Engine::push), and also returns where the image was published if another destination, or one of
    /// several tags, failed.
    ///
    /// # Errors
    /// When the image cannot be built, or cannot be sent to all destinations. No tag has moved then.
    pub async fn push_each(&self, recipe: &Recipe, to: &[(Destination, Format)]) -> Result<Sent> {
        prepare::prepare(&self.session, recipe, to, Hold::No).await?.send_each().await
    }

    /// Makes the recipe exact: bases by digest, sources pinned, every path in the image explicit. Nothing is built.
    ///
    /// # Errors
    /// When a base does not exist or does not support the platform, or a source cannot be resolved.
    pub async fn pin(&self, recipe: Recipe) -> Result<Recipe> {
        pin::pin(&self.session, recipe).await
    }

    /// The image of `base` for the platform, with its config and with its name pinned to a digest; its layers are not
    /// read. Front-ends need the config of a base before they can make a recipe.
    ///
    /// # Errors
    /// When the image does not exist, cannot be read, or is not for the platform; and for a stage and `scratch`, which
    /// are not stored.
    pub async fn resolve(&self, base: &Base, platform: &Platform) -> Result<StoredImage> {
        find::resolve(&self.session, base, platform).await.map(|(_, _, found)| found)
    }

    /// Reads an image's manifest and config, but not its layers. An index is resolved if a platform is given, or if it
    /// has only one; otherwise the index itself is returned.
    ///
    /// # Errors
    /// When the image does not exist, or cannot be read.
    pub async fn inspect(&self, image: &Base, platform: Option<&Platform>) -> Result<Inspected> {
        find::inspect(&self.session, image, platform).await
    }

    /// Scans the image's layers; a layer that is not a tar has no scan. Layers are streamed, several at once, and only if
    /// the cache has no scan of them by the same annotator; a missing or damaged layer is a fault in any case.
    ///
    /// # Errors
    /// When a layer cannot be fetched.
    pub async fn scan<A: Annotate>(&self, image: &StoredImage, annotator: Arc<A>) -> Result<Scans<A::Fact>> {
        inspect::scan::of_image(&self.session, image, annotator).await
    }

    /// The digest of the image or index that a name in a registry refers to now; `None` if there is none.
    ///
    /// # Errors
    /// When the registry refuses to say.
    pub async fn digest_of(&self, name: &Reference) -> Result<Option<Digest>> {
        let found = self.session.registries.source(name).manifest(&name.target()).await?;
        Ok(found.map(|manifest| manifest.digest))
    }

    /// A stored image as it is, to be published elsewhere. Layers that are not gzip are compressed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn stored(&self, image: &StoredImage) -> Result<Image> {
        let stored = build::as_it_is(&self.session, &image.base, &image.config.platform()).await;
        stored.map_err(|error| self.session.cache.explained(error))
    }

    /// The image with its own layers on the base `onto`, which `named` names, instead of on `old`: nothing is built, and no
    /// layer is made. Whether the layers work there is for the caller to find out.
    ///
    /// # Errors
    /// When the image does not begin with the layers of `old`, or an image cannot be read.
    pub async fn rebase(
        &self,
        image: &StoredImage,
        old: &Config,
        onto: &StoredImage,
        named: &Base,
    ) -> Result<Image> {
        let rebased = rebase::rebase(&self.session, image, old, onto, named).await;
        rebased.map_err(|error| self.session.cache.explained(error))
    }

    /// The images that this machine has under names.
    pub fn images(&self) -> LocalImages {
        self.session.cache.images()
    }

    /// Stores the images of a Docker archive, with their layers and names, in the local store.
    ///
    /// # Errors
    /// When the file is no such archive, or the cache cannot be written.
    pub async fn load(&self, archive: &Path) -> Result<Vec<LocalImage>> {
        load::load(&self.session, archive).await.map_err(|error| self.session.cache.explained(error))
    }

    /// Copies the layers of an image of the local store to this machine, so that it no longer needs where they come from.
    ///
    /// # Errors
    /// When a layer cannot be read, or the cache cannot be written.
    pub async fn hold(&self, image: &LocalImage) -> Result<()> {
        let held = load::held(&self.session, image.image().clone()).await?;
        self.images().put(&held, &image.names)
    }

    /// Whether a registry accepts the credentials for it.
    ///
    /// # Errors
    /// When it refuses them, or cannot be reached.
    pub async fn log_in(&self, registry: &str) -> Result<()> {
        self.session.registries.log_in(registry).await
    }

    /// The differences between two images. Layers are read only if they differ.
    ///
    /// # Errors
    /// When a layer cannot be fetched, or is not a complete layer.
    pub async fn diff(&self, images: [&StoredImage; 2]) -> Result<Difference> {
        diff::difference(&self.session, images).await
    }

    /// Tries the requests of a push to a repository, without leaving anything in it. Stops at the first failure that
    /// makes further probes meaningless.
    pub async fn probe(&self, to: &Reference) -> Vec<Probe> {
        inspect::probe(&self.session, to).await
    }

    /// Unpacks the files of an image into the cache, so that its programs can run. What is there already is not unpacked
    /// again.
    ///
    /// # Errors
    /// When a layer cannot be read, or no program can run here.
    #[cfg(target_os = "linux")]
    pub async fn unpack(&self, image: &Image) -> Result<UnpackedImage> {
        unpack::unpack(&self.session, image).await.map_err(|error| self.session.cache.explained(error))
    }

    /// Tries each mode in which commands of a Dockerfile run, the preferred one first.
    pub async fn run_modes(&self) -> Vec<RunProbe> {
        running::probes(&self.session.cache).await
    }

    /// Whether the recipe's files, as they are on disk now, add a file at `path` of the image. Files of the base do not
    /// count.
    ///
    /// # Errors
    /// When an ignore file cannot be read.
    pub fn provides(&self, recipe: &Recipe, path: &str) -> Result<bool> {
        build::provides(recipe, path)
    }

    /// Whether a file at `path` on this machine is among the recipe's files, or would be if it existed.
    ///
    /// # Errors
    /// When an ignore file cannot be read.
    pub fn packs(&self, recipe: &Recipe, path: &Path) -> Result<bool> {
        build::packs(recipe, path)
    }
}
