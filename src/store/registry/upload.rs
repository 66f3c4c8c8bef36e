//! Upload of a blob: one session with one PUT of the complete blob; a new session after any failure.
//!
//! PATCH is not used: ECR requires pieces of 5 MiB, and its answers deviate from the specification. A session is never
//! resumed: registries differ in the bytes of an interrupted PUT that they keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::LOCATION;
use reqwest::{StatusCode, Url};

use super::call::Call;
use super::repository::Repository;
use super::request::{Answer, Request};
use crate::error::{Error, Permission, Result};
use crate::event::Outcome;
use crate::image::{Digest, EcrHost};
use crate::store::http::{STALL, refusal, retry_after};
use crate::store::lock::lock;
use crate::store::stream::ByteStream;

/// The additional time that a registry has to store a blob after its last byte.
const COMMIT: Duration = Duration::from_secs(300);

/// A blob to be uploaded to a repository.
pub(crate) struct Upload<'a> {
    /// The blob's digest.
    pub(crate) digest: Digest,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Another repository of the same registry that has the blob.
    pub(crate) mount_from: Option<&'a str>,
    /// Called with the number of bytes sent; 0 when the upload starts again.
    pub(crate) progress: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Repository {
    /// Uploads a blob. Each attempt reads its bytes from `open`.
    pub(crate) async fn put_blob<F>(&self, upload: &Upload<'_>, open: impl Fn() -> F) -> Result<Outcome>
    where
        F: Future<Output = Result<ByteStream>>,
    {
        let slots = self.transport.upload_slots(self.name.registry());
        let _place = slots.acquire().await.map_err(|_| Error::Interrupted)?;
        let mut retry = self.transport.retry();
        let mut renewed = false;
        loop {
            let Some(session) = self.open_session(upload).await? else { return Ok(Outcome::Mounted) };
            let operation = format!("send blob {} to {}", upload.digest, self.name.repository_name());
            let request = self.request(Call::SendBlob, format!("blobs/{}", upload.digest), operation);
            let sent = self.send_body(session, &request, upload, open().await?).await;
            let accepted = match sent {
                Ok(answer) => self.transport.accepted(answer, &request, renewed).await,
                Err(error) => Err(error),
            };
            match accepted {
                Ok(Some(response)) if response.status().is_success() => return Ok(Outcome::Sent),
                Ok(Some(response)) => {
                    let asked = retry_after(&response);
                    let error = refusal(response, request.operation).await;
                    retry.pause(error, asked).await?;
                }
                // The token expired during the upload, and has been renewed.
                Ok(None) => renewed = true,
                Err(error) if session_lost(&error) => retry.pause(error, None).await?,
                Err(error) => retry.after(error).await?,
            }
        }
    }

    /// The URL of a new session, or `None` if the registry mounted the blob instead.
    pub(super) async fn open_session(&self, upload: &Upload<'_>) -> Result<Option<Url>> {
        let operation = format!("start the upload of {} to {}", upload.digest, self.name.repository_name());
        let query = match upload.mount_from {
            Some(from) => format!("?mount={}&from={from}", upload.digest),
            None => String::new(),
        };
        let request = self.request(Call::StartUpload, format!("blobs/uploads/{query}"), operation);
        let response = match self.transport.send(&request).await {
            Err(error @ Error::Connection { .. }) => return Err(self.why_no_answer(error).await),
            response => response?,
        };
        match response.status() {
            StatusCode::CREATED if upload.mount_from.is_some() => Ok(None),
            // A registry that refuses the mount opens a session instead.
            StatusCode::ACCEPTED | StatusCode::CREATED => {
                let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
                // The location may be relative, and may have a query.
                let url = location.and_then(|location| response.url().join(location).ok());
                let url = url.map(|url| self.transport.addresses.reached(url, self.name.registry()));
                let fail = |fault| {
                    let (operation, host) = (request.operation.clone(), request.host.clone());
                    Error::Protocol { operation, host, fault }
                };
                let mut url = url.ok_or_else(|| fail("sent no URL for the upload"))?;
                // A layer must not be sent over plain HTTP if the registry used HTTPS.
                if response.url().scheme() == "https" && url.scheme() != "https" {
                    return Err(fail("sent an upload URL on plain HTTP"));
                }
                url.query_pairs_mut().append_pair("digest", &upload.digest.to_string());
                Ok(Some(url))
            }
            _ => Err(refusal(response, request.operation).await),
        }
    }

    /// ECR may close the connection instead of sending an error, if the repository does not exist or the caller may not
    /// push: <https://github.com/aws/containers-roadmap/issues/1970>. Another request returns the error.
    async fn why_no_answer(&self, error: Error) -> Error {
        let operation = format!("push to {}", self.name.repository_name());
        let request = self.request(Call::ReadManifest, "manifests/latest".to_owned(), operation);
        let asked = match self.transport.send(&request).await {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => {
                refusal(response, request.operation).await
            }
            Ok(_) => return self.hung_up(error),
            Err(asked) => asked,
        };
        match &asked {
            Error::Registry { answer, .. } if answer.code.as_deref() == Some("NAME_UNKNOWN") => asked,
            Error::Registry { answer, .. } if answer.missing.is_some() => asked,
            Error::Registry { .. } => self.hung_up(error),
            _ => error,
        }
    }

    /// The error for a connection that was closed although the repository exists: on ECR, a permission is missing.
    fn hung_up(&self, error: Error) -> Error {
        match (EcrHost::parse(self.name.registry()), error) {
            (Some(ecr), Error::Connection { operation, host, source }) => {
                let action = Call::StartUpload.ecr_action().to_owned();
                let resource = ecr.repository_arn(self.name.repository());
                let missing = Box::new(Permission { action, resource, denied: false });
                Error::ConnectionClosed { operation, host, missing, source }
            }
            (_, error) => error,
        }
    }

    async fn send_body(
        &self,
        url: Url,
        request: &Request,
        upload: &Upload<'_>,
        bytes: ByteStream,
    ) -> Result<Answer> {
        let sent = Arc::new(AtomicU64::new(0));
        let progress = upload.progress.clone();
        progress(0);
        let failure = Arc::new(std::sync::Mutex::new(None));
        let (counter, broken) = (sent.clone(), failure.clone());
        let body = bytes
            .inspect_ok(move |piece| {
                let before = counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
                progress(before + piece.len() as u64);
            })
            .map(move |piece| {
                piece.map_err(|error| {
                    let text = error.to_string();
                    *lock(&broken) = Some(error);
                    std::io::Error::other(text)
                })
            });
        let body = reqwest::Body::wrap_stream(body);
        let watch = watchdog(sent, upload.size);
        let answer = self.transport.send_body(url, request, upload.size, body, watch).await;
        // If reading the bytes failed, this is the cause of the broken connection.
        match lock(&failure).take() {
            Some(cause) => Err(cause),
            None => answer,
        }
    }
}

/// Ends when the registry has accepted no data for [`STALL`], or for [`COMMIT`] longer after the last byte.
async fn watchdog(sent: Arc<AtomicU64>, size: u64) {
    let mut before = 0;
    loop {
        tokio::time::sleep(STALL).await;
        let now = sent.load(Ordering::Relaxed);
        if now == before {
            break;
        }
        before = now;
    }
    if before == size {
        tokio::time::sleep(COMMIT).await;
    }
}

/// Whether the registry lost the session or part of its data; a new session succeeds then.
fn session_lost(error: &Error) -> bool {
    let Error::Registry { answer, .. } = error else { return false };
    matches!(answer.code.as_deref(), Some("BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID"))
        || answer.status == 416
}
