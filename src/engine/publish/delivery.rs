//! The delivery of one blob to one destination.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::remote::Remote;
use super::upload::{self, Stream};
use crate::engine::compression;
use crate::engine::gate::Gate;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::event::{Event, Outcome};
use crate::image::{Blob, Digest, LOCAL_SCHEME, Reference};
use crate::store::{self, Layout};
use crate::threads::blocking;

/// A destination during a push.
#[derive(Clone)]
pub(super) enum Target {
    Registry(Arc<Remote>),
    Layout(Arc<Directory>),
    Archive { path: PathBuf, names: Vec<Reference> },
    Local { names: Vec<Reference> },
}

/// A layout directory.
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) tags: Vec<String>,
    pub(super) writers: Semaphore,
    /// The blobs that the layout was found to have, undamaged, or not.
    pub(super) known: Mutex<HashMap<Digest, bool>>,
}

impl Directory {
    /// Whether the layout, if it exists, has the blob, undamaged. The first question reads the blob.
    pub(super) fn has_blob(&self, blob: &Blob) -> Result<bool> {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&blob.digest) {
            return Ok(*known);
        }
        let layout = Layout::preview(&self.path)?;
        let found = layout.is_some_and(|layout| layout.has_blob(blob.digest, blob.size));
        lock().insert(blob.digest, found);
        Ok(found)
    }
}

impl Target {
    /// The names of the image at the destination.
    pub(super) fn names(&self, name: &str) -> Vec<String> {
        match self {
            Target::Registry(remote) => remote.tags.iter().map(|tag| format!("{name}:{tag}")).collect(),
            Target::Layout(directory) if directory.tags.is_empty() => vec![name.to_owned()],
            Target::Layout(directory) => directory.tags.iter().map(|tag| format!("{name}:{tag}")).collect(),
            Target::Archive { names, .. } if names.is_empty() => vec![name.to_owned()],
            Target::Local { names } if names.is_empty() => vec![name.to_owned()],
            Target::Local { names } => names.iter().map(|image| format!("{LOCAL_SCHEME}{image}")).collect(),
            Target::Archive { names, .. } => names.iter().map(|image| format!("{name}:{image}")).collect(),
        }
    }
}

/// The origin of a blob.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BlobOrigin {
    /// This run made it, so that only another one that made the same can have sent it.
    New,
    /// It is a layer that lbuild did not make.
    Base,
    /// An earlier run made it.
    Earlier,
}

/// The delivery of one blob to one destination.
pub(super) struct Delivery {
    pub(super) session: Arc<Session>,
    pub(super) to: String,
    pub(super) blob: Blob,
    pub(super) origin: BlobOrigin,
    pub(super) stream: Option<Stream>,
}

/// Upper bound on the size of a new blob that is sent without asking for it first, in bytes. Sending it for nothing takes
/// about as long as the request, and hardly ever happens.
const UNASKED: u64 = 1 << 20;

impl Delivery {
    pub(super) async fn run(self, target: Target, gate: &Gate) -> Result<Outcome> {
        let outcome = match target {
            Target::Registry(remote) => self.send_to_registry(&remote, gate).await?,
            Target::Layout(directory) => self.write_to_layout(&directory, gate).await?,
            Target::Archive { .. } | Target::Local { .. } => return Ok(Outcome::Existed),
        };
        let Blob { digest, size, .. } = self.blob;
        self.session.events.emit(Event::Blob { destination: self.to.clone(), digest, size, outcome });
        Ok(outcome)
    }

    async fn send_to_registry(&self, remote: &Remote, gate: &Gate) -> Result<Outcome> {
        let digest = self.blob.digest;
        if remote.tagged().await?.blobs.contains(&digest) {
            return Ok(Outcome::Existed);
        }
        if self.is_asked_for(remote) && self.exists(remote).await? {
            return Ok(Outcome::Existed);
        }
        let is_later = self.session.dry_run || !gate.is_open() || remote.must_wait().await;
        if is_later && let Some(stream) = &self.stream {
            // The check comes first, and must not wait for the layer.
            stream.passed.gate().open();
            stream.ended.gate().open();
        }
        remote.may_send().await;
        gate.pass().await;
        match self.session.dry_run {
            true => Ok(Outcome::WouldSend),
            false => {
                // Only from here on: a push that waits for its check must not hold up others.
                let turn = self.session.sending.of((self.to.clone(), digest)).await;
                if turn.is_done() {
                    return Ok(Outcome::Existed);
                }
                let outcome =
                    upload::upload(&self.session, &self.to, &self.blob, remote, self.stream.as_ref()).await?;
                turn.done();
                Ok(outcome)
            }
        }
    }

    /// Whether the registry is asked for the blob before it is sent. A dry run says what a push would send, so it asks for
    /// every blob.
    fn is_asked_for(&self, remote: &Remote) -> bool {
        let is_new = self.origin == BlobOrigin::New && self.blob.size <= UNASKED;
        self.session.dry_run || !(is_new || remote.mounts_unasked(&self.blob))
    }

    async fn exists(&self, remote: &Remote) -> Result<bool> {
        if remote.is_home_of(&self.blob) {
            return compression::check(&self.session, &self.blob).await.map(|()| true);
        }
        match self.origin {
            BlobOrigin::Base => compression::find(&self.session, &self.blob, &remote.repository).await,
            _ => remote.repository.has_blob(self.blob.digest).await,
        }
    }

    async fn write_to_layout(&self, directory: &Arc<Directory>, gate: &Gate) -> Result<Outcome> {
        gate.pass().await;
        let _place = directory.writers.acquire().await.map_err(|_| Error::Interrupted)?;
        let (to, blob) = (directory.clone(), self.blob.clone());
        if blocking(move |_| to.has_blob(&blob)).await? {
            return Ok(Outcome::Existed);
        }
        if self.session.dry_run {
            return Ok(Outcome::WouldSend);
        }
        let layout = Layout::create(&directory.path)?;
        let progress = |sent| upload::progress(&self.session, &self.to, &self.blob, sent);
        let mut retry = self.session.registries.retry();
        loop {
            // `open` retries its own request; this loop retries a transfer that breaks off.
            let nearest = self.session.nearest(&self.blob);
            let bytes = store::open_gzip(&self.session.registries, &self.blob, &nearest).await?;
            match layout.put_blob(self.blob.digest, bytes, &progress).await {
                Err(error) => retry.after(error).await?,
                done => return done,
            }
        }
    }
}
