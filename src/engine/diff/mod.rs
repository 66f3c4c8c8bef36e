//! Why two images are not the same.

mod config;
mod files;
mod layers;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::Shared;
use super::base::Found;
use crate::error::Result;
use crate::image::Digest;
use crate::layer::Survey;
use crate::layer::survey::Unread;

pub use files::{Change, FileDifference};
pub use layers::LayerDifference;

/// Why two images are not the same: the first, and what is otherwise in the second.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The digests of their manifests.
    pub digests: [Digest; 2],
    /// The bases that they say they have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<[Option<String>; 2]>,
    /// Fields of the manifest, as `mediaType`; layers and config are told of below.
    pub manifest: Vec<FieldDifference>,
    /// Fields of the config, as `config.Env.NAME`; not those that follow from the layers.
    pub config: Vec<FieldDifference>,
    /// Layers, in the order of the second image, those that are gone last.
    pub layers: Vec<LayerDifference>,
    /// What a push of the second sends to where the first is.
    pub sends: Sends,
}

/// A field that is otherwise, or in one image only.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldDifference {
    /// The names on the way to it, with dots between.
    pub field: String,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// What a push sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sends {
    /// How many layers.
    pub layers: usize,
    /// Their bytes, with the manifest's, and the config's if that is another.
    pub bytes: u64,
}

impl Difference {
    /// Whether the images are the same, to the byte.
    pub fn is_none(&self) -> bool {
        self.digests[0] == self.digests[1]
    }
}

impl Shared {
    /// Layers are read only where they differ.
    pub(super) async fn diff(self: &Arc<Self>, images: [&Found; 2]) -> Result<Difference> {
        let paired = layers::pair(images);
        let mut differences = Vec::new();
        for pair in paired {
            let surveys = match pair.is_changed() {
                true => {
                    Some([self.known(images[0], pair.from).await?, self.known(images[1], pair.to).await?])
                }
                false => None,
            };
            differences.extend(layers::difference(images, &pair, surveys));
        }
        let label = |image: &Found| {
            let name = image.config.label("org.opencontainers.image.base.name");
            let digest = image.config.label("org.opencontainers.image.base.digest");
            name.map(|name| digest.map_or_else(|| name.to_owned(), |digest| format!("{name}@{digest}")))
        };
        let base = images.map(label);
        let digests = images.map(|image| image.manifest.digest);
        Ok(Difference {
            digests,
            base: (base[0] != base[1]).then_some(base),
            manifest: config::manifest(images),
            config: config::config(images),
            layers: differences,
            sends: if digests[0] == digests[1] { Sends { layers: 0, bytes: 0 } } else { sends(images) },
        })
    }

    async fn known(self: &Arc<Self>, image: &Found, layer: Option<usize>) -> Result<Option<Survey>> {
        let Some(number) = layer else { return Ok(None) };
        let one = Found { layers: vec![image.layers[number].clone()], ..image.clone() };
        Ok(self.survey(&one, Arc::new(Unread)).await?.pop().flatten())
    }
}

fn sends([from, to]: [&Found; 2]) -> Sends {
    let mut new: Vec<_> =
        to.layers.iter().filter(|layer| from.layers.iter().all(|old| old.digest != layer.digest)).collect();
    new.sort_by_key(|layer| layer.digest);
    new.dedup_by_key(|layer| layer.digest);
    let config = if from.config_digest == to.config_digest { 0 } else { to.config.to_bytes().len() as u64 };
    let bytes = new.iter().map(|layer| layer.size).sum::<u64>() + config + to.manifest.bytes.len() as u64;
    Sends { layers: new.len(), bytes }
}
