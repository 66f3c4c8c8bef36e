//! The protocol of sources: a [`Provider`] answers which [`Part`]s it has, and each part becomes a layer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::Result;
use crate::event::Events;
use crate::image::{Digest, Layer, Platform};
use crate::recipe::{Base, Source};
use crate::store::{Cache, Downloads, Registries, Workplace};
use crate::threads::Threads;
use crate::tree::FileTree;

/// The surroundings of the sources of a stage.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) cache: Cache,
    pub(crate) downloads: Downloads,
    pub(crate) events: Events,
    pub(crate) threads: Threads,
    /// The platform of the image.
    pub(crate) platform: Platform,
    /// The files that name the stage's packages: none of them may bring a login into the image.
    pub(crate) requirement_files: Arc<[PathBuf]>,
    /// The images that sources of the stage take files from.
    pub(crate) images: Arc<[SourceImage]>,
    /// Where the layers of these images are read from, when they are in a registry.
    pub(crate) registries: Registries,
}

/// An image that a source takes files from.
#[derive(Clone)]
pub(crate) struct SourceImage {
    /// The name that the recipe has for it.
    pub(crate) named: Base,
    /// The same with the digest of its manifest.
    pub(crate) exact: Base,
    pub(crate) layers: Vec<Layer>,
}

/// A kind of source. Each is implemented in one file, and no other code depends on a source's kind.
pub(crate) trait Provider: Send + Sync {
    /// The image that the source takes files from.
    fn image(&self) -> Option<&Base> {
        None
    }

    /// Fails when the source does not exist: a mistake that should show before anything is sent.
    fn check(&self) -> Result<()>;

    /// The files that name packages.
    fn requirement_files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Whether the source has a file at `path` of the image when its files go to `to`. Packages never count: a handler
    /// is the function's own.
    fn provides(&self, _to: &str, _path: &Path) -> Result<bool> {
        Ok(false)
    }

    /// Whether the source takes in a file at `path` of this machine, or would if there were one.
    fn packs(&self, _path: &Path) -> Result<bool> {
        Ok(false)
    }

    /// The source made exact, as `lbuild plan` prints it.
    fn pin<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Source>>;

    /// The parts, in the order of their layers. Only data that a lock file leaves out are fetched.
    /// `is_function` says that the files go into the function's directory, because no other place is named.
    fn plan<'a>(
        &'a self,
        is_function: bool,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Vec<Box<dyn Part>>>>;
}

/// A part of a source. It becomes one layer.
pub(crate) trait Part: Send + Sync {
    /// The name for people, as `numpy 2.1.0`; `None` for a part that is named after its place in the image.
    fn name(&self) -> Option<String>;

    /// Digests over everything that decides the files, before they are fetched. Several are candidates: another machine
    /// may have used any of them; this machine uses the first. None: the files themselves decide.
    fn identities(&self) -> Vec<Digest> {
        Vec::new()
    }

    /// Whether it is packages, which were examined when they were chosen and installed: a check before a push does not
    /// look into them.
    fn is_package(&self) -> bool {
        false
    }

    /// Whether the files are published elsewhere, as a package of an index, so that none can be the user's own. Then a
    /// check of the image does not hold the layer back.
    fn is_published(&self) -> bool {
        false
    }

    /// Approximate number of bytes to fetch. Large parts are started first, because the part that is started last
    /// decides when all are done.
    fn size(&self) -> u64 {
        0
    }

    /// Fetches or installs the files, and puts them at their place in the image: below `to`, or at `to` for a single
    /// file and a place without a slash at its end.
    fn fetch<'a>(self: Box<Self>, to: &'a str, context: &'a Context) -> BoxFuture<'a, Result<Fetched>>;
}

/// Keeps what a run has learned of a tree.
type Keep = Box<dyn FnOnce(&FileTree) + Send>;

/// The files of a part.
pub(crate) struct Fetched {
    /// The files at their paths in the image.
    pub(crate) tree: FileTree,
    /// Keeps the digests of the files for the next run.
    keep: Option<Keep>,
    /// The directory that holds the files, when it is removed after use.
    workplace: Option<Workplace>,
}

impl Fetched {
    /// Files of which nothing is kept.
    pub(super) fn of(tree: FileTree) -> Fetched {
        Fetched { tree, keep: None, workplace: None }
    }

    /// Files in a directory that is removed after use.
    pub(super) fn within(tree: FileTree, workplace: Workplace) -> Fetched {
        Fetched { workplace: Some(workplace), ..Fetched::of(tree) }
    }

    /// Calls `keep` with the tree when all digests are known.
    pub(super) fn then_keep(self, keep: impl FnOnce(&FileTree) + Send + 'static) -> Fetched {
        Fetched { keep: Some(Box::new(keep)), ..self }
    }

    /// Keeps the digests of the files for the next run, and returns the tree. The files of a package manager's
    /// installation are removed.
    pub(crate) fn finish(self) -> FileTree {
        let Fetched { tree, keep, workplace } = self;
        if let Some(keep) = keep {
            keep(&tree);
        }
        drop(workplace);
        tree
    }
}
