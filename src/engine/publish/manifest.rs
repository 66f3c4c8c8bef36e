//! Puts the manifest of an image, which moves the tags of a registry.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};

use super::remote::Remote;
use super::upload;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::event::{Event, Outcome};
use crate::image::{Blob, Digest, Image, Manifest};

/// The outcome of putting a manifest under its tags.
pub(super) struct Put {
    pub(super) outcome: Outcome,
    /// The tags that were moved, which have been reported already: each as soon as it named the manifest, because the
    /// push may be interrupted while another one waits.
    pub(super) moved: Vec<String>,
    /// The tags that do not name the manifest, and why.
    pub(super) failed: Vec<(String, Error)>,
}

/// Puts the manifest under each tag that names another one. For several tags it is put by its digest first, so that a
/// refusal leaves all tags unchanged; also for one that names an image on plain HTTP, where a proxy may damage every
/// manifest: the registry compares such a one with its digest, but stores it under any tag, and so the old one too.
pub(super) async fn put(
    remote: &Remote,
    session: &Arc<Session>,
    image: &Image,
    manifest: &Manifest,
    name: &str,
) -> Result<Put> {
    let tagged = remote.tagged().await?;
    let stale = |tag: &&String| tagged.digest(tag) != Some(manifest.digest);
    let stale: Vec<&String> = remote.tags.iter().filter(stale).collect();
    let known = tagged.manifests.values().any(|old| old.digest == manifest.digest);
    let moves = stale.iter().any(|tag| tagged.manifests.contains_key(*tag));
    let careful = moves && remote.repository.is_plain();
    let first = match &stale[..] {
        [] if remote.tags.is_empty() => manifest.digest.to_string(),
        [] => return Ok(Put { outcome: Outcome::Existed, moved: Vec::new(), failed: Vec::new() }),
        [only] if !careful => (*only).clone(),
        _ if known && !careful => stale[0].clone(),
        _ => manifest.digest.to_string(),
    };
    let moved = |tag: &String| {
        let (image, published) = (format!("{name}:{tag}"), format!("{name}@{}", manifest.digest));
        let (digest, outcome) = (manifest.digest, Outcome::Sent);
        session.events.emit(Event::Manifest { image, published, digest, outcome });
        tag.clone()
    };
    put_first(remote, session, image, manifest, &first, name).await?;
    let mut done: Vec<String> = stale.iter().filter(|tag| ***tag == first).map(|tag| moved(tag)).collect();
    let rest = stale.into_iter().filter(|tag| **tag != first);
    let rest = rest.map(|tag| async move {
        put_at(remote, manifest, tag).await.map(|()| moved(tag)).map_err(|error| (tag.clone(), error))
    });
    let (more, failed): (Vec<_>, Vec<_>) =
        join_all(rest).await.into_iter().partition(std::result::Result::is_ok);
    done.extend(more.into_iter().flatten());
    let failed = failed.into_iter().filter_map(std::result::Result::err).collect();
    Ok(Put { outcome: Outcome::Sent, moved: done, failed })
}

/// Puts the manifest under a tag or its digest. If the registry stored a damaged one under the tag, the tag gets its old
/// manifest back; a new tag is removed.
async fn put_at(remote: &Remote, manifest: &Manifest, target: &str) -> Result<()> {
    let (error, got) = match remote.repository.put_manifest(manifest, target).await {
        Err(error @ Error::Stored { got: Some(got), .. }) if remote.tags.iter().any(|tag| tag == target) => {
            (error, got)
        }
        done => return done,
    };
    let undone = match remote.tagged().await?.manifests.get(target) {
        Some(old) => remote.repository.put_manifest(old, target).await.is_ok(),
        None => remote.repository.remove_damaged(manifest, got).await.unwrap_or(false),
    };
    if undone {
        return Err(error);
    }
    let image = format!("{}:{target}", remote.repository.name().repository_name());
    Err(Error::DamagedTag { image, source: Box::new(error) })
}

/// The blobs that the registry reports as missing; all blobs if it reports none.
async fn denied(remote: &Remote, blobs: impl Iterator<Item = Blob>) -> Result<Vec<Blob>> {
    let blobs: Vec<Blob> = blobs.collect();
    let there = try_join_all(blobs.iter().map(|blob| remote.repository.has_blob(blob.digest))).await?;
    if !there.contains(&false) {
        return Ok(blobs);
    }
    Ok(blobs.into_iter().zip(there).filter_map(|(blob, there)| (!there).then_some(blob)).collect())
}

/// Puts the manifest for the first time. A registry may have lost a blob that one of its manifests names, or report a
/// missing blob as present. If it refuses the manifest for that reason, the blob is sent, and the manifest again.
async fn put_first(
    remote: &Remote,
    session: &Arc<Session>,
    image: &Image,
    manifest: &Manifest,
    target: &str,
    name: &str,
) -> Result<()> {
    let config = image.config_blob();
    let mut unsent: HashMap<Digest, Blob> = image
        .layers()
        .iter()
        .map(|layer| &layer.blob)
        .chain([&config])
        .map(|b| (b.digest, b.clone()))
        .collect();
    loop {
        let error = match put_at(remote, manifest, target).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let missing: Vec<Blob> = match missing_blob(&error) {
            None => return Err(error),
            Some(Some(digest)) => unsent.remove(&digest).into_iter().collect(),
            // The answer does not name the blob: send all that it now reports as missing.
            Some(None) => denied(remote, unsent.drain().map(|(_, blob)| blob)).await?,
        };
        if missing.is_empty() {
            return Err(error);
        }
        for blob in missing {
            if remote.is_home_of(&blob) {
                return Err(Error::LostBlob { image: name.to_owned(), digest: blob.digest });
            }
            let (digest, size) = (blob.digest, blob.size);
            let outcome = upload::upload(session, name, &blob, remote, None).await?;
            session.events.emit(Event::Blob { destination: name.to_owned(), digest, size, outcome });
        }
    }
}

/// Whether a manifest was refused because a blob is missing, and the blob's digest if the answer names it.
fn missing_blob(error: &Error) -> Option<Option<Digest>> {
    let Error::Registry { answer, .. } = error else { return None };
    let code = answer.code.as_deref()?;
    // `LayersNotFoundException` is ECR's code.
    matches!(code, "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN" | "LayersNotFoundException")
        .then_some(answer.digest)
}
