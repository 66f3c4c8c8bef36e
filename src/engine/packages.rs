//! Packages become layers: found by what decides them, before any of them is fetched, or fetched and made.

use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};

use super::bridge::blocking;
use super::earlier::Earlier;
use super::{Caching, Shared, key};
use crate::error::Result;
use crate::event::Event;
use crate::image::{Layer, LayerKey};
use crate::source::{Bundle, Context};

impl Shared {
    /// What the packages are made from.
    pub(super) fn context(&self) -> Context {
        let (cache, downloads, events) = (self.cache.clone(), self.downloads.clone(), self.events.clone());
        Context { cache, downloads, events, jobs: self.jobs }
    }

    /// The layers of the bundles under `to`, in their order, with their names. Several are made at once: to splice
    /// takes one core.
    pub(super) fn bundle_layers<'a>(
        self: &'a Arc<Self>,
        epoch: u64,
        bundles: &'a [Bundle],
        to: &'a str,
        earlier: &'a Earlier,
    ) -> impl Stream<Item = Result<(String, Layer)>> + 'a {
        let layer = move |bundle: &'a Bundle| async move {
            let layer = self.bundle_layer(epoch, bundle, to, earlier).await?;
            Ok((bundle.name(), layer))
        };
        // One more than there are cores: while they work, the next one is fetched.
        stream::iter(bundles).map(layer).buffered(self.jobs + 1)
    }

    async fn bundle_layer(
        self: &Arc<Self>,
        epoch: u64,
        bundle: &Bundle,
        to: &str,
        earlier: &Earlier,
    ) -> Result<Layer> {
        let identities = bundle.identities();
        let keys: Vec<_> = identities.iter().map(|&identity| key::of_bundle(identity, to, epoch)).collect();
        let mut found = match self.caching.policy {
            Caching::Off => None,
            Caching::On | Caching::Verify => keys.iter().find_map(|&key| self.cache.layer(key)),
        };
        for &key in &keys {
            if found.is_none() {
                found = earlier.layer(key).await;
            }
        }
        let key = keys[0];
        let cached = found.is_some();
        let layer = match found {
            Some(layer) if self.caching.policy == Caching::Verify => {
                let made = self.make_bundle(epoch, bundle, to, key).await?;
                super::layer::same(&bundle.name(), layer, &made)?
            }
            Some(layer) => layer,
            None => self.make_bundle(epoch, bundle, to, key).await?,
        };
        let (digest, size) = (layer.blob.digest, layer.blob.size);
        self.events.emit(Event::Layer { layer: bundle.name(), digest, size, cached });
        Ok(layer)
    }

    async fn make_bundle(
        self: &Arc<Self>,
        epoch: u64,
        bundle: &Bundle,
        to: &str,
        key: LayerKey,
    ) -> Result<Layer> {
        let unpacked = bundle.unpack(&self.context(), to).await?;
        let mut tree = unpacked.tree.under(to.trim_matches('/').as_bytes())?;
        let (shared, name) = (self.clone(), bundle.name());
        let layer = blocking(move |stop| {
            // The files stay until they are read, even when nobody waits for the layer any more.
            let _place = unpacked.place;
            shared.write(&mut tree, epoch, &name, stop)
        });
        let layer = layer.await?;
        let layer = Layer { key: Some(key), ..layer };
        self.cache.put_layer(key, &layer)?;
        Ok(layer)
    }
}
