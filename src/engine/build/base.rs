//! Turns a stage's base into an [`Image`] to append layers to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de;

use super::recompress::recompressed;
use crate::engine::compression;
use crate::engine::find::{self, ImageStore, StoredImage};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::image::{Blob, Compression, ConfigEdit, Digest, Image, Layer, Platform};
use crate::recipe::{Base, Recipe, Stage};
use crate::source::SourceImage;

/// The image of a base.
struct ResolvedBase {
    image: Image,
    /// The manifest's digest.
    digest: Option<Digest>,
}

/// The image of a stored base, with labels that name the base. An image of the local store to which nothing is added is
/// that image: it is pushed with the id that it has there.
pub(super) async fn stored(session: &Arc<Session>, stage: &Stage, recipe: &Recipe) -> Result<Image> {
    let platform = stage.platform.as_ref().unwrap_or(&recipe.platform);
    let resolved = resolve(session, &stage.base, platform).await?;
    if matches!(stage.base, Base::Local { .. }) && stage.steps.is_empty() {
        return Ok(resolved.image);
    }
    Ok(resolved.image.edit(&origin(&stage.base, resolved.digest, recipe.epoch)))
}

/// A stored image as it is, with all its layers as gzip.
pub(in crate::engine) async fn as_it_is(
    session: &Arc<Session>,
    base: &Base,
    platform: &Platform,
) -> Result<Image> {
    resolve(session, base, platform).await.map(|resolved| resolved.image)
}

/// The image of a source that is not a stage.
pub(super) async fn source_image(
    session: &Arc<Session>,
    named: &Base,
    platform: &Platform,
) -> Result<SourceImage> {
    let (store, name, found) = find::for_platform(session, named, platform).await?;
    let layers = layers(session, &store, &name, &found).await?;
    Ok(SourceImage::of(named.clone(), found.base, layers))
}

/// The image of a base that is not a stage. All its layers are gzip.
async fn resolve(session: &Arc<Session>, base: &Base, platform: &Platform) -> Result<ResolvedBase> {
    if matches!(base, Base::Scratch | Base::Stage(_)) {
        return Ok(ResolvedBase { image: Image::scratch(platform), digest: None });
    }
    let (store, name, found) = find::for_platform(session, base, platform).await?;
    let digest = Some(found.manifest.digest);
    let layers = layers(session, &store, &name, &found).await?;
    Ok(ResolvedBase { image: Image::existing(&name, found.config, layers)?, digest })
}

fn parse_diff_id(image: &str, text: &str) -> Result<Digest> {
    let fail = |error: Error| Error::Config { image: image.to_owned(), source: de::Error::custom(error) };
    text.parse().map_err(fail)
}

/// The base's layers: gzip layers unchanged, others recompressed.
async fn layers(
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

/// The labels that name the base, with the names of the image spec's annotations.
///
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
pub(in crate::engine) const BASE_NAME: &str = "org.opencontainers.image.base.name";
pub(in crate::engine) const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// The edit that names the base.
fn origin(base: &Base, digest: Option<Digest>, epoch: u64) -> ConfigEdit {
    ConfigEdit { created: Some(epoch), labels: labels(base, digest), ..ConfigEdit::default() }
}

/// See [`origin`].
pub(in crate::engine) fn labels(base: &Base, digest: Option<Digest>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    if let Some(digest) = digest {
        labels.insert(BASE_DIGEST.to_owned(), digest.to_string());
    }
    let name = match base {
        Base::Registry(name) => Some(name.clone()),
        Base::Local { name, .. } => name.parse().ok(),
        Base::Scratch | Base::Layout { .. } | Base::Archive { .. } | Base::Stage(_) => None,
    };
    if let Some(name) = name {
        let name = name.tag().and_then(|tag| name.with_tag(tag).ok()).map(|name| name.to_string());
        labels.extend(name.map(|name| (BASE_NAME.to_owned(), name)));
    }
    labels
}
