//! Python packages become layers: from the cache by what decides them, or fetched and made.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::bridge::blocking;
use super::{Shared, key};
use crate::error::Result;
use crate::event::Event;
use crate::image::{Layer, Platform};
use crate::layer::FileTree;
use crate::recipe::Python;
use crate::source::python::{self, Bundle, Context};

impl Shared {
    /// What the packages are made from.
    pub(super) fn context(&self) -> Context {
        let (cache, downloads, events) = (self.cache.clone(), self.downloads.clone(), self.events.clone());
        Context { cache, downloads, events }
    }

    /// The layers that the packages will be; nothing is fetched but what a lock file leaves out.
    pub(super) async fn bundles(&self, python: &Python, platform: &Platform) -> Result<Vec<Bundle>> {
        let wheels = python::resolve(python, platform, &self.context()).await?;
        python::bundles(python, &wheels, platform)
    }

    /// The layer of a bundle under `to`.
    pub(super) async fn bundle_layer(
        self: &Arc<Self>,
        epoch: u64,
        bundle: &Bundle,
        to: &str,
    ) -> Result<Layer> {
        let key = key::of_bundle(bundle.identity(), to, epoch);
        let name = bundle.name();
        let (layer, cached) = match self.cache.layer(key) {
            Some(layer) => (layer, true),
            None => {
                let tree = bundle.tree(&self.context()).await?;
                let (shared, to, name) = (self.clone(), to.to_owned(), name.clone());
                let write = move |stop: &AtomicBool| shared.write_bundle(tree, epoch, &to, &name, stop);
                let layer = Layer { key: Some(key), ..blocking(write).await? };
                self.cache.put_layer(key, &layer)?;
                (layer, false)
            }
        };
        let (digest, size) = (layer.blob.digest, layer.blob.size);
        self.events.emit(Event::Layer { layer: name, digest, size, cached });
        Ok(layer)
    }

    fn write_bundle(
        &self,
        tree: FileTree,
        epoch: u64,
        to: &str,
        name: &str,
        stop: &AtomicBool,
    ) -> Result<Layer> {
        let mut tree = tree.under(to.trim_matches('/').as_bytes())?;
        self.write_layer(&mut tree, epoch, name, stop)
    }
}
