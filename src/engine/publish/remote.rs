//! A registry as destination, and the images that its tags name before the push.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::OnceCell;

use super::failure::Failure;
use crate::engine::gate::Gate;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::image::{
    Blob, Descriptor, Digest, EcrHost, Location, Manifest, Parsed, Reference, parse_manifest,
};
use crate::store::Repository;

/// A repository, the images that its tags name now, and the repository of the base.
pub(in crate::engine) struct Remote {
    pub(in crate::engine) repository: Repository,
    pub(super) tags: Vec<String>,
    tagged: OnceCell<Option<TaggedImages>>,
    /// The immutable tags that name an image, requested before anything is sent.
    immutable: OnceCell<HashSet<String>>,
    /// Opened when the new image's digest is known not to conflict with an immutable tag.
    cleared: Gate,
    base: Option<Reference>,
    failure: Arc<Failure>,
}

/// The images that the destination's tags name before the push.
#[derive(Default)]
pub(in crate::engine) struct TaggedImages {
    /// The manifest that each tag names.
    pub(super) manifests: HashMap<String, Manifest>,
    /// The blobs of those images. The repository has them, so they are not requested.
    pub(super) blobs: HashSet<Digest>,
    /// The config and layers of each image.
    pub(in crate::engine) images: Vec<ImageBlobs>,
}

/// The blobs that the manifest of an image names.
pub(in crate::engine) struct ImageBlobs {
    pub(in crate::engine) config: Descriptor,
    pub(in crate::engine) layers: Vec<Descriptor>,
}

impl TaggedImages {
    /// The digest of the manifest that a tag names.
    pub(super) fn digest(&self, tag: &str) -> Option<Digest> {
        self.manifests.get(tag).map(|manifest| manifest.digest)
    }
}

impl Remote {
    /// The repository `to`.
    pub(super) fn open(
        session: &Session,
        to: &Reference,
        tags: &[String],
        base: Option<Reference>,
        failure: Arc<Failure>,
    ) -> Arc<Remote> {
        let base = base.filter(|base| base.registry() == to.registry());
        let mount_from = base.as_ref().map(Reference::repository);
        Arc::new(Remote {
            repository: session.registries.destination(to, mount_from),
            tags: tags.to_vec(),
            tagged: OnceCell::new(),
            immutable: OnceCell::new(),
            cleared: Gate::shut(),
            base,
            failure,
        })
    }

    /// Requests the images that the tags name, and the immutable tags, before they are needed.
    pub(super) async fn ask_early(&self) {
        if self.tagged().await.is_ok() {
            self.immutable().await;
        }
    }

    async fn immutable(&self) -> &HashSet<String> {
        let asked = self.immutable.get_or_init(|| async {
            let Ok(tagged) = self.tagged().await else { return HashSet::new() };
            let taken: Vec<String> = tagged.manifests.keys().cloned().collect();
            match taken.is_empty() {
                true => HashSet::new(),
                false => self.repository.immutable_tags(&taken).await,
            }
        });
        asked.await
    }

    /// Whether [`may_send`](Remote::may_send) waits.
    pub(super) async fn must_wait(&self) -> bool {
        !self.immutable().await.is_empty() && !self.cleared.is_open()
    }

    /// If a tag is immutable, waits until the new image's digest is known not to conflict with it.
    pub(super) async fn may_send(&self) {
        if !self.immutable().await.is_empty() {
            self.cleared.pass().await;
        }
    }

    /// Lets the uploads start, unless an immutable tag names another image.
    pub(super) async fn clear(&self, manifest: &Manifest) -> Result<()> {
        let immutable = self.immutable().await;
        let tagged = self.tagged().await?;
        for (tag, old) in &tagged.manifests {
            if immutable.contains(tag) && old.digest != manifest.digest {
                let image = format!("{}:{tag}", self.repository.name().repository_name());
                return Err(Error::ImmutableTag { image, digest: old.digest });
            }
        }
        self.cleared.open();
        Ok(())
    }

    /// Requests the images of all tags at once. The answer is kept, and a failure is reported once.
    pub(in crate::engine) async fn tagged(&self) -> Result<&TaggedImages> {
        let asked = self.tagged.get_or_init(|| async {
            let asked = self.ask().await;
            asked.map_err(|error| self.failure.keep(error)).ok()
        });
        asked.await.as_ref().ok_or(Error::Interrupted)
    }

    async fn ask(&self) -> Result<TaggedImages> {
        let answers = join_all(self.tags.iter().map(|tag| self.repository.manifest(tag))).await;
        let mut tagged = TaggedImages::default();
        for (tag, answer) in self.tags.iter().zip(answers) {
            let Some(manifest) = answer? else { continue };
            // Another tool may have put an unknown kind of manifest under the tag; its blobs are then unknown.
            if let Ok(Parsed::Image { config, layers }) = parse_manifest(tag, &manifest.bytes) {
                tagged.blobs.insert(config.digest);
                tagged.blobs.extend(layers.iter().map(|layer| layer.digest));
                tagged.images.push(ImageBlobs { config, layers });
            }
            tagged.manifests.insert(tag.clone(), manifest);
        }
        Ok(tagged)
    }

    pub(super) async fn has_all_tags(&self, manifest: &Manifest) -> Result<bool> {
        let tagged = self.tagged().await?;
        // Without tags, no manifest was requested.
        Ok(!self.tags.is_empty() && self.tags.iter().all(|tag| tagged.digest(tag) == Some(manifest.digest)))
    }

    /// Whether the blob is read from this repository itself.
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

    /// Whether the blob is mounted from the base's repository without asking for it first, which is one request fewer unless
    /// this repository has it. ECR mounts only for accounts that have turned it on:
    /// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html>.
    pub(super) fn mounts_unasked(&self, blob: &Blob) -> bool {
        let is_ecr = EcrHost::parse(self.repository.name().registry()).is_some();
        !is_ecr && self.mount_from(blob).is_some() && !self.is_home_of(blob)
    }
}
