//! Bringing an image to a destination: blobs first and several at once, the manifest when all are there, the
//! tags last.

mod delivery;
mod gate;
mod remote;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::try_join_all;
use serde::Serialize;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use self::delivery::Delivery;
pub(super) use self::gate::Gate;
pub(super) use self::remote::{Remote, Tagged};
use super::Shared;
use super::bridge::blocking;
use crate::error::{Error, Result};
use crate::event::{Event, Outcome};
use crate::image::{Blob, Digest, Format, Image, Layer, Location, Manifest, Reference};
use crate::store::{self, Destination, Layout};

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
    /// Where blobs wait until they may be sent.
    gate: Arc<Gate>,
    failure: Arc<Failure>,
}

/// An image of which the destination has everything but the manifest.
pub(super) struct Ready {
    manifest: Manifest,
    /// Whether it has the manifest too, under every tag.
    there: bool,
    /// Whether a blob had to be sent.
    sent: bool,
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
        Location::Memory(_) | Location::File(_) | Location::Slice { .. } => None,
    })
}

impl Push {
    /// Begins: a registry is asked at once what its tags name. `base` is the repository of the base. Nothing is sent
    /// as long as `gate` is shut.
    pub(super) fn open(
        shared: Arc<Shared>,
        to: &Destination,
        base: Option<Reference>,
        gate: Arc<Gate>,
    ) -> Push {
        let failure = Arc::new(Failure::default());
        let place = match to {
            Destination::Registry { repository, tags } => {
                Place::Registry(Remote::open(&shared, repository, tags, base, failure.clone()))
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
        Push { shared, place, name: to.to_string(), sending: Mutex::default(), gate, failure }
    }

    /// The registry that it goes to, if it is one.
    pub(super) fn remote(&self) -> Option<Arc<Remote>> {
        match &self.place {
            Place::Registry(remote) => Some(remote.clone()),
            Place::Layout(_) | Place::Archive { .. } => None,
        }
    }

    /// Lets a layer set off, if the destination lacks it.
    pub(super) fn layer(&self, layer: &Layer) {
        self.blob(&layer.blob);
    }

    /// Lets all that the image needs set off, if the destination lacks it.
    pub(super) fn image(&self, image: &Image) {
        image.layers().iter().for_each(|layer| self.layer(layer));
        self.blob(&image.config_blob());
    }

    fn blob(&self, blob: &Blob) {
        if matches!(self.place, Place::Archive { .. }) {
            return;
        }
        lock(&self.sending).entry(blob.digest).or_insert_with(|| {
            let task = Delivery { shared: self.shared.clone(), to: self.name.clone(), blob: blob.clone() };
            let (place, gate, failure) = (self.place.clone(), self.gate.clone(), self.failure.clone());
            AbortOnDrop(tokio::spawn(async move {
                match task.run(place, &gate).await {
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

    /// Sends what is left of the image, and waits until the destination has all of it but the manifest.
    pub(super) async fn ready(&self, image: &Image, format: Format) -> Result<Ready> {
        let manifest = image.manifest(format);
        let there = match &self.place {
            Place::Registry(remote) => {
                remote.has_all_tags(&manifest).await.map_err(|_| self.failure.take())?
            }
            Place::Layout(_) | Place::Archive { .. } => false,
        };
        if there {
            // The registry checked the image's blobs when it took the manifest.
            lock(&self.sending).clear();
            return Ok(Ready { manifest, there, sent: false });
        }
        if let Place::Registry(remote) = &self.place {
            remote.clear(&manifest).await.map_err(|error| self.first(error))?;
        }
        self.image(image);
        Ok(Ready { manifest, there, sent: self.settle().await? })
    }

    /// The first failure on the way here, which may be the cause of this one.
    fn first(&self, error: Error) -> Error {
        self.failure.keep(error);
        self.failure.take()
    }

    /// Puts the manifest, and moves the tags.
    pub(super) async fn put(&self, image: &Image, ready: Ready) -> Result<Published> {
        let Ready { manifest, there, sent } = ready;
        let outcome = match there {
            true => Outcome::Existed,
            false => self.put_manifest(image, &manifest).await?,
        };
        if outcome == Outcome::Sent {
            // The next push looks into it; a cache that cannot be written costs a request, no more.
            let _ = self.shared.cache.put_bytes(&image.config().to_bytes());
        }
        self.tell(&manifest, outcome);
        Ok(Published {
            image: format!("{}@{}", self.name, manifest.digest),
            digest: manifest.digest,
            size: manifest.bytes.len() as u64,
            config: image.config_blob().digest,
            names: self.place.names(&self.name),
            media_type: manifest.media_type,
            changed: sent || outcome != Outcome::Existed,
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

    async fn put_manifest(&self, image: &Image, manifest: &Manifest) -> Result<Outcome> {
        Ok(match &self.place {
            _ if self.shared.dry_run => Outcome::WouldSend,
            Place::Registry(remote) => remote.put(&self.shared, image, manifest, &self.name).await?,
            Place::Layout(directory) => {
                let (directory, manifest) = (directory.clone(), manifest.clone());
                let platform = image.config().platform();
                blocking(move |_| {
                    Layout::create(&directory.path)?.put_manifest(&manifest, &platform, &directory.tags)
                })
                .await?
            }
            Place::Archive { path, names } => {
                let progress = |blob: &Blob, sent| self.shared.progress(&self.name, blob, sent);
                store::write_archive(path, image, names, &self.shared.registries, progress).await?;
                Outcome::Sent
            }
        })
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

impl Shared {
    fn progress(&self, destination: &str, blob: &Blob, sent: u64) {
        let (digest, size) = (blob.digest, blob.size);
        self.events.emit(Event::BlobProgress { destination: destination.to_owned(), digest, sent, size });
    }
}
