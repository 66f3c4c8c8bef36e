//! Images that were pushed earlier. Their history tells which key made which of their layers, so that a machine whose
//! cache is empty need not make them again.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::OnceCell;

use super::publish::{Push, Remote, Tagged};
use super::{Caching, Shared};
use crate::error::{Error, Result};
use crate::image::{
    Blob, Compression, Config, Descriptor, Digest, History, Layer, LayerKey, Location, Parsed, Reference,
    parse_manifest,
};
use crate::store::Repository;

/// What is known of earlier images: those that the destinations' tags name now, and those that the user names.
#[derive(Default)]
pub(super) struct Earlier {
    places: Vec<Place>,
}

struct Place {
    shared: Arc<Shared>,
    at: At,
    /// The layers of the images there, by key. Asked for when a layer is looked for in vain on this machine.
    layers: OnceCell<HashMap<LayerKey, Layer>>,
}

enum At {
    Destination(Arc<Remote>),
    Image(Box<Repository>),
}

/// What a manifest says, as far as it is an image's.
pub(super) struct Contents {
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

impl Earlier {
    /// The images that this push may take layers from.
    pub(super) fn of(shared: &Arc<Shared>, pushes: &[Push]) -> Earlier {
        if shared.caching.policy == Caching::Off {
            return Earlier::default();
        }
        let named = shared.caching.from.iter();
        let named = named.map(|name| At::Image(Box::new(shared.registries.source(name))));
        let destinations = pushes.iter().filter_map(Push::remote).map(At::Destination);
        let place = |at| Place { shared: shared.clone(), at, layers: OnceCell::new() };
        Earlier { places: destinations.chain(named).map(place).collect() }
    }

    /// Whether any layer can be found at all: without one, no key is worth knowing.
    pub(super) async fn has_layers(&self) -> bool {
        join_all(self.places.iter().map(Place::layers)).await.iter().any(|layers| !layers.is_empty())
    }

    /// The layer that `key` made, when an image has it and its repository says that it still has the blob.
    pub(super) async fn layer(&self, key: LayerKey) -> Option<Layer> {
        for place in &self.places {
            if let Some(layer) = place.layers().await.get(&key)
                && place.repository().has_blob_of(layer.blob.digest, layer.blob.size).await.unwrap_or(false)
            {
                return Some(layer.clone());
            }
        }
        None
    }
}

impl Place {
    fn repository(&self) -> &Repository {
        match &self.at {
            At::Destination(remote) => &remote.repository,
            At::Image(repository) => repository,
        }
    }

    async fn layers(&self) -> &HashMap<LayerKey, Layer> {
        let asked = self.layers.get_or_init(|| async {
            match self.ask().await {
                Ok(layers) => layers,
                // What is wrong with a destination, the push itself tells.
                Err(error) => {
                    if let At::Image(repository) = &self.at {
                        let name = repository.name();
                        let message = format!("no layer is taken from {name}: {error}");
                        self.shared.events.warn(message, error.hint().as_deref());
                    }
                    HashMap::new()
                }
            }
        });
        asked.await
    }

    async fn ask(&self) -> Result<HashMap<LayerKey, Layer>> {
        let mut layers = HashMap::new();
        match &self.at {
            At::Destination(remote) => {
                let tagged: &Tagged = remote.tagged().await?;
                for image in &tagged.images {
                    layers.extend(self.layers_of(image).await?);
                }
            }
            At::Image(repository) => {
                let name = repository.name();
                let manifest = repository.manifest(&name.target()).await?;
                let manifest = manifest.ok_or_else(|| Error::NoSuchImage { image: name.to_string() })?;
                if let Parsed::Image { config, layers: found } =
                    parse_manifest(&name.to_string(), &manifest.bytes)?
                {
                    layers.extend(self.layers_of(&Contents { config, layers: found }).await?);
                }
            }
        }
        Ok(layers)
    }

    async fn layers_of(&self, image: &Contents) -> Result<Vec<(LayerKey, Layer)>> {
        let repository = self.repository();
        let Descriptor { digest, size, .. } = image.config;
        let config = self.shared.small_blob(repository, digest, size).await?;
        let config = Config::parse(&format!("config {digest}"), &config)?;
        Ok(keyed(&config, &image.layers, repository.name()))
    }
}

/// The layers of an image that lbuild appended. An image whose parts do not fit each other has none to give.
fn keyed(config: &Config, layers: &[Descriptor], home: &Reference) -> Vec<(LayerKey, Layer)> {
    let (diff_ids, history) = (config.diff_ids(), config.history());
    let made: Vec<_> = history.iter().filter(|entry| !entry.empty_layer).collect();
    if made.len() != layers.len() || diff_ids.len() != layers.len() {
        return Vec::new();
    }
    let layer = |((made, layer), diff_id): ((&&History, &Descriptor), &str)| {
        let key = made.key?;
        let diff_id: Digest = diff_id.parse().ok()?;
        let gzip = Compression::of(&layer.media_type) == Some(Compression::Gzip);
        let location = Location::Registry(home.clone());
        let blob = Blob { digest: layer.digest, size: layer.size, location };
        gzip.then_some((key, Layer { blob, diff_id, key: Some(key) }))
    };
    made.iter().zip(layers).zip(diff_ids).filter_map(layer).collect()
}
