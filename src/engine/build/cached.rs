//! Layers of images that were pushed earlier. The history of these images contains the keys of their layers, so that a
//! machine with an empty cache does not build them again.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::reads::InstallReads;
use crate::engine::publish::{ImageBlobs, Push, Remote, TaggedImages};
use crate::engine::session::{Caching, Session};
use crate::error::{Error, Result};
use crate::image::{
    Blob, Compression, Config, Descriptor, Digest, History, Layer, LayerKey, Location, Parsed, Reference,
    parse_manifest,
};
use crate::store::{Cache, Repository};

/// The result of a part in an earlier build: its layer, or `None` if the part changes nothing in the image.
#[derive(Clone, Debug)]
pub(super) struct Known(pub(super) Option<Layer>);

impl Known {
    /// From the cache of this machine.
    pub(super) fn of(cache: &Cache, key: LayerKey) -> Option<Known> {
        if let Some(layer) = cache.layer(key) {
            return Some(Known(Some(layer)));
        }
        let nothing = nothing_key(key);
        (cache.has_note(nothing) && cache.noted(nothing).is_some()).then_some(Known(None))
    }

    /// Records in the cache of this machine that a part changes nothing.
    pub(super) fn keep_nothing(cache: &Cache, key: LayerKey) -> Result<()> {
        cache.note(nothing_key(key), b"nothing")
    }
}

fn nothing_key(key: LayerKey) -> Digest {
    Digest::of(format!("nothing {}", key.0).as_bytes())
}

/// A layer of a step that makes several.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StepLayer {
    #[serde(skip)]
    pub(super) layer: Option<Layer>,
    key: LayerKey,
    /// The `created_by` of its history entry.
    pub(super) created_by: String,
}

impl StepLayer {
    pub(super) fn of(layer: &Layer, created_by: String) -> Option<StepLayer> {
        Some(StepLayer { key: layer.key?, layer: Some(layer.clone()), created_by })
    }
}

/// The layers of a step, from the cache of this machine.
pub(super) fn step_of(cache: &Cache, key: LayerKey) -> Option<Vec<StepLayer>> {
    let mut layers: Vec<StepLayer> = serde_json::from_slice(&cache.noted(step_key(key))?).ok()?;
    for of in &mut layers {
        of.layer = Some(cache.layer(of.key)?);
    }
    Some(layers)
}

/// Records the layers of a step in the cache of this machine.
pub(super) fn keep_step(cache: &Cache, key: LayerKey, layers: &[StepLayer]) -> Result<()> {
    match serde_json::to_vec(layers) {
        Ok(text) => cache.note(step_key(key), &text),
        // Keys and texts can always be written.
        Err(_) => Ok(()),
    }
}

fn step_key(key: LayerKey) -> Digest {
    Digest::of(format!("step {}", key.0).as_bytes())
}

/// The cache sources: the images that the destinations' tags name now, and those that the user names.
#[derive(Default)]
pub(in crate::engine) struct Cached {
    images: Vec<EarlierImages>,
}

struct EarlierImages {
    session: Arc<Session>,
    at: At,
    /// Their layers, requested when this machine lacks one.
    layers: OnceCell<Keyed>,
}

/// The layers of images by their keys.
#[derive(Default)]
struct Keyed {
    layers: HashMap<LayerKey, Known>,
    /// The layers of steps that make several.
    steps: HashMap<LayerKey, Vec<StepLayer>>,
    /// The records of the files that installs among them have read.
    reads: Vec<(LayerKey, InstallReads)>,
}

impl Keyed {
    fn extend(&mut self, other: Keyed) {
        self.layers.extend(other.layers);
        self.steps.extend(other.steps);
        self.reads.extend(other.reads);
    }
}

enum At {
    Destination(Arc<Remote>),
    Image(Box<Repository>),
}

impl Cached {
    /// The cache sources for these pushes.
    pub(in crate::engine) fn of(session: &Arc<Session>, pushes: &[Push]) -> Cached {
        if session.caching.policy == Caching::Off {
            return Cached::default();
        }
        let named = session.caching.from.iter();
        let named = named.map(|name| At::Image(Box::new(session.registries.source(name))));
        let destinations = pushes.iter().filter_map(Push::remote).map(At::Destination);
        let images = |at| EarlierImages { session: session.clone(), at, layers: OnceCell::new() };
        Cached { images: destinations.chain(named).map(images).collect() }
    }

    /// Whether any cache source has a layer; if none has, keys need not be computed.
    pub(super) async fn has_layers(&self) -> bool {
        join_all(self.images.iter().map(EarlierImages::layers))
            .await
            .iter()
            .any(|keyed| !keyed.layers.is_empty())
    }

    /// The layer with this key, if an image has it and its repository still has the blob.
    pub(super) async fn layer(&self, key: LayerKey) -> Option<Known> {
        for images in &self.images {
            match images.layers().await.layers.get(&key) {
                None => {}
                Some(Known(None)) => return Some(Known(None)),
                Some(Known(Some(layer))) => {
                    let Blob { digest, size, .. } = layer.blob;
                    if images.repository().has_blob_of(digest, size).await.unwrap_or(false) {
                        return Some(Known(Some(layer.clone())));
                    }
                }
            }
        }
        None
    }
}

impl Cached {
    /// The layers of the step with this key, if an image has them and its repository still has their blobs.
    pub(super) async fn step(&self, key: LayerKey) -> Option<Vec<StepLayer>> {
        for images in &self.images {
            let Some(layers) = images.layers().await.steps.get(&key) else { continue };
            let has = layers.iter().map(async |of| {
                let Some(Layer { blob: Blob { digest, size, .. }, .. }) = of.layer else { return false };
                images.repository().has_blob_of(digest, size).await.unwrap_or(false)
            });
            if join_all(has).await.into_iter().all(|has| has) {
                return Some(layers.clone());
            }
        }
        None
    }
}

impl Cached {
    /// The records of installs that `is_wanted` chooses, with the keys of their steps.
    pub(super) async fn reads(
        &self,
        is_wanted: impl Fn(LayerKey, &InstallReads) -> bool,
    ) -> Vec<(LayerKey, InstallReads)> {
        let mut found = Vec::new();
        for images in &self.images {
            let reads = images.layers().await.reads.iter();
            found.extend(reads.filter(|(key, reads)| is_wanted(*key, reads)).cloned());
        }
        found
    }
}

impl EarlierImages {
    fn repository(&self) -> &Repository {
        match &self.at {
            At::Destination(remote) => &remote.repository,
            At::Image(repository) => repository,
        }
    }

    async fn layers(&self) -> &Keyed {
        let asked = self.layers.get_or_init(|| async {
            match self.ask().await {
                Ok(layers) => layers,
                // The push itself reports a fault of a destination.
                Err(error) => {
                    if let At::Image(repository) = &self.at {
                        let name = repository.name();
                        let message = format!("cannot use layers of {name}: {error}");
                        self.session.events.warn(message, error.hint().as_deref());
                    }
                    Keyed::default()
                }
            }
        });
        asked.await
    }

    async fn ask(&self) -> Result<Keyed> {
        let mut layers = Keyed::default();
        match &self.at {
            At::Destination(remote) => {
                let tagged: &TaggedImages = remote.tagged().await?;
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
                    layers.extend(self.layers_of(&ImageBlobs { config, layers: found }).await?);
                }
            }
        }
        Ok(layers)
    }

    async fn layers_of(&self, image: &ImageBlobs) -> Result<Keyed> {
        let repository = self.repository();
        let digest = image.config.digest;
        let config = self.session.small_blob(repository, digest).await?;
        let config = Config::parse(&format!("config {digest}"), &config)?;
        Ok(keyed(&config, &image.layers, repository.name()))
    }
}

/// The layers that lbuild appended to an image; none if manifest, config and history have different numbers of layers.
fn keyed(config: &Config, layers: &[Descriptor], home: &Reference) -> Keyed {
    let (diff_ids, history) = (config.diff_ids(), config.history());
    let made: Vec<_> = history.iter().filter(|entry| !entry.empty_layer).collect();
    if made.len() != layers.len() || diff_ids.len() != layers.len() {
        return Keyed::default();
    }
    let layer = |((made, layer), diff_id): ((&&History, &Descriptor), &str)| {
        let key = made.key?;
        let diff_id: Digest = diff_id.parse().ok()?;
        let gzip = Compression::of(&layer.media_type) == Some(Compression::Gzip);
        let location = Location::Registry(home.clone());
        let blob = Blob { digest: layer.digest, size: layer.size, location };
        gzip.then_some((key, Known(Some(Layer { blob, diff_id, key: Some(key) }))))
    };
    let appended: Vec<_> = made.iter().zip(layers).zip(diff_ids).map(layer).collect();
    let (mut nothing, mut steps, mut above) = (Vec::new(), HashMap::new(), 0);
    for entry in &history {
        match entry.key.filter(|_| entry.empty_layer) {
            Some(key) if entry.layers == 0 => nothing.push((key, Known(None))),
            Some(key) => {
                let own = appended.iter().zip(&made).skip(above).take(entry.layers);
                let own = own.map(|(layer, entry)| {
                    StepLayer::of(layer.as_ref()?.1.0.as_ref()?, entry.created_by.clone())
                });
                let own: Option<Vec<StepLayer>> = own.collect();
                steps.extend(own.filter(|own| own.len() == entry.layers).map(|own| (key, own)));
            }
            None => above += usize::from(!entry.empty_layer),
        }
    }
    let reads = history.iter().filter_map(|entry| {
        let reads = serde_json::from_str(entry.note.as_deref()?).ok()?;
        Some((entry.key?, reads))
    });
    Keyed { layers: appended.into_iter().flatten().chain(nothing).collect(), steps, reads: reads.collect() }
}
