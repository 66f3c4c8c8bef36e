//! A push without content, which detects missing permissions and leaves nothing behind.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Body, Url};

use super::call::Call;
use super::repository::Repository;
use super::request::Request;
use super::upload::Upload;
use crate::error::{Error, Result};
use crate::image::{DOCKER_MANIFEST, Digest, Manifest};
use crate::store::http::{Patience, STALL};

impl Repository {
    /// Fails if blobs may not be sent: starts an upload, completes it with no bytes, and cancels it.
    pub(crate) async fn probe_upload(&self) -> Result<()> {
        let digest = Digest::of(b"lbuild doctor");
        let upload = Upload { digest, size: 0, mount_from: None, asked: true, progress: Arc::new(|_| ()) };
        let Some(session) = self.open_session(&upload, &Patience::default()).await? else { return Ok(()) };
        let operation = format!("send blobs to {}", self.name().repository_name());
        let end = self.request(Call::SendBlob, format!("blobs/{digest}"), operation.clone());
        let ended = self.send_empty(session.clone(), &end).await;
        let cancel = self.request(Call::CancelUpload, format!("blobs/{digest}"), operation);
        // ECR does not support cancelling, and discards unfinished uploads.
        let _ = self.send_empty(session, &cancel).await;
        unless_refused(ended)
    }

    /// Fails if manifests may not be put: sends an invalid manifest, which every registry refuses. A missing repository
    /// has its own error.
    pub(crate) async fn probe_manifest(&self) -> Result<()> {
        let manifest = Manifest::stored(DOCKER_MANIFEST.to_owned(), b"{}".to_vec());
        let operation = format!("put a manifest to {}", self.name().repository_name());
        let request = self
            .request(Call::PutManifest, format!("manifests/{}", manifest.digest), operation)
            .header(CONTENT_TYPE, manifest.media_type)
            .body(manifest.bytes);
        unless_refused(self.transport.send(&request).await.map(drop))
    }

    async fn send_empty(&self, url: Url, request: &Request) -> Result<()> {
        let body = Body::from(Vec::new());
        let answer = self.transport.send_body(url, request, 0, body, stall()).await?;
        self.transport.accepted(answer, request, true).await.map(drop)
    }
}

/// Ends when an empty request has stalled.
async fn stall() -> Duration {
    tokio::time::sleep(STALL).await;
    STALL
}

/// The expected result is an error other than 403.
fn unless_refused(result: Result<()>) -> Result<()> {
    match result {
        Err(Error::Registry { answer, .. }) if answer.status != 403 => Ok(()),
        result => result,
    }
}
