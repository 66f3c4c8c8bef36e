//! The differences between two images.

mod config;
mod field;
mod files;
mod layers;

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use super::scan;
use crate::engine::find::{self, ImageStore, StoredImage};
use crate::engine::session::Session;
use crate::error::Result;
use crate::image::{Compression, Digest};
use crate::scan::{LayerScan, MemoryBudget, NoAnnotator, NoFact};

pub use field::FieldDifference;
pub use files::{Change, FileDifference, FileDifferences};
pub use layers::LayerDifference;

use layers::{Layers, Pair};

/// The differences between two images.
///
/// Values are copied from the images, including any secrets in their configs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The digests of their manifests.
    pub digests: [Digest; 2],
    /// The bases in their labels, if these differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<[Option<String>; 2]>,
    /// Fields of the manifest, for example `mediaType`, without layers and config.
    pub manifest: Vec<FieldDifference>,
    /// Fields of the config, for example `config.Env.NAME`, without those that follow from the layers.
    pub config: Vec<FieldDifference>,
    /// Layers, in the order of the second image, removed layers last.
    pub layers: Vec<LayerDifference>,
    /// The layers and bytes that a push of the second image sends to a repository that has the first.
    pub sends: Sends,
}

/// The number of layers and bytes that a push sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sends {
    /// The number of layers.
    pub layers: usize,
    /// The size in bytes of these layers, the manifest, and the config if it differs.
    pub bytes: u64,
}

impl Difference {
    /// Whether the images are the same, byte for byte.
    pub fn is_none(&self) -> bool {
        self.digests[0] == self.digests[1]
    }
}

/// The memory in bytes that the comparison of two layers takes for each member: its place in the order of names, and in
/// a pair.
const BESIDE: usize = 16;

/// The differences between two images. Layers are read only if they differ.
pub(in crate::engine) async fn difference(
    session: &Arc<Session>,
    images: [&StoredImage; 2],
) -> Result<Difference> {
    let layers = Layers::of(images);
    let pairs = layers.pairs();
    let opened = match pairs.iter().any(Pair::is_changed) {
        true => Some([opened(session, images[0]).await?, opened(session, images[1]).await?]),
        false => None,
    };
    let budget = MemoryBudget::of_command(|_| BESIDE);
    let mut differences = Vec::new();
    for pair in pairs {
        let scans = match &opened {
            Some([from, to]) if pair.is_changed() => {
                let from = known(session, from, pair.from, &budget).await?;
                [from, known(session, to, pair.to, &budget).await?]
            }
            _ => [None, None],
        };
        differences.extend(layers.difference(&pair, scans, &budget));
    }
    let label = |image: &StoredImage| {
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

async fn opened<'a>(session: &Arc<Session>, image: &'a StoredImage) -> Result<Opened<'a>> {
    let (store, name) = find::store(session, &image.base).await?;
    Ok(Opened { image, store, name })
}

async fn known(
    session: &Arc<Session>,
    from: &Opened<'_>,
    layer: Option<usize>,
    budget: &MemoryBudget<NoFact>,
) -> Result<Option<LayerScan<NoFact>>> {
    let Some(layer) = layer.map(|number| &from.image.layers[number]) else { return Ok(None) };
    if Compression::of(&layer.media_type).is_none() {
        return Ok(None);
    }
    let annotator = Arc::new(NoAnnotator);
    scan::of_stored_layer(session, &from.store, &from.name, layer, annotator, budget).await.map(Some)
}

/// An image with its open store: opening the store for each layer would be slow.
struct Opened<'a> {
    image: &'a StoredImage,
    store: ImageStore,
    name: String,
}

fn sends([from, to]: [&StoredImage; 2]) -> Sends {
    let there: HashSet<Digest> = from.layers.iter().map(|layer| layer.digest).collect();
    let mut new: Vec<_> = to.layers.iter().filter(|layer| !there.contains(&layer.digest)).collect();
    new.sort_by_key(|layer| layer.digest);
    new.dedup_by_key(|layer| layer.digest);
    let config = if from.config_digest == to.config_digest { 0 } else { to.config.to_bytes().len() as u64 };
    // A manifest may declare any size: the sum must not overflow.
    let sizes = new.iter().map(|layer| layer.size).chain([config, to.manifest.bytes.len() as u64]);
    let bytes = sizes.fold(0, u64::saturating_add);
    Sends { layers: new.len(), bytes }
}
