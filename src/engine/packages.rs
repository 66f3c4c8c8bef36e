//! Packages become layers: found by what decides them, before any of them is fetched, or fetched and made.

use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::Semaphore;

use super::bridge::blocking;
use super::earlier::Earlier;
use super::{Caching, Shared, key};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{Layer, LayerKey};
use crate::source::{Bundle, Context};

impl Shared {
    /// What the packages are made from.
    pub(super) fn context(&self) -> Context {
        let (cache, downloads, events) = (self.cache.clone(), self.downloads.clone(), self.events.clone());
        Context { cache, downloads, events, jobs: self.jobs }
    }

    /// The layers of the bundles under `to`, in their order, with their names.
    ///
    /// All are looked for at once, as that is a matter of round trips. What is missing is fetched ahead, as much as
    /// the lines take, and several are made at once: to splice takes one core.
    pub(super) async fn bundle_layers<'a>(
        self: &'a Arc<Self>,
        epoch: u64,
        bundles: &'a [Bundle],
        to: &'a str,
        earlier: &'a Earlier,
    ) -> impl Stream<Item = Result<(String, Layer)>> + 'a {
        let found = join_all(bundles.iter().map(|bundle| self.find(epoch, bundle, to, earlier))).await;
        let missing = found.iter().filter(|(_, layer)| layer.is_none()).count();
        let making = Arc::new(Making::of(self.jobs, missing));
        let layer = move |(bundle, (key, found)): (&'a Bundle, (LayerKey, Option<Layer>))| {
            let making = making.clone();
            async move {
                let (name, cached) = (bundle.name(), found.is_some());
                let make = Make { epoch, bundle, to, key, making: &making };
                let layer = match found {
                    Some(layer) if self.caching.policy == Caching::Verify => {
                        super::layer::same(&name, layer, &self.make_bundle(make).await?)?
                    }
                    Some(layer) => layer,
                    None => self.make_bundle(make).await?,
                };
                let (digest, size) = (layer.blob.digest, layer.blob.size);
                self.events.emit(Event::Layer { layer: name.clone(), digest, size, cached });
                Ok((name, layer))
            }
        };
        stream::iter(bundles.iter().zip(found)).map(layer).buffered(self.jobs + AHEAD)
    }

    /// The key of a bundle's layer, and the layer when this machine or an earlier image has it.
    async fn find(
        &self,
        epoch: u64,
        bundle: &Bundle,
        to: &str,
        earlier: &Earlier,
    ) -> (LayerKey, Option<Layer>) {
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
        (keys[0], found)
    }

    async fn make_bundle(self: &Arc<Self>, make: Make<'_>) -> Result<Layer> {
        let Make { epoch, bundle, to, key, making } = make;
        let unpacked = bundle.unpack(&self.context(), to).await?;
        let mut tree = unpacked.tree.under(to.trim_matches('/').as_bytes())?;
        let _turn = making.turns.acquire().await.map_err(|_| Error::Interrupted)?;
        let (shared, name, jobs) = (self.clone(), bundle.name(), making.jobs);
        let layer = blocking(move |stop| {
            // The files stay until they are read, even when nobody waits for the layer any more.
            let _place = unpacked.place;
            shared.write(&mut tree, epoch, &name, jobs, stop)
        });
        let layer = Layer { key: Some(key), ..layer.await? };
        self.cache.put_layer(key, &layer)?;
        Ok(layer)
    }
}

/// So many bundles are fetched while others are made.
const AHEAD: usize = 8;

/// One layer to be made.
struct Make<'a> {
    epoch: u64,
    bundle: &'a Bundle,
    to: &'a str,
    key: LayerKey,
    making: &'a Making,
}

/// The cores, divided among the layers that are made at once.
struct Making {
    turns: Semaphore,
    /// Threads for each.
    jobs: usize,
}

impl Making {
    fn of(jobs: usize, layers: usize) -> Making {
        let at_once = layers.clamp(1, jobs);
        Making { turns: Semaphore::new(at_once), jobs: jobs / at_once }
    }
}
