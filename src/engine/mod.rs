//! The one engine that executes every [`Recipe`].
//!
//! The flow of a push:
//!
//! 1. [`prepare`]: the destinations are asked what they have ([`publish`]), while the image is built ([`build`]): the
//!    base is resolved to one platform's manifest and config ([`find`]), the sources are planned, and parts become
//!    layers. Each layer sets off as soon as it exists.
//! 2. Where the image is checked first, its own blobs wait behind a gate, and [`Prepared::scan`] says what the layers
//!    hold ([`inspect`]).
//! 3. [`Prepared::send`]: the rest of the blobs, the config, then the manifest; the tags move last.
//!
//! What the parts share is the [`session`].

mod archives;
mod build;
mod find;
mod inspect;
mod pin;
mod prepare;
mod publish;
mod session;

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::image::{Format, Image, Layer, Platform, Reference};
use crate::recipe::{Base, Recipe};
use crate::scan::{Annotate, LayerScan};
use crate::store::{Cache, Destination};
use crate::tree::FileTree;

pub use find::{Inspected, StoredImage};
pub use inspect::diff;
pub use inspect::{Difference, Probe};
pub use prepare::{Prepared, Reach};
pub use publish::Published;
pub use session::{Caching, EngineBuilder};

use build::{Cached, Trees};
use publish::{Gate, Push};
use session::Session;

/// Builds and publishes images. Cheap to clone; clones share connections, tokens, threads and the cache.
#[derive(Clone)]
pub struct Engine {
    session: Arc<Session>,
}

impl EngineBuilder {
    /// The engine.
    ///
    /// # Errors
    /// When there is no directory for the cache, an endpoint is not an address, or the system's TLS roots cannot be
    /// read.
    pub fn build(self) -> Result<Engine> {
        Ok(Engine { session: self.session()? })
    }
}

impl Engine {
    /// An engine to be set up.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// The engine's cache.
    pub fn cache(&self) -> &Cache {
        &self.session.cache
    }

    /// Builds the image of the recipe's last stage. Layers that the cache has are not made again.
    ///
    /// # Errors
    /// When the recipe, its base or its files do not allow it.
    pub async fn build(&self, recipe: &Recipe) -> Result<Image> {
        let cached = Cached::of(&self.session, &[]);
        build::build(&self.session, recipe, &[], &cached, &Trees::default()).await
    }

    /// The layer of `files`, whose entries have the time `epoch` (seconds since 1970): from the cache, or made and kept
    /// there.
    ///
    /// # Errors
    /// When a file cannot be read, or the cache cannot be written.
    pub async fn layer(&self, files: &FileTree, epoch: u64) -> Result<Layer> {
        build::layer_of_tree(&self.session, files.clone(), epoch).await
    }

    /// Puts a built image to a destination, under each of its tags.
    ///
    /// # Errors
    /// When the destination refuses it, or a blob is not what its digest says.
    pub async fn publish(&self, image: &Image, format: Format, to: &Destination) -> Result<Published> {
        let gate = Arc::new(Gate::opened());
        let push = Push::open(self.session.clone(), to, publish::registry_source(image), gate);
        push.image(image);
        let ready = push.ready(image, format).await?;
        push.put(image, ready).await
    }

    /// Builds the image for its destinations, which are asked meanwhile what they lack. Layers of the base set off to
    /// registries at once; the image's own blobs wait until it is sent.
    ///
    /// # Errors
    /// Those of [`build`](Engine::build), and the first failure of a destination.
    pub async fn prepare(&self, recipe: &Recipe, to: &[(Destination, Format)]) -> Result<Prepared> {
        prepare::prepare(&self.session, recipe, to, true).await
    }

    /// Builds and publishes in one go: uploads start as layers become available.
    ///
    /// # Errors
    /// Those of [`build`](Engine::build) and [`publish`](Engine::publish). No tag has moved then, unless a
    /// destination refused the manifest that another took.
    pub async fn push(&self, recipe: &Recipe, to: &[(Destination, Format)]) -> Result<Vec<Published>> {
        prepare::prepare(&self.session, recipe, to, false).await?.send().await
    }

    /// The recipe made exact: bases by digest, every path in the image spelled out. Nothing is built.
    ///
    /// # Errors
    /// When a base does not exist, or not for the platform.
    pub async fn pin(&self, recipe: Recipe) -> Result<Recipe> {
        pin::pin(&self.session, recipe).await
    }

    /// Looks at an image without its layers' bytes. An index is resolved when a platform is named, or when
    /// it offers but one; else it is returned as such.
    ///
    /// # Errors
    /// When the image does not exist, or cannot be read.
    pub async fn inspect(&self, image: &Base, platform: Option<&Platform>) -> Result<Inspected> {
        find::inspect(&self.session, image, platform).await
    }

    /// Scans the image's layers, lowest first; `None` stands for one that is not a tar. Layers are read in a stream,
    /// several at once, and only when they were not read before with the same annotator.
    ///
    /// # Errors
    /// When a layer cannot be fetched, or is not a whole layer.
    pub async fn scan<A: Annotate>(
        &self,
        image: &StoredImage,
        annotator: Arc<A>,
    ) -> Result<Vec<Option<LayerScan<A::Fact>>>> {
        inspect::scan::of_image(&self.session, image, annotator).await
    }

    /// Why the second image is not the first. Layers are read only where they differ.
    ///
    /// # Errors
    /// When a layer cannot be fetched, or is not a whole layer.
    pub async fn diff(&self, images: [&StoredImage; 2]) -> Result<Difference> {
        diff::difference(&self.session, images).await
    }

    /// Tries out what a push to a repository needs, and leaves nothing there. Ends at the first failure after which
    /// the rest cannot be known.
    pub async fn probe(&self, to: &Reference) -> Vec<Probe> {
        inspect::probe(&self.session, to).await
    }

    /// Whether the recipe's files, as they are on disk now, put a file at `path` of the image. Files of the
    /// base do not count.
    ///
    /// # Errors
    /// When an ignore file cannot be read.
    pub fn provides(&self, recipe: &Recipe, path: &str) -> Result<bool> {
        build::provides(recipe, path)
    }

    /// Whether a file at `path` on this machine is, or would be, among the recipe's files.
    ///
    /// # Errors
    /// When an ignore file cannot be read.
    pub fn packs(&self, recipe: &Recipe, path: &Path) -> Result<bool> {
        build::packs(recipe, path)
    }
}
