//! The compression of layers by their bytes, which may differ from the one that their media types declare: Nix, `crane
//! append` and others write such images, and container engines look at the bytes.
//!
//! Layers of registries are read only when they are sent, so a wrong type is found then. The cache keeps it, and the
//! image is built once more, with the layer recompressed.

use std::sync::Arc;

use futures_util::future::join_all;

use super::session::Session;
use crate::error::Result;
use crate::image::{Blob, Compression, Digest, ECR_PUBLIC, Location};
use crate::store::{self, Repository};

/// The compression of each layer of an image by its bytes, as far as that is known without requests. Once one layer of a
/// registry turned out to have another compression than its media type declares, the others are looked at too.
pub(super) async fn of_layers(session: &Arc<Session>, layers: &[Blob]) -> Vec<Option<Compression>> {
    let is_remote = |layer: &Blob| matches!(layer.location, Location::Registry(_));
    let mut found = join_all(layers.iter().map(async |layer| match is_remote(layer) {
        true => known(session, layer.digest),
        false => store::sniff(&session.registries, layer).await,
    }))
    .await;
    let odd = |(layer, found): (&Blob, &Option<Compression>)| {
        is_remote(layer) && found.is_some_and(|found| found != Compression::Gzip)
    };
    if layers.iter().zip(&found).any(odd) {
        let unknown = layers.iter().zip(&mut found).filter(|(_, found)| found.is_none());
        join_all(unknown.map(async |(layer, found)| {
            *found = store::sniff(&session.registries, layer).await;
            // A failure to write the cache only costs a request.
            let _ = found.map(|found| keep(session, layer.digest, found));
        }))
        .await;
    }
    found
}

/// The compression of a layer of a registry, if it was found before.
pub(super) fn known(session: &Session, layer: Digest) -> Option<Compression> {
    serde_json::from_slice(&session.cache.noted(key(layer))?).ok()
}

/// Keeps the compression of a layer.
///
/// # Errors
/// When the cache cannot be written.
pub(super) fn keep(session: &Session, layer: Digest, compression: Compression) -> Result<()> {
    let text = serde_json::to_vec(&compression).unwrap_or_else(|_| unreachable!("a name"));
    session.cache.note(key(layer), &text)
}

/// Fails if a layer of a registry is not gzip. It is for layers that need not be sent, and costs a request to their registry
/// for a few bytes, once for each layer.
///
/// # Errors
/// [`Error::NotGzip`](crate::error::Error::NotGzip); a request that fails is not an error.
pub(super) async fn check(session: &Session, layer: &Blob) -> Result<()> {
    if is_certain(session, layer) {
        return Ok(());
    }
    require_gzip(session, layer, store::sniff(&session.registries, layer).await)
}

/// Whether the destination has a layer of the base, which then need not be sent. Unless the layer is known to be gzip, its
/// first bytes are requested instead of its size: one answer to both questions.
///
/// # Errors
/// [`Error::NotGzip`](crate::error::Error::NotGzip) and those of the request.
pub(super) async fn find(session: &Session, layer: &Blob, destination: &Repository) -> Result<bool> {
    if is_certain(session, layer) {
        return destination.has_blob(layer.digest).await;
    }
    let (found, compression) = store::find_layer(destination, layer.digest).await?;
    require_gzip(session, layer, compression).map(|()| found)
}

/// Whether a layer is known to be gzip, as those of AWS's own bases are, or need not be.
fn is_certain(session: &Session, layer: &Blob) -> bool {
    let Location::Registry(name) = &layer.location else { return true };
    let of_aws = name.registry() == ECR_PUBLIC && name.repository().starts_with("lambda/");
    of_aws || known(session, layer.digest) == Some(Compression::Gzip)
}

fn require_gzip(session: &Session, layer: &Blob, found: Option<Compression>) -> Result<()> {
    let Some(compression) = found else { return Ok(()) };
    store::require_gzip(layer, compression)?;
    // A failure to write the cache only costs a request.
    let _ = keep(session, layer.digest, compression);
    Ok(())
}

fn key(layer: Digest) -> Digest {
    Digest::of(format!("compression of {layer}").as_bytes())
}
