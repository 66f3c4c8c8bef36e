//! Bringing an image to a destination: blobs first and several at once, the manifest when all are there, the
//! tags last.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{join_all, try_join_all};
use serde::Serialize;
use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio::task::JoinHandle;

use super::Shared;
use crate::error::{Error, Result};
use crate::event::{Event, Outcome};
use crate::image::{
    Blob, Digest, Format, Image, Layer, Location, Manifest, Parsed, Reference, parse_manifest,
};
use crate::store::{self, ByteStream, Destination, Layout, Repository, Upload};

/// A layout is written by this many tasks at once: enough to keep a download and the disk busy.
const LAYOUT_WRITERS: usize = 4;

/// An image at its destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The image by digest, as `registry/repository@sha256:…` or `oci:DIR@sha256:…`.
    pub image: String,
    /// The manifest's digest.
    pub digest: Digest,
    /// The manifest's size in bytes.
    pub size: u64,
    /// The config's digest, which Docker calls the image id.
    pub config: Digest,
    /// The manifest's media type.
    pub media_type: String,
    /// The names that point to the image now.
    pub names: Vec<String>,
    /// Whether anything was sent: `false` when the destination had it all.
    pub changed: bool,
}

/// A push to one destination, begun before the image is complete.
pub(super) struct Push {
    shared: Arc<Shared>,
    place: Place,
    name: String,
    /// The blobs on their way, by digest; none is sent twice.
    sending: Mutex<HashMap<Digest, AbortOnDrop<Option<Outcome>>>>,
    failure: Arc<Failure>,
}

/// The first thing that went wrong on the way to a destination. Whatever fails after it fails because of it.
#[derive(Default)]
struct Failure {
    error: Mutex<Option<Error>>,
    happened: Notify,
}

impl Failure {
    fn keep(&self, error: Error) {
        lock(&self.error).get_or_insert(error);
        self.happened.notify_one();
    }

    fn take(&self) -> Error {
        lock(&self.error).take().unwrap_or(Error::Interrupted)
    }
}

#[derive(Clone)]
enum Place {
    Registry(Arc<Remote>),
    Layout(Arc<Directory>),
    Archive { path: PathBuf, names: Vec<Reference> },
}

/// A repository, what its tags name now, and where the base is.
struct Remote {
    repository: Repository,
    tags: Vec<String>,
    tagged: OnceCell<Option<Tagged>>,
    base: Option<Reference>,
    failure: Arc<Failure>,
}

/// What the destination's tags name before the push.
#[derive(Default)]
struct Tagged {
    /// The digest that each tag names.
    digests: HashMap<String, Digest>,
    /// The blobs of those images: they are there, and need not be asked for.
    blobs: HashSet<Digest>,
}

struct Directory {
    path: PathBuf,
    tags: Vec<String>,
    writers: Semaphore,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task that ends when nobody waits for it any more.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Where an image's base came from, when that is a registry: its blobs may be mounted from there.
pub(super) fn registry_source(image: &Image) -> Option<Reference> {
    image.layers().iter().find_map(|layer| match &layer.blob.location {
        Location::Registry(name) => Some(name.clone()),
        Location::Memory(_) | Location::File(_) => None,
    })
}

impl Push {
    /// Begins: a registry is asked at once what its tags name. `base` is the repository of the base.
    pub(super) fn open(shared: Arc<Shared>, to: &Destination, base: Option<Reference>) -> Push {
        let failure = Arc::new(Failure::default());
        let place = match to {
            Destination::Registry { repository, tags } => {
                let base = base.filter(|base| base.registry() == repository.registry());
                let mount_from = base.as_ref().map(Reference::repository);
                let remote = Arc::new(Remote {
                    repository: shared.registries.destination(repository, mount_from),
                    tags: tags.clone(),
                    tagged: OnceCell::new(),
                    base,
                    failure: failure.clone(),
                });
                let early = remote.clone();
                tokio::spawn(async move { early.tagged().await.map(drop) });
                Place::Registry(remote)
            }
            Destination::Layout { path, tags } => Place::Layout(Arc::new(Directory {
                path: path.clone(),
                tags: tags.clone(),
                writers: Semaphore::new(LAYOUT_WRITERS),
            })),
            Destination::Archive { path, names } => {
                Place::Archive { path: path.clone(), names: names.clone() }
            }
        };
        Push { shared, place, name: to.to_string(), sending: Mutex::default(), failure }
    }

    /// Lets a layer set off, if the destination lacks it.
    pub(super) fn layer(&self, layer: &Layer) {
        self.blob(&layer.blob);
    }

    fn blob(&self, blob: &Blob) {
        if matches!(self.place, Place::Archive { .. }) {
            return;
        }
        lock(&self.sending).entry(blob.digest).or_insert_with(|| {
            let task = Delivery { shared: self.shared.clone(), to: self.name.clone(), blob: blob.clone() };
            let (place, failure) = (self.place.clone(), self.failure.clone());
            AbortOnDrop(tokio::spawn(async move {
                match task.run(place).await {
                    Ok(outcome) => Some(outcome),
                    Err(error) => {
                        failure.keep(error);
                        None
                    }
                }
            }))
        });
    }

    /// Waits for the first failure, for ever when there is none: what is still being built need not be.
    pub(super) async fn failed(&self) -> Error {
        self.failure.happened.notified().await;
        self.failure.take()
    }

    /// Sends what is left, then the manifest, and moves the tags.
    pub(super) async fn finish(self, image: &Image, format: Format) -> Result<Published> {
        let manifest = image.manifest(format);
        let config = image.config_blob();
        let there = match &self.place {
            Place::Registry(remote) => {
                remote.has_all_tags(&manifest).await.map_err(|_| self.failure.take())?
            }
            Place::Layout(_) | Place::Archive { .. } => false,
        };
        let mut changed = false;
        if there {
            // The registry checked the image's blobs when it took the manifest.
            lock(&self.sending).clear();
            self.tell(&manifest, Outcome::Existed);
        } else {
            image.layers().iter().for_each(|layer| self.layer(layer));
            self.blob(&config);
            changed |= self.settle().await?;
            changed |= self.put(image, &manifest).await? != Outcome::Existed;
        }
        Ok(Published {
            image: format!("{}@{}", self.name, manifest.digest),
            digest: manifest.digest,
            size: manifest.bytes.len() as u64,
            config: config.digest,
            names: self.place.names(&self.name),
            media_type: manifest.media_type,
            changed,
        })
    }

    /// Waits for all blobs, and says whether any had to be sent. The first failure ends the others.
    async fn settle(&self) -> Result<bool> {
        let sending = std::mem::take(&mut *lock(&self.sending));
        let waiting = sending.into_values().map(|mut task| async move {
            let outcome = (&mut task.0).await;
            outcome.ok().flatten().ok_or_else(|| self.failure.take())
        });
        let outcomes = try_join_all(waiting).await?;
        Ok(outcomes.iter().any(|outcome| *outcome != Outcome::Existed))
    }

    async fn put(&self, image: &Image, manifest: &Manifest) -> Result<Outcome> {
        let outcome = match &self.place {
            _ if self.shared.dry_run => Outcome::WouldSend,
            Place::Registry(remote) => remote.put(&self.shared, image, manifest, &self.name).await?,
            Place::Layout(directory) => {
                let (directory, manifest) = (directory.clone(), manifest.clone());
                let platform = image.config().platform();
                let work = tokio::task::spawn_blocking(move || {
                    Layout::create(&directory.path)?.put_manifest(&manifest, &platform, &directory.tags)
                });
                work.await.map_err(|_| Error::Interrupted)??
            }
            Place::Archive { path, names } => {
                let open = |blob: Blob| async move { store::open(&self.shared.registries, &blob).await };
                let progress = |blob: &Blob, sent| self.shared.progress(&self.name, blob, sent);
                store::write_archive(path, image, names, open, progress).await?;
                Outcome::Sent
            }
        };
        self.tell(manifest, outcome);
        Ok(outcome)
    }

    fn tell(&self, manifest: &Manifest, outcome: Outcome) {
        for image in self.place.names(&self.name) {
            self.shared.events.emit(Event::Manifest { image, digest: manifest.digest, outcome });
        }
    }
}

impl Place {
    fn names(&self, name: &str) -> Vec<String> {
        match self {
            Place::Registry(remote) => remote.tags.iter().map(|tag| format!("{name}:{tag}")).collect(),
            Place::Layout(directory) if directory.tags.is_empty() => vec![name.to_owned()],
            Place::Layout(directory) => directory.tags.iter().map(|tag| format!("{name}:{tag}")).collect(),
            Place::Archive { names, .. } if names.is_empty() => vec![name.to_owned()],
            Place::Archive { names, .. } => names.iter().map(|image| format!("{name}:{image}")).collect(),
        }
    }
}

/// One blob on its way to one place.
struct Delivery {
    shared: Arc<Shared>,
    to: String,
    blob: Blob,
}

impl Delivery {
    async fn run(self, place: Place) -> Result<Outcome> {
        let outcome = match place {
            Place::Registry(remote) => self.to_registry(&remote).await?,
            Place::Layout(directory) => self.to_layout(&directory).await?,
            Place::Archive { .. } => return Ok(Outcome::Existed),
        };
        let Blob { digest, size, .. } = self.blob;
        self.shared.events.emit(Event::Blob { destination: self.to.clone(), digest, size, outcome });
        Ok(outcome)
    }

    async fn to_registry(&self, remote: &Remote) -> Result<Outcome> {
        let digest = self.blob.digest;
        if remote.is_home_of(&self.blob) || remote.tagged().await?.blobs.contains(&digest) {
            return Ok(Outcome::Existed);
        }
        if remote.repository.has_blob(digest).await? {
            return Ok(Outcome::Existed);
        }
        match self.shared.dry_run {
            true => Ok(Outcome::WouldSend),
            false => self.upload(remote).await,
        }
    }

    async fn upload(&self, remote: &Remote) -> Result<Outcome> {
        let (shared, to, blob) = (self.shared.clone(), self.to.clone(), self.blob.clone());
        let upload = Upload {
            digest: self.blob.digest,
            size: self.blob.size,
            mount_from: remote.mount_from(&self.blob),
            progress: Arc::new(move |sent| shared.progress(&to, &blob, sent)),
        };
        remote.repository.put_blob(&upload, || self.open()).await
    }

    async fn to_layout(&self, directory: &Directory) -> Result<Outcome> {
        let _place = directory.writers.acquire().await.map_err(|_| Error::Interrupted)?;
        if self.shared.dry_run {
            return Ok(Outcome::WouldSend);
        }
        let layout = Layout::create(&directory.path)?;
        if layout.has_blob(self.blob.digest, self.blob.size) {
            return Ok(Outcome::Existed);
        }
        let progress = |sent| self.shared.progress(&self.to, &self.blob, sent);
        let mut retry = self.shared.registries.retry();
        loop {
            let done = match self.open().await {
                Ok(bytes) => layout.put_blob(self.blob.digest, bytes, &progress).await,
                Err(error) => Err(error),
            };
            match done {
                Err(error) => retry.after(error).await?,
                done => return done,
            }
        }
    }

    async fn open(&self) -> Result<ByteStream> {
        store::open(&self.shared.registries, &self.blob).await
    }
}

impl Remote {
    /// Asks for all tags at once; the answer is kept, and a failure is told once.
    async fn tagged(&self) -> Result<&Tagged> {
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
            }
        }
        Ok(tagged)
    }

    async fn has_all_tags(&self, manifest: &Manifest) -> Result<bool> {
        let tagged = self.tagged().await?;
        Ok(self.tags.iter().all(|tag| tagged.digests.get(tag) == Some(&manifest.digest)))
    }

    /// Whether the blob is read from this very repository.
    fn is_home_of(&self, blob: &Blob) -> bool {
        let own = self.repository.name();
        matches!(&blob.location, Location::Registry(name)
            if name.registry() == own.registry() && name.repository() == own.repository())
    }

    fn mount_from(&self, blob: &Blob) -> Option<&str> {
        let base = self.base.as_ref()?;
        matches!(&blob.location, Location::Registry(name) if name.repository() == base.repository())
            .then(|| base.repository())
    }

    /// Puts the manifest under each tag that names another. With several, it is put by its digest first, so
    /// that what a registry would refuse moves no tag.
    async fn put(
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
                Some(None) => unsent.drain().map(|(_, blob)| blob).collect(),
            };
            if missing.is_empty() {
                return Err(error);
            }
            for blob in missing {
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

impl Shared {
    fn progress(&self, destination: &str, blob: &Blob, sent: u64) {
        let (digest, size) = (blob.digest, blob.size);
        self.events.emit(Event::BlobProgress { destination: destination.to_owned(), digest, sent, size });
    }
}
