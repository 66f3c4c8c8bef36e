//! The layers of stored images as gzip.

use std::sync::Arc;

use serde::de;

use super::rewrite::recompressed;
use crate::engine::compression;
use crate::engine::find::{ImageStore, StoredImage};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::image::{Blob, Compression, Digest, Layer};

/// A layer as its image declares it.
pub(super) struct Declared {
    pub(super) layer: Layer,
    pub(super) compression: Compression,
}

/// The layers as manifest and config declare them.
pub(super) fn declared(store: &ImageStore, name: &str, found: &StoredImage) -> Result<Vec<Declared>> {
    let diff_ids = found.config.diff_ids();
    if diff_ids.len() != found.layers.len() {
        let (manifest, config) = (found.layers.len(), diff_ids.len());
        return Err(Error::LayersMismatch { image: name.to_owned(), manifest, config });
    }
    let declared = found.layers.iter().zip(diff_ids).map(|(layer, diff_id)| {
        let compression = Compression::of(&layer.media_type).ok_or_else(|| Error::ForeignLayer {
            image: name.to_owned(),
            digest: layer.digest,
            media_type: layer.media_type.clone(),
        })?;
        let blob = store.blob(layer.digest, layer.size);
        let layer = Layer { blob, diff_id: parse_diff_id(name, diff_id)?, key: None };
        Ok(Declared { layer, compression })
    });
    declared.collect()
}

/// The layers of a stored image: gzip layers unchanged, others recompressed.
pub(super) async fn layers(
    session: &Arc<Session>,
    store: &ImageStore,
    name: &str,
    found: &StoredImage,
) -> Result<Vec<Layer>> {
    let declared = declared(store, name, found)?;
    let blobs: Vec<Blob> = declared.iter().map(|declared| declared.layer.blob.clone()).collect();
    let compressions = compression::of_layers(session, &blobs).await;
    let mut layers = Vec::with_capacity(declared.len());
    for (Declared { layer, compression }, real) in declared.into_iter().zip(compressions) {
        let recompressed = recompressed(session, name, &layer.blob, real.unwrap_or(compression)).await?;
        layers.push(match recompressed {
            Some(recompressed) => {
                same_tar(name, &layer, &recompressed)?;
                recompressed
            }
            None => layer,
        });
    }
    Ok(layers)
}

/// Fails if the tar of a recompressed layer is not that which its config names.
pub(super) fn same_tar(image: &str, layer: &Layer, recompressed: &Layer) -> Result<()> {
    if recompressed.diff_id == layer.diff_id {
        return Ok(());
    }
    Err(Error::DiffId {
        image: image.to_owned(),
        digest: recompressed.blob.digest,
        expected: layer.diff_id.to_string(),
        got: recompressed.diff_id,
    })
}

fn parse_diff_id(image: &str, text: &str) -> Result<Digest> {
    let fail = |error: Error| Error::Config { image: image.to_owned(), source: de::Error::custom(error) };
    text.parse().map_err(fail)
}
