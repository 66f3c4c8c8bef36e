//! Packages as layers: each known by what decides it, before any of it is fetched or installed.

use super::{node, python};
use crate::error::Result;
use crate::event::Events;
use crate::image::{Digest, Platform};
use crate::recipe::Source;
use crate::store::{Cache, Downloads, Workplace};
use crate::tree::FileTree;

/// Where packages come from, and who is told.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) cache: Cache,
    pub(crate) downloads: Downloads,
    pub(crate) events: Events,
    pub(crate) jobs: usize,
}

/// What becomes one layer.
#[derive(Clone)]
pub(crate) enum Bundle {
    /// Wheels.
    Python(python::Bundle),
    /// A `node_modules`.
    Node(node::Bundle),
}

/// The files of a bundle, with paths relative to where they go.
pub(crate) struct Unpacked {
    pub(crate) tree: FileTree,
    /// Where they are on this machine, when they go with it.
    pub(crate) place: Option<Workplace>,
}

/// The layers that the packages will be; nothing is fetched but what a lock file leaves out.
pub(crate) async fn bundles(source: &Source, platform: &Platform, context: &Context) -> Result<Vec<Bundle>> {
    match source {
        Source::Python(python) => {
            let wheels = python::resolve(python, platform, context).await?;
            let bundles = python::bundles(python, &wheels, platform, context).await?;
            Ok(bundles.into_iter().map(Bundle::Python).collect())
        }
        Source::Npm(npm) => Ok(vec![Bundle::Node(node::bundle(npm, platform, context).await?)]),
        Source::Directory { .. } | Source::Zip { .. } => unreachable!("files are no packages"),
    }
}

impl Bundle {
    /// What is in it, for people.
    pub(crate) fn name(&self) -> String {
        match self {
            Bundle::Python(wheels) => wheels.name(),
            Bundle::Node(modules) => modules.name(),
        }
    }

    /// What decides its files. Of several any may be the one by which it was made elsewhere; here it is made by the
    /// first.
    pub(crate) fn identities(&self) -> Vec<Digest> {
        match self {
            Bundle::Python(wheels) => vec![wheels.identity()],
            Bundle::Node(modules) => modules.identities(),
        }
    }

    /// Its files, fetched or installed; they go to `to`.
    pub(crate) async fn unpack(&self, context: &Context, to: &str) -> Result<Unpacked> {
        match self {
            Bundle::Python(wheels) => Ok(Unpacked { tree: wheels.tree(context, to).await?, place: None }),
            Bundle::Node(modules) => {
                let (tree, place) = modules.install(context).await?;
                Ok(Unpacked { tree, place: Some(place) })
            }
        }
    }
}
