//! The layers of stored images as gzip.

use std::sync::Arc;

use serde::de;

use super::rewrite::recompressed;
use crate::engine::compression;
use crate::engine::find::{ImageStore, StoredImage};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::image::{Blob, Compression, Digest, Layer};

/// The layers of a stored image: gzip layers unchanged, others recompressed.
pub(super) async fn layers(
    session: &Arc<Session>,
    store: &ImageStore,
    name: &str,
    found: &StoredImage,
) -> Result<Vec<Layer>> {
    let diff_ids = found.config.diff_ids();
    if diff_ids.len() != found.layers.len() {
        let (manifest, config) = (found.layers.len(), diff_ids.len());
        return Err(Error::LayersMismatch { image: name.to_owned(), manifest, config });
    }
    let blobs: Vec<Blob> = found.layers.iter().map(|layer| store.blob(layer.digest, layer.size)).collect();
    let compressions = compression::of_layers(session, &blobs).await;
    let mut layers = Vec::with_capacity(found.layers.len());
    for (((layer, blob), real), diff_id) in found.layers.iter().zip(blobs).zip(compressions).zip(diff_ids) {
        let declared = Compression::of(&layer.media_type).ok_or_else(|| Error::ForeignLayer {
            image: name.to_owned(),
            digest: layer.digest,
            media_type: layer.media_type.clone(),
        })?;
        let layer = match recompressed(session, name, &blob, real.unwrap_or(declared)).await? {
            Some(layer) => layer,
            None => Layer { blob, diff_id: parse_diff_id(name, diff_id)?, key: None },
        };
        if layer.diff_id.to_string() != diff_id {
            return Err(Error::DiffId {
                image: name.to_owned(),
                digest: layer.blob.digest,
                expected: diff_id.to_owned(),
                got: layer.diff_id,
            });
        }
        layers.push(layer);
    }
    Ok(layers)
}

fn parse_diff_id(image: &str, text: &str) -> Result<Digest> {
    let fail = |error: Error| Error::Config { image: image.to_owned(), source: de::Error::custom(error) };
    text.parse().map_err(fail)
}
