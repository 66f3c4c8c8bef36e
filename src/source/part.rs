//! The interface of sources: a [`Provider`] returns its [`Part`]s, and each part becomes a layer.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::error::{Error, Result};
use crate::event::Events;
use crate::image::{Digest, Layer, Platform};
use crate::recipe::{Base, Source};
use crate::source::lambda_layer::versions::LambdaLayers;
use crate::source::placing::Placing;
use crate::store::{Cache, Downloads, Registries, Workplace};
use crate::threads::Threads;
use crate::tree::FileTree;

/// The data of a stage that its sources depend on.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) cache: Cache,
    pub(crate) downloads: Downloads,
    pub(crate) events: Events,
    pub(crate) threads: Threads,
    /// The platform of the image.
    pub(crate) platform: Platform,
    /// The files that list the stage's packages. A file with a login must not get into the image.
    pub(crate) requirement_files: Arc<[PathBuf]>,
    /// The images that sources of the stage take files from.
    pub(crate) images: Arc<[SourceImage]>,
    /// The registries from which the layers of these images are read.
    pub(crate) registries: Registries,
    /// The source of Lambda layers that are named by their ARNs.
    pub(crate) lambda_layers: Option<Arc<dyn LambdaLayers>>,
    /// Whether the user was told that modes of files change.
    pub(crate) told_of_modes: Arc<AtomicBool>,
}

/// An image that a source takes files from.
#[derive(Clone)]
pub(crate) struct SourceImage {
    /// The image as the recipe names it.
    pub(crate) named: Base,
    /// The same image with the digest of its manifest.
    pub(crate) exact: Base,
    /// What decides its files: the digests of its layers, or all that decides those of a stage that may not be built.
    pub(crate) identity: String,
    layers: Arc<OnceLock<Vec<Layer>>>,
}

impl SourceImage {
    /// An image with these layers.
    pub(crate) fn of(named: Base, exact: Base, layers: Vec<Layer>) -> SourceImage {
        let ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
        SourceImage { named, exact, identity: ids.join(","), layers: Arc::new(OnceLock::from(layers)) }
    }

    /// A stage that is built only if its layers are needed.
    pub(crate) fn stage(named: Base, identity: Digest) -> SourceImage {
        let identity = format!("stage {identity}");
        SourceImage { exact: named.clone(), named, identity, layers: Arc::default() }
    }

    /// Sets the layers of a stage, once it is built.
    pub(crate) fn built(&self, layers: &[Layer]) {
        let _ = self.layers.set(layers.to_vec());
    }

    /// The layers.
    ///
    /// # Errors
    /// For a stage that is not built: a part must name the stages that it reads.
    pub(in crate::source) fn layers(&self) -> Result<&[Layer]> {
        let layers = self.layers.get().map(Vec::as_slice);
        layers.ok_or_else(|| Error::NoSuchImage { image: self.named.to_string() })
    }
}

/// A kind of source. Each is implemented in one file, and no other code depends on a source's kind.
pub(crate) trait Provider: Send + Sync {
    /// The images that the source takes files from.
    fn images(&self) -> Vec<&Base> {
        Vec::new()
    }

    /// Fails when the source does not exist, so that the mistake is reported before anything is sent.
    fn check(&self) -> Result<()>;

    /// The files that list packages.
    fn requirement_files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Whether the source has a file at `path` of the image when its files go to `to`. Packages never count: a handler
    /// is one of the function's own files.
    fn provides(&self, _to: &str, _path: &Path) -> Result<bool> {
        Ok(false)
    }

    /// Whether the source includes the file at `path` of this machine, or would if it existed.
    fn packs(&self, _path: &Path) -> Result<bool> {
        Ok(false)
    }

    /// The pinned source, as `lbuild plan` prints it.
    fn pin<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Source>>;

    /// What becomes of the source. Fetches only data that a lock file does not contain.
    /// `is_function` means that the files go into the function's directory because the step names no other path.
    fn plan<'a>(&'a self, is_function: bool, context: &'a Context) -> BoxFuture<'a, Result<SourcePlan>>;
}

/// What becomes of a source.
pub(crate) enum SourcePlan {
    /// Layers, in their order.
    Parts(Vec<Box<dyn Part>>),
    /// Packages that have to be installed before it is known which layers they make.
    Install(Box<dyn PackageInstall>),
}

impl SourcePlan {
    /// One layer.
    pub(super) fn one(part: impl Part + 'static) -> SourcePlan {
        SourcePlan::Parts(vec![Box::new(part)])
    }
}

/// Packages that a package manager installs. Their layers are recorded together, so that they are found again without
/// the package manager.
pub(crate) trait PackageInstall: Send + Sync {
    /// The display name.
    fn name(&self) -> String;

    /// Digests over everything that determines the files, as [`Part::identities`]. If the list is empty, the packages
    /// are installed each time.
    fn identities(&self) -> Vec<Digest>;

    /// Installs the packages. The parts are in the order of their layers, and each is found again by its content.
    fn install<'a>(self: Box<Self>, context: &'a Context) -> BoxFuture<'a, Result<Vec<Box<dyn Part>>>>;
}

/// A part of a source. It becomes one layer.
pub(crate) trait Part: Send + Sync {
    /// The display name, such as `numpy 2.1.0`; `None` for a part that is displayed by its path in the image.
    fn name(&self) -> Option<String>;

    /// Digests over everything that determines the files, before they are fetched. Several are candidates: another
    /// machine may have used any of them; this machine uses the first. If the list is empty, the
    /// key of the layer is computed from the fetched files.
    fn identities(&self) -> Vec<Digest> {
        Vec::new()
    }

    /// The stages whose layers [`fetch`](Part::fetch) and [`whole_layer`](Part::whole_layer) read.
    fn stages(&self) -> Vec<usize> {
        Vec::new()
    }

    /// How the image so far decides the paths and owners of the files at the step's path `to`; `None` for files that go
    /// below it, whatever is there.
    fn placing(&self, _to: &str) -> Option<Placing> {
        None
    }

    /// Whether the files are packages. The next build finds their layer by [`identities`](Part::identities), without
    /// the files; so the check before a push keeps the whole scan of the layer.
    fn is_package(&self) -> bool {
        false
    }

    /// Whether the files are published elsewhere, as a package of an index, so that none of them is the user's own. The
    /// upload of such a layer does not wait for the check of the image.
    fn is_published(&self) -> bool {
        false
    }

    /// Approximate number of bytes to fetch. Large parts start first: a large part that starts last would delay the
    /// whole build.
    fn size(&self) -> u64 {
        0
    }

    /// A layer of another image that has exactly the files of this part at their paths below `to`, if nothing in the
    /// image so far changes these paths.
    fn whole_layer<'a>(&'a self, _to: &'a str, _: &'a Context) -> BoxFuture<'a, Result<Option<Layer>>> {
        async { Ok(None) }.boxed()
    }

    /// Fetches or installs the files, and puts them at their paths in the image: below `to`, or at `to` itself for a
    /// single file when `to` does not end in a slash.
    fn fetch<'a>(self: Box<Self>, to: &'a str, context: &'a Context) -> BoxFuture<'a, Result<Fetched>>;
}

/// Stores the digests of a tree's files for the next run.
type Keep = Box<dyn FnOnce(&FileTree) + Send>;

/// The files of a part.
pub(crate) struct Fetched {
    /// The files at their paths in the image.
    pub(crate) tree: FileTree,
    /// How the image so far decides their paths and owners.
    pub(crate) placing: Option<Placing>,
    /// Stores the digests of the files for the next run.
    keep: Option<Keep>,
    /// The directory that holds the files, if it is to be removed after use.
    workplace: Option<Arc<Workplace>>,
}

impl Fetched {
    /// Files whose digests are not stored.
    pub(super) fn of(tree: FileTree) -> Fetched {
        Fetched { tree, placing: None, keep: None, workplace: None }
    }

    /// Files in a directory that is removed after its last use.
    pub(super) fn within(tree: FileTree, workplace: Arc<Workplace>) -> Fetched {
        Fetched { workplace: Some(workplace), ..Fetched::of(tree) }
    }

    /// Files whose paths and owners the image so far decides.
    pub(super) fn placed_by(self, placing: Option<Placing>) -> Fetched {
        Fetched { placing, ..self }
    }

    /// Calls `keep` with the tree once all digests are known.
    pub(super) fn then_keep(self, keep: impl FnOnce(&FileTree) + Send + 'static) -> Fetched {
        Fetched { keep: Some(Box::new(keep)), ..self }
    }

    /// Stores the digests of the files for the next run, removes the files of a package manager's installation, and
    /// returns the tree.
    pub(crate) fn finish(self) -> FileTree {
        let Fetched { tree, placing: _, keep, workplace } = self;
        if let Some(keep) = keep {
            keep(&tree);
        }
        drop(workplace);
        tree
    }
}
