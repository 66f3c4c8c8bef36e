//! Takes the images of a Docker archive into the local store.

use std::path::Path;
use std::sync::Arc;

use super::build::as_it_is;
use super::find::{self, Inspected};
use super::session::Session;
use crate::error::{Error, Result};
use crate::image::{Blob, Image, Location};
use crate::recipe::Base;
use crate::store::{self, Archive, LocalImage};
use crate::threads::blocking;

/// Stores the images, and returns them with the names that the archive gives them. The archive is not needed any more.
pub(super) async fn load(session: &Arc<Session>, archive: &Path) -> Result<Vec<LocalImage>> {
    let path = archive.to_owned();
    let listed = blocking(move |stop| Archive::list(&path, stop)).await?;
    let mut loaded = Vec::with_capacity(listed.len());
    for names in listed {
        let base = Base::Archive { path: archive.to_owned(), name: names.first().cloned(), digest: None };
        let Inspected::Image(found) = find::inspect(session, &base, None).await? else {
            return Err(Error::ManifestSchema { image: base.to_string() });
        };
        let image = as_it_is(session, &base, &found.config.platform()).await?;
        let image = held(session, image).await?;
        let images = session.cache.images();
        images.put(&image, &names)?;
        let id = image.config_blob().digest.to_string();
        if let Some(mut image) = images.find(&names.first().map_or(id, ToString::to_string))? {
            // It may have other names here.
            image.names = names;
            loaded.push(image);
        }
    }
    Ok(loaded)
}

/// The image with all its layers in the cache.
pub(super) async fn held(session: &Arc<Session>, image: Image) -> Result<Image> {
    let mut blobs = Vec::with_capacity(image.layers().len());
    for layer in image.layers() {
        blobs.push(match &layer.blob.location {
            Location::File(path) if session.cache.holds(path) => layer.blob.clone(),
            _ => copied(session, &layer.blob).await?,
        });
    }
    Ok(image.located(|blob| blobs.iter().find(|held| held.digest == blob.digest).unwrap_or(blob).clone()))
}

async fn copied(session: &Arc<Session>, blob: &Blob) -> Result<Blob> {
    if let Some(held) = session.cache.blob(blob.digest, blob.size) {
        return Ok(held);
    }
    let staged = session.cache.stage()?;
    store::write_stream(&staged, store::open(&session.registries, blob).await?, &|_| ()).await?;
    session.cache.keep(staged, blob.digest, blob.size)
}
