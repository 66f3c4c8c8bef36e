//! Steps that make several layers. A record of them is kept in the cache of this machine and in the image's history, so
//! that the layers are found again together.

use super::add::{Added, Adding};
use super::beneath::Beneath;
use super::cached::{StepLayer, keep_step, step_of};
use super::packages::PlannedPackages;
use super::planned::PlannedLayer;
use crate::engine::session::Caching;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{Config, Layer, LayerKey, Platform};
use crate::source::Part;

impl Adding<'_> {
    /// The layers of packages of a source, after an entry for them all.
    pub(super) async fn packages_added(
        &self,
        planned: PlannedPackages,
        below: &[Layer],
    ) -> Result<Vec<Added>> {
        let created_by = planned.created_by();
        let (key, layers) = self.packages(planned, below).await?;
        Ok(added((key, None), layers, created_by))
    }

    /// The layers of packages, with the key of their record.
    pub(super) async fn packages(
        &self,
        planned: PlannedPackages,
        below: &[Layer],
    ) -> Result<(Option<LayerKey>, Vec<StepLayer>)> {
        let keys = planned.keys(self.epoch, below);
        let verified = match self.caching {
            Caching::Verify => self.found(&keys).await,
            Caching::On | Caching::Off => None,
        };
        let making = async {
            let PlannedPackages { install, to, place, beneath } = planned;
            let parts = install.install(self.context).await?;
            self.parts(parts, &to, &place, beneath, below).await
        };
        let (key, layers) = self.step(&keys, making).await?;
        verified.map_or(Ok(()), |(_, found)| verify(&found, &layers))?;
        Ok((key, layers))
    }

    /// The layers of parts that are not known before.
    async fn parts(
        &self,
        parts: Vec<Box<dyn Part>>,
        to: &str,
        place: &str,
        beneath: Beneath,
        below: &[Layer],
    ) -> Result<Vec<StepLayer>> {
        // The directory is known, and the config does not matter for it.
        let config = Config::scratch(&Platform::linux(crate::image::Arch::Amd64));
        let planned = parts.into_iter().map(|part| {
            let apart = PlannedLayer::apart(part, to.to_owned(), place, &config);
            PlannedLayer { beneath, ..apart }
        });
        let mut all = Vec::new();
        if beneath == Beneath::Nothing {
            all = Box::pin(self.at_once(planned.collect())).await?;
        } else {
            for planned in planned {
                all.push(Box::pin(self.above(planned, below)).await?);
            }
        }
        Ok(all.into_iter().filter_map(|added| StepLayer::of(&added.layer?, added.created_by)).collect())
    }

    /// The layers of a step: found by one of its keys, or else made and recorded under the first. Also returns the key
    /// of the record, which is part of the image.
    pub(super) async fn step(
        &self,
        keys: &[LayerKey],
        make: impl Future<Output = Result<Vec<StepLayer>>>,
    ) -> Result<(Option<LayerKey>, Vec<StepLayer>)> {
        if self.caching == Caching::On
            && let Some((key, layers)) = self.found(keys).await
        {
            layers.iter().for_each(|of| self.take(of));
            return Ok((Some(key), layers));
        }
        let layers = make.await?;
        let key = keys.first().copied();
        key.map_or(Ok(()), |key| keep_step(&self.session.cache, key, &layers))?;
        Ok((key, layers))
    }

    async fn found(&self, keys: &[LayerKey]) -> Option<(LayerKey, Vec<StepLayer>)> {
        let local = keys.iter().find_map(|&key| Some((key, step_of(&self.session.cache, key)?)));
        if local.is_some() {
            return local;
        }
        for &key in keys {
            if let Some(layers) = self.cached.step(key).await {
                return Some((key, layers));
            }
        }
        None
    }

    /// Passes a layer that was found to the pushes.
    pub(super) fn take(&self, of: &StepLayer) {
        let Some(layer) = &of.layer else { return };
        let name = of.created_by.strip_prefix("lbuild: ").unwrap_or(&of.created_by);
        let (layer_name, digest, size) = (name.to_owned(), layer.blob.digest, layer.blob.size);
        self.session.events.emit(Event::Layer { layer: layer_name, digest, size, cached: true });
        self.pushes.iter().for_each(|push| push.layer(layer));
    }
}

/// Fails if layers that were made again are not those that were found.
fn verify(found: &[StepLayer], made: &[StepLayer]) -> Result<()> {
    for (found, made) in found.iter().zip(made) {
        if let (Some(found), Some(layer)) = (&found.layer, &made.layer)
            && found.blob.digest != layer.blob.digest
        {
            let (cached, digest) = (found.blob.digest, layer.blob.digest);
            return Err(Error::CacheMismatch { layer: made.created_by.clone(), cached, made: digest });
        }
    }
    match found.get(made.len()).or(made.get(found.len())) {
        Some(other) => Err(Error::CacheRemade { layer: other.created_by.clone() }),
        None => Ok(()),
    }
}

/// An entry for the step itself, and its layers.
/// `note` is what its history entry notes for later builds.
pub(super) fn added(
    (key, note): (Option<LayerKey>, Option<String>),
    layers: Vec<StepLayer>,
    created_by: String,
) -> Vec<Added> {
    let own = layers.into_iter().map(|StepLayer { layer, created_by, .. }| {
        let key = layer.as_ref().and_then(|layer| layer.key);
        Added { layer, key, created_by, layers: 0, note: None }
    });
    let own: Vec<Added> = own.collect();
    let step = Added { layer: None, key, created_by, layers: own.len(), note };
    [step].into_iter().chain(own).collect()
}
