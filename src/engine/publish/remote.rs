//! A registry as destination: what it has, and the manifest that moves its tags.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use tokio::sync::OnceCell;

use super::delivery::Delivery;
use super::{Failure, Gate};
use crate::engine::Shared;
use crate::engine::earlier::Contents;
use crate::error::{Error, Result};
use crate::event::{Event, Outcome};
use crate::image::{Blob, Digest, Image, Location, Manifest, Parsed, Reference, parse_manifest};
use crate::store::Repository;

/// A repository, what its tags name now, and where the base is.
pub(in crate::engine) struct Remote {
    pub(in crate::engine) repository: Repository,
    pub(super) tags: Vec<String>,
    tagged: OnceCell<Option<Tagged>>,
    /// Those of the tags that name an image and can name no other. Found out before anything is sent.
    immutable: OnceCell<HashSet<String>>,
    /// Opened when the new image's digest is known to be no fault to such tags.
    cleared: Gate,
    base: Option<Reference>,
    failure: Arc<Failure>,
}

/// What the destination's tags name before the push.
#[derive(Default)]
pub(in crate::engine) struct Tagged {
    /// The digest that each tag names.
    digests: HashMap<String, Digest>,
    /// The blobs of those images: they are there, and need not be asked for.
    pub(super) blobs: HashSet<Digest>,
    /// What those images are made of.
    pub(in crate::engine) images: Vec<Contents>,
}

impl Remote {
    /// The repository `to`, whose tags are asked for at once.
    pub(super) fn open(
        shared: &Shared,
        to: &Reference,
        tags: &[String],
        base: Option<Reference>,
        failure: Arc<Failure>,
    ) -> Arc<Remote> {
        let base = base.filter(|base| base.registry() == to.registry());
        let mount_from = base.as_ref().map(Reference::repository);
        let remote = Arc::new(Remote {
            repository: shared.registries.destination(to, mount_from),
            tags: tags.to_vec(),
            tagged: OnceCell::new(),
            immutable: OnceCell::new(),
            cleared: Gate::shut(),
            base,
            failure,
        });
        let early = remote.clone();
        tokio::spawn(async move {
            if early.tagged().await.is_ok() {
                early.immutable().await;
            }
        });
        remote
    }

    async fn immutable(&self) -> &HashSet<String> {
        let asked = self.immutable.get_or_init(|| async {
            let Ok(tagged) = self.tagged().await else { return HashSet::new() };
            let taken: Vec<String> = tagged.digests.keys().cloned().collect();
            match taken.is_empty() {
                true => HashSet::new(),
                false => self.repository.immutable_tags(&taken).await,
            }
        });
        asked.await
    }

    /// Waits until it is certain that what is sent will not have been sent for nothing: where a tag is immutable,
    /// that is when the whole image is known.
    pub(super) async fn may_send(&self) {
        if !self.immutable().await.is_empty() {
            self.cleared.pass().await;
        }
    }

    /// Lets blobs set off, unless a tag can never name the image that they are for.
    pub(super) async fn clear(&self, manifest: &Manifest) -> Result<()> {
        let immutable = self.immutable().await;
        let tagged = self.tagged().await?;
        for (tag, digest) in &tagged.digests {
            if immutable.contains(tag) && *digest != manifest.digest {
                let image = format!("{}:{tag}", self.repository.name().repository_name());
                return Err(Error::ImmutableTag { image, digest: *digest });
            }
        }
        self.cleared.open();
        Ok(())
    }

    /// Asks for all tags at once; the answer is kept, and a failure is told once.
    pub(in crate::engine) async fn tagged(&self) -> Result<&Tagged> {
        let asked = self.tagged.get_or_init(|| async {
            let asked = self.ask().await;
            asked.map_err(|error| self.failure.keep(error)).ok()
        });
        asked.await.as_ref().ok_or(Error::Interrupted)
    }

    async fn ask(&self) -> Result<Tagged> {
        let answers = join_all(self.tags.iter().map(|tag| self.repository.manifest(tag))).await;
        let mut tagged = Tagged::default();
        for (tag, answer) in self.tags.iter().zip(answers) {
            let Some(manifest) = answer? else { continue };
            tagged.digests.insert(tag.clone(), manifest.digest);
            // What another tool has put there may be anything; then nothing is known of its blobs.
            if let Ok(Parsed::Image { config, layers }) = parse_manifest(tag, &manifest.bytes) {
                tagged.blobs.insert(config.digest);
                tagged.blobs.extend(layers.iter().map(|layer| layer.digest));
                tagged.images.push(Contents { config, layers });
            }
        }
        Ok(tagged)
    }

    pub(super) async fn has_all_tags(&self, manifest: &Manifest) -> Result<bool> {
        let tagged = self.tagged().await?;
        // Without a tag nothing is known to be there.
        Ok(!self.tags.is_empty()
            && self.tags.iter().all(|tag| tagged.digests.get(tag) == Some(&manifest.digest)))
    }

    /// Whether the blob is read from this very repository.
    pub(super) fn is_home_of(&self, blob: &Blob) -> bool {
        let own = self.repository.name();
        matches!(&blob.location, Location::Registry(name)
            if name.registry() == own.registry() && name.repository() == own.repository())
    }

    pub(super) fn mount_from(&self, blob: &Blob) -> Option<&str> {
        let base = self.base.as_ref()?;
        matches!(&blob.location, Location::Registry(name) if name.repository() == base.repository())
            .then(|| base.repository())
    }

    /// Puts the manifest under each tag that names another. With several, it is put by its digest first, so
    /// that what a registry would refuse moves no tag.
    pub(super) async fn put(
        &self,
        shared: &Arc<Shared>,
        image: &Image,
        manifest: &Manifest,
        name: &str,
    ) -> Result<Outcome> {
        let tagged = self.tagged().await?;
        let stale = |tag: &&String| tagged.digests.get(*tag) != Some(&manifest.digest);
        let stale: Vec<&String> = self.tags.iter().filter(stale).collect();
        let known = tagged.digests.values().any(|digest| *digest == manifest.digest);
        let first = match &stale[..] {
            [] if self.tags.is_empty() => manifest.digest.to_string(),
            [] => return Ok(Outcome::Existed),
            [only] => (*only).clone(),
            _ if known => stale[0].clone(),
            _ => manifest.digest.to_string(),
        };
        self.put_first(shared, image, manifest, &first, name).await?;
        let rest = stale.into_iter().filter(|tag| **tag != first);
        for done in join_all(rest.map(|tag| self.repository.put_manifest(manifest, tag))).await {
            done?;
        }
        Ok(Outcome::Sent)
    }

    /// Those of the blobs that the registry says it has not; all of them when it says that it has each.
    async fn denied(&self, blobs: impl Iterator<Item = Blob>) -> Result<Vec<Blob>> {
        let blobs: Vec<Blob> = blobs.collect();
        let there = try_join_all(blobs.iter().map(|blob| self.repository.has_blob(blob.digest))).await?;
        if !there.contains(&false) {
            return Ok(blobs);
        }
        Ok(blobs.into_iter().zip(there).filter_map(|(blob, there)| (!there).then_some(blob)).collect())
    }

    /// A registry may have lost a blob that its own manifest names, or say of one that it has it when it has
    /// not. It says so here; that blob is sent, and the manifest again.
    async fn put_first(
        &self,
        shared: &Arc<Shared>,
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
            let error = match self.repository.put_manifest(manifest, target).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let missing: Vec<Blob> = match missing_blob(&error) {
                None => return Err(error),
                Some(Some(digest)) => unsent.remove(&digest).into_iter().collect(),
                // It does not say which: any that it now denies.
                Some(None) => self.denied(unsent.drain().map(|(_, blob)| blob)).await?,
            };
            if missing.is_empty() {
                return Err(error);
            }
            for blob in missing {
                if self.is_home_of(&blob) {
                    return Err(Error::LostBlob { image: name.to_owned(), digest: blob.digest });
                }
                let (digest, size) = (blob.digest, blob.size);
                let delivery = Delivery { shared: shared.clone(), to: name.to_owned(), blob };
                let outcome = delivery.upload(self).await?;
                shared.events.emit(Event::Blob { destination: name.to_owned(), digest, size, outcome });
            }
        }
    }
}

/// Whether a manifest was refused because a blob is not there, and which.
fn missing_blob(error: &Error) -> Option<Option<Digest>> {
    let Error::Registry { answer, .. } = error else { return None };
    let code = answer.code.as_deref()?;
    // ECR has a name of its own for it.
    matches!(code, "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN" | "LayersNotFoundException")
        .then_some(answer.digest)
}
