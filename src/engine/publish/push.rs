//! A push to one destination.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{join_all, try_join_all};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::delivery::{BlobOrigin, Delivery, Directory, Target};
use super::failure::Failure;
use super::manifest::{self, Put};
use super::remote::Remote;
use super::upload::{self, Stream};
use crate::engine::gate::{Gate, OpenOnDrop};
use crate::engine::inspect::Passing;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::event::{Event, Outcome};
use crate::image::{Blob, Digest, Format, Image, Layer, Location, Manifest, Reference};
use crate::store::{self, Destination, Layout};
use crate::threads::blocking;

/// The number of tasks that write to a layout at once: enough to keep a download and the disk busy.
const LAYOUT_WRITERS: usize = 4;

/// An image at its destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The image by digest: `registry/repository@sha256:…` or `oci:DIR@sha256:…`.
    pub image: String,
    /// The manifest's digest.
    pub digest: Digest,
    /// The manifest's size in bytes.
    pub size: u64,
    /// The config's digest, which Docker calls the image id.
    pub config: Digest,
    /// The manifest's media type.
    pub media_type: String,
    /// The names that refer to the image now.
    pub names: Vec<String>,
    /// Whether anything was sent; `false` if the destination had the whole image.
    pub changed: bool,
}

/// A push to one destination, started before the image is complete.
pub(in crate::engine) struct Push {
    session: Arc<Session>,
    target: Target,
    name: String,
    /// Deliveries by the digest of their blob; each blob is sent once.
    sending: Mutex<HashMap<Digest, Sending>>,
    /// The layers that this run made.
    made: Mutex<HashSet<Digest>>,
    /// The gates of layers that have passed, which open when the registry has answered.
    ends: Mutex<Vec<Arc<Gate>>>,
    /// The image's own blobs wait at this gate.
    gate: Arc<Gate>,
    failure: Arc<Failure>,
    /// The task of the first requests to a registry; aborted when the push is dropped.
    _asking: Option<AbortOnDrop<()>>,
}

/// The delivery of a blob.
struct Sending {
    task: AbortOnDrop<Option<Outcome>>,
    passage: Option<Passage>,
}

/// A blob that is scanned on its way.
#[derive(Clone)]
struct Passage {
    passing: Arc<dyn Passing>,
    /// The gates of its [`Stream`].
    passed: Arc<Gate>,
    ended: Arc<Gate>,
}

impl Passage {
    fn of(passing: Arc<dyn Passing>) -> Passage {
        Passage { passing, passed: Gate::shut().into(), ended: Gate::shut().into() }
    }

    fn stream(self) -> Stream {
        let Passage { passing, passed, ended } = self;
        Stream { passing, passed: OpenOnDrop::of(passed), ended: OpenOnDrop::of(ended) }
    }
}

/// An image whose blobs are all at the destination.
pub(in crate::engine) struct Ready {
    manifest: Manifest,
    /// Whether the destination has the manifest too, under every tag.
    exists: bool,
    /// Whether a blob had to be sent.
    sent: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task that is aborted when its handle is dropped.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The repository of an image's base, if it is in a registry; blobs may be mounted from it.
pub(in crate::engine) fn registry_source(image: &Image) -> Option<Reference> {
    image.layers().iter().find_map(|layer| match &layer.blob.location {
        Location::Registry(name) => Some(name.clone()),
        Location::Memory(_) | Location::File(_) | Location::Slice { .. } => None,
    })
}

impl Push {
    /// Starts a push. For a registry, it immediately requests the images that the tags name. `base` is the repository
    /// of the base. The image's own blobs wait at `gate`.
    pub(in crate::engine) fn open(
        session: Arc<Session>,
        to: &Destination,
        base: Option<Reference>,
        gate: Arc<Gate>,
    ) -> Push {
        let failure = Arc::new(Failure::default());
        let target = match to {
            Destination::Registry { repository, tags } => {
                Target::Registry(Remote::open(&session, repository, tags, base, failure.clone()))
            }
            Destination::Layout { path, tags } => Target::Layout(Arc::new(Directory {
                path: path.clone(),
                tags: tags.clone(),
                writers: Semaphore::new(LAYOUT_WRITERS),
                known: Mutex::default(),
            })),
            Destination::Archive { path, names } => {
                Target::Archive { path: path.clone(), names: names.clone() }
            }
            Destination::Local { names } => Target::Local { names: names.clone() },
        };
        let asking = match &target {
            Target::Registry(remote) => {
                let remote = remote.clone();
                Some(AbortOnDrop(tokio::spawn(async move { remote.ask_early().await })))
            }
            Target::Layout(_) | Target::Archive { .. } | Target::Local { .. } => None,
        };
        let (name, sending, made, ends) =
            (to.to_string(), Mutex::default(), Mutex::default(), Mutex::default());
        Push { session, target, name, sending, made, ends, gate, failure, _asking: asking }
    }

    /// The registry, if the destination is one.
    pub(in crate::engine) fn remote(&self) -> Option<Arc<Remote>> {
        match &self.target {
            Target::Registry(remote) => Some(remote.clone()),
            Target::Layout(_) | Target::Archive { .. } | Target::Local { .. } => None,
        }
    }

    /// Records that this run made a layer, before its delivery starts: the destination hardly ever has it.
    pub(in crate::engine) fn made(&self, layer: &Layer) {
        lock(&self.made).insert(layer.blob.digest);
    }

    /// Starts the delivery of a layer of the base, or of published packages, to a registry that lacks it. It does not
    /// wait for a check of the image, because its files are public or in a registry already, and no manifest names it
    /// yet. `passing` scans a layer from another registry on its way. A layer of an image of the local store that this
    /// machine made waits, and a layout or archive is written only after the check.
    pub(in crate::engine) fn published_layer(&self, layer: &Layer, passing: Option<&Arc<dyn Passing>>) {
        let passing = passing.filter(|_| matches!(layer.blob.location, Location::Registry(_)));
        let is_own = layer.key.is_none()
            && matches!(&layer.blob.location, Location::File(path) if self.session.cache.holds(path));
        match &self.target {
            Target::Registry(_) if !is_own => {
                self.blob(&layer.blob, self.origin(layer), Gate::opened().into(), passing);
            }
            Target::Registry(_) => self.layer(layer),
            Target::Layout(_) | Target::Archive { .. } | Target::Local { .. } => self.layer(layer),
        }
    }

    /// Starts the delivery of a layer to a destination that lacks it.
    pub(in crate::engine) fn layer(&self, layer: &Layer) {
        self.blob(&layer.blob, self.origin(layer), self.gate.clone(), None);
    }

    fn origin(&self, layer: &Layer) -> BlobOrigin {
        match layer.key {
            _ if lock(&self.made).contains(&layer.blob.digest) => BlobOrigin::New,
            None => BlobOrigin::Base,
            Some(_) => BlobOrigin::Earlier,
        }
    }

    /// Whether a layer of a registry is fetched after the check, to be written to a layout or archive.
    pub(in crate::engine) fn fetches(&self, blob: &Blob) -> bool {
        match &self.target {
            // The local store keeps where the layer is.
            Target::Registry(_) | Target::Local { .. } => false,
            Target::Layout(directory) => !directory.has_blob(blob).unwrap_or(false),
            Target::Archive { .. } => true,
        }
    }

    /// Waits until a layer has been scanned on its way, unless it is not sent before the check. The registry may not have
    /// accepted it yet. Returns whether it passed, but cannot be scanned.
    pub(in crate::engine) async fn passed(&self, layer: Digest) -> bool {
        let passage = lock(&self.sending).get(&layer).and_then(|sending| sending.passage.clone());
        let Some(Passage { passing, passed, ended }) = passage else { return false };
        passed.pass().await;
        lock(&self.ends).push(ended);
        passing.settled(layer).await
    }

    /// Waits for the registry's answers to layers that have [passed](Self::passed).
    pub(in crate::engine) async fn arrived(&self) {
        let ends = std::mem::take(&mut *lock(&self.ends));
        join_all(ends.iter().map(|ended| ended.pass())).await;
    }

    /// Starts the delivery of all blobs of the image that the destination lacks.
    pub(in crate::engine) fn image(&self, image: &Image) {
        image.layers().iter().for_each(|layer| self.layer(layer));
        // The config names the diff ids, so that of an image with a new layer is new too.
        let is_new = image.layers().iter().any(|layer| self.origin(layer) == BlobOrigin::New);
        let origin = if is_new { BlobOrigin::New } else { BlobOrigin::Earlier };
        self.blob(&image.config_blob(), origin, self.gate.clone(), None);
    }

    fn blob(&self, blob: &Blob, origin: BlobOrigin, gate: Arc<Gate>, passing: Option<&Arc<dyn Passing>>) {
        if matches!(self.target, Target::Archive { .. } | Target::Local { .. }) {
            return;
        }
        lock(&self.sending).entry(blob.digest).or_insert_with(|| {
            let passage = passing.cloned().map(Passage::of);
            let stream = passage.clone().map(Passage::stream);
            let (session, to, blob) = (self.session.clone(), self.name.clone(), blob.clone());
            let task = Delivery { session, to, blob, origin, stream };
            let (target, failure) = (self.target.clone(), self.failure.clone());
            let task = AbortOnDrop(tokio::spawn(async move {
                match task.run(target, &gate).await {
                    Ok(outcome) => Some(outcome),
                    Err(error) => {
                        failure.keep(error);
                        None
                    }
                }
            }));
            Sending { task, passage }
        });
    }

    /// Waits for the first failure; forever if there is none.
    pub(in crate::engine) async fn failed(&self) -> Error {
        self.failure.wait().await
    }

    /// Sends the remaining blobs of the image, and waits until the destination has all of them.
    pub(in crate::engine) async fn ready(&self, image: &Image, format: Format) -> Result<Ready> {
        let manifest = match &self.target {
            // It keeps no manifests.
            Target::Local { .. } => image.rendered(format),
            Target::Registry(_) | Target::Layout(_) | Target::Archive { .. } => image.manifest(format),
        };
        let exists = match &self.target {
            Target::Registry(remote) => {
                remote.has_all_tags(&manifest).await.map_err(|_| self.failure.take())?
            }
            Target::Layout(_) | Target::Archive { .. } | Target::Local { .. } => false,
        };
        if exists {
            // The registry checked the image's blobs when it accepted the manifest.
            lock(&self.sending).clear();
            return Ok(Ready { manifest, exists, sent: false });
        }
        if let Target::Registry(remote) = &self.target {
            remote.clear(&manifest).await.map_err(|error| self.first(error))?;
        }
        self.image(image);
        Ok(Ready { manifest, exists, sent: self.settle().await? })
    }

    /// The first failure of the push, which may be the cause of `error`.
    fn first(&self, error: Error) -> Error {
        self.failure.keep(error);
        self.failure.take()
    }

    /// Puts the manifest, and moves the tags. Returns the image if any of its names moved, and the failures of the
    /// others.
    pub(in crate::engine) async fn put(
        &self,
        image: &Image,
        ready: Ready,
    ) -> (Option<Published>, Vec<Error>) {
        let Ready { manifest, exists, sent } = ready;
        let put = match exists {
            true => Ok(Put { outcome: Outcome::Existed, moved: Vec::new(), failed: Vec::new() }),
            false => self.put_manifest(image, &manifest).await,
        };
        let Put { outcome, moved, failed } = match put {
            Ok(put) => put,
            Err(error) => return (None, vec![error]),
        };
        let (unmoved, failures): (Vec<_>, Vec<_>) = failed.into_iter().unzip();
        let unmoved: Vec<String> = unmoved.iter().map(|tag| format!("{}:{tag}", self.name)).collect();
        let mut names = self.target.names(&self.name);
        names.retain(|name| !unmoved.contains(name));
        if names.is_empty() && !failures.is_empty() {
            return (None, failures);
        }
        if outcome == Outcome::Sent {
            // The next push reads the config. A failure to write the cache only costs a request.
            let _ = self.session.cache.put_bytes(&image.config().to_bytes());
        }
        let by_digest = format!("{}@{}", self.name, manifest.digest);
        let moved: Vec<String> = moved.iter().map(|tag| format!("{}:{tag}", self.name)).collect();
        for name in names.iter().filter(|name| !moved.contains(name)) {
            let (image, published) = (name.clone(), by_digest.clone());
            self.session.events.emit(Event::Manifest { image, published, digest: manifest.digest, outcome });
        }
        let published = Published {
            image: by_digest,
            digest: manifest.digest,
            size: manifest.bytes.len() as u64,
            config: image.config_blob().digest,
            names,
            media_type: manifest.media_type,
            changed: sent || outcome != Outcome::Existed,
        };
        (Some(published), failures)
    }

    /// Waits for all blobs, and returns whether any had to be sent. The first failure aborts the others.
    async fn settle(&self) -> Result<bool> {
        let sending = std::mem::take(&mut *lock(&self.sending));
        let waiting = sending.into_values().map(|mut sending| async move {
            let outcome = (&mut sending.task.0).await;
            outcome.ok().flatten().ok_or_else(|| self.failure.take())
        });
        let outcomes = try_join_all(waiting).await?;
        Ok(outcomes.iter().any(|outcome| *outcome != Outcome::Existed))
    }

    async fn put_manifest(&self, image: &Image, manifest: &Manifest) -> Result<Put> {
        let outcome = match &self.target {
            _ if self.session.dry_run => Outcome::WouldSend,
            Target::Registry(remote) => {
                return manifest::put(remote, &self.session, image, manifest, &self.name).await;
            }
            Target::Layout(directory) => {
                let (directory, manifest) = (directory.clone(), manifest.clone());
                let platform = image.config().platform();
                blocking(move |_| {
                    Layout::create(&directory.path)?.put_manifest(&manifest, &platform, &directory.tags)
                })
                .await?
            }
            Target::Archive { path, names } => {
                let progress = |blob: &Blob, sent| upload::progress(&self.session, &self.name, blob, sent);
                let image = image.clone().located(|blob| self.session.nearest(blob));
                store::write_archive(path, &image, names, &self.session.registries, progress).await?;
                Outcome::Sent
            }
            Target::Local { names } => {
                let (images, image, names) = (self.session.cache.images(), image.clone(), names.clone());
                blocking(move |_| images.put(&image, &names)).await?;
                Outcome::Sent
            }
        };
        Ok(Put { outcome, moved: Vec::new(), failed: Vec::new() })
    }
}
