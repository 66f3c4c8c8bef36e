//! Finding out what a push would meet, without leaving anything behind.

use super::call::Call;
use super::{Repository, Upload};
use crate::error::{Error, Result};
use crate::image::{DOCKER_MANIFEST, Digest, Manifest};
use crate::store::http::STALL;
use reqwest::header::CONTENT_TYPE;

impl Repository {
    /// Whether blobs may be sent: an upload is begun, ended without a byte, and cancelled.
    pub(crate) async fn probe_upload(&self) -> Result<()> {
        let digest = Digest::of(b"lbuild doctor");
        let upload = Upload { digest, size: 0, mount_from: None, progress: std::sync::Arc::new(|_| ()) };
        let Some(session) = self.open_session(&upload).await? else { return Ok(()) };
        let operation = format!("send blobs to {}", self.name().repository_name());
        let end = self.request(Call::SendBlob, format!("blobs/{digest}"), operation.clone());
        let ended = self.send_empty(session.clone(), &end).await;
        let cancel = self.request(Call::CancelUpload, format!("blobs/{digest}"), operation);
        // ECR knows no cancelling, and forgets what nobody ends.
        let _ = self.send_empty(session, &cancel).await;
        unless_refused(ended)
    }

    /// Whether manifests may be put: one is, that no registry takes. Where the repository is missing, it says so.
    pub(crate) async fn probe_manifest(&self) -> Result<()> {
        let manifest = Manifest::stored(DOCKER_MANIFEST.to_owned(), b"{}".to_vec());
        let operation = format!("put a manifest to {}", self.name().repository_name());
        let request = self
            .request(Call::PutManifest, format!("manifests/{}", manifest.digest), operation)
            .header(CONTENT_TYPE, manifest.media_type)
            .body(manifest.bytes);
        unless_refused(self.transport.send(&request).await.map(drop))
    }

    async fn send_empty(&self, url: reqwest::Url, request: &super::transport::Request) -> Result<()> {
        let body = reqwest::Body::from(Vec::new());
        let answer = self.transport.send_body(url, request, 0, body, tokio::time::sleep(STALL)).await?;
        self.transport.accepted(answer, request, true).await.map(drop)
    }
}

/// Anything but a refusal for want of rights is what was to be expected.
fn unless_refused(result: Result<()>) -> Result<()> {
    match result {
        Err(Error::Registry { answer, .. }) if answer.status != 403 => Ok(()),
        result => result,
    }
}
