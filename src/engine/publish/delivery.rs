//! One blob on its way to one place.

use std::sync::Arc;

use super::remote::Remote;
use super::{Directory, Gate, Place};
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::event::{Event, Outcome};
use crate::image::Blob;
use crate::store::{self, ByteStream, Layout, Upload};

/// One blob on its way to one place.
pub(super) struct Delivery {
    pub(super) shared: Arc<Shared>,
    pub(super) to: String,
    pub(super) blob: Blob,
}

impl Delivery {
    pub(super) async fn run(self, place: Place, gate: &Gate) -> Result<Outcome> {
        let outcome = match place {
            Place::Registry(remote) => self.to_registry(&remote, gate).await?,
            Place::Layout(directory) => self.to_layout(&directory, gate).await?,
            Place::Archive { .. } => return Ok(Outcome::Existed),
        };
        let Blob { digest, size, .. } = self.blob;
        self.shared.events.emit(Event::Blob { destination: self.to.clone(), digest, size, outcome });
        Ok(outcome)
    }

    async fn to_registry(&self, remote: &Remote, gate: &Gate) -> Result<Outcome> {
        let digest = self.blob.digest;
        if remote.is_home_of(&self.blob) || remote.tagged().await?.blobs.contains(&digest) {
            return Ok(Outcome::Existed);
        }
        if remote.repository.has_blob(digest).await? {
            return Ok(Outcome::Existed);
        }
        remote.may_send().await;
        gate.pass().await;
        match self.shared.dry_run {
            true => Ok(Outcome::WouldSend),
            false => self.upload(remote).await,
        }
    }

    pub(super) async fn upload(&self, remote: &Remote) -> Result<Outcome> {
        let (shared, to, blob) = (self.shared.clone(), self.to.clone(), self.blob.clone());
        let upload = Upload {
            digest: self.blob.digest,
            size: self.blob.size,
            mount_from: remote.mount_from(&self.blob),
            progress: Arc::new(move |sent| shared.progress(&to, &blob, sent)),
        };
        remote.repository.put_blob(&upload, || self.open()).await
    }

    async fn to_layout(&self, directory: &Directory, gate: &Gate) -> Result<Outcome> {
        gate.pass().await;
        let _place = directory.writers.acquire().await.map_err(|_| Error::Interrupted)?;
        if self.shared.dry_run {
            let there = Layout::preview(&directory.path)?;
            let there = there.is_some_and(|layout| layout.has_blob(self.blob.digest, self.blob.size));
            return Ok(if there { Outcome::Existed } else { Outcome::WouldSend });
        }
        let layout = Layout::create(&directory.path)?;
        if layout.has_blob(self.blob.digest, self.blob.size) {
            return Ok(Outcome::Existed);
        }
        let progress = |sent| self.shared.progress(&self.to, &self.blob, sent);
        let mut retry = self.shared.registries.retry();
        loop {
            // Asking for the bytes is tried again by itself; here it is their way to the disk.
            let bytes = self.open().await?;
            match layout.put_blob(self.blob.digest, bytes, &progress).await {
                Err(error) => retry.after(error).await?,
                done => return done,
            }
        }
    }

    async fn open(&self) -> Result<ByteStream> {
        store::open(&self.shared.registries, &self.blob).await
    }
}
