//! Upload of a blob: one session with one PUT of the complete blob; a new session after any failure.
//!
//! PATCH is not used: ECR requires pieces of 5 MiB, and its answers deviate from the specification. A session is never
//! resumed: registries differ in the bytes of an interrupted PUT that they keep.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::header::{CONTENT_LENGTH, LOCATION};
use reqwest::{Response, StatusCode, Url};

use super::call::Call;
use super::progress::{Progress, watchdog};
use super::repository::Repository;
use super::request::{Answer, Request, reported_digest};
use crate::error::{Error, Permission, Result};
use crate::event::Outcome;
use crate::image::{Digest, EcrHost};
use crate::store::http::{Patience, refusal, retry_after};
use crate::store::lock::lock;
use crate::store::stream::ByteStream;

/// The HTTP client takes the steps of a body as they come and writes up to 16 of them before it takes the next. So few
/// bytes are on their way that a slow connection takes some in every [`STALL`](crate::store::http::STALL).
const STEP: usize = 4 << 10;

/// A blob to be uploaded to a repository.
pub(crate) struct Upload<'a> {
    /// The blob's digest.
    pub(crate) digest: Digest,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Another repository of the same registry that has the blob.
    pub(crate) mount_from: Option<&'a str>,
    /// Whether the repository is known not to have the blob.
    pub(crate) asked: bool,
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
        let patience = Patience::default();
        let mut retry = self.transport.retry(&patience);
        let (mut renewed, mut asked) = (false, upload.asked);
        loop {
            let session = self.open_session(upload, &patience).await?;
            let Some(session) = session else { return Ok(Outcome::Mounted) };
            // The registry does not mount, so the repository may have the blob. The session it opened then ends unused.
            if !asked && self.has_blob(upload.digest).await? {
                return Ok(Outcome::Existed);
            }
            asked = true;
            let operation = format!("send blob {} to {}", upload.digest, self.name.repository_name());
            let request = self.request(Call::SendBlob, format!("blobs/{}", upload.digest), operation);
            let request = request.within(&patience);
            let sent = self.send_body(session, &request, upload, open().await?).await;
            let accepted = match sent {
                Ok(answer) => self.transport.accepted(answer, &request, renewed).await,
                Err(error) => Err(error),
            };
            match accepted {
                Ok(Some(response)) if response.status().is_success() => match reported_digest(&response) {
                    Some(got) if got != upload.digest => {
                        let what = format!("blob {} in {}", upload.digest, self.name.repository_name());
                        let (expected, got) = (upload.digest, Some(got));
                        retry.after(Error::Stored { what, expected, got }).await?;
                    }
                    _ => return Ok(Outcome::Sent),
                },
                Ok(Some(response)) => {
                    let asked = retry_after(&response);
                    let error = refusal(response, request.operation).await;
                    retry.pause(error, asked).await?;
                }
                // The token expired during the upload, and has been renewed.
                Ok(None) => renewed = true,
                Err(error) if is_lost_or_damaged(&error) => retry.pause(error, None).await?,
                Err(error) => retry.after(error).await?,
            }
        }
    }

    /// The URL of a new session, or `None` if the registry mounted the blob instead.
    pub(super) async fn open_session(&self, upload: &Upload<'_>, patience: &Patience) -> Result<Option<Url>> {
        let operation = format!("start the upload of {} to {}", upload.digest, self.name.repository_name());
        let query = match upload.mount_from {
            Some(from) => format!("?mount={}&from={from}", upload.digest),
            None => String::new(),
        };
        // Some registries and proxies refuse a POST without a length (411).
        let request = self
            .request(Call::StartUpload, format!("blobs/uploads/{query}"), operation)
            .header(CONTENT_LENGTH, "0".to_owned())
            .within(patience);
        let response = match self.transport.send(&request).await {
            Err(error @ Error::Connection { .. }) => self.after_no_answer(&request, error).await?,
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

    /// Sends the request once more after its last attempt failed with `error`.
    ///
    /// ECR may close the connection instead of sending an error, if the repository does not exist or the caller may not
    /// push: <https://github.com/aws/containers-roadmap/issues/1970>. Another request returns the error. If it finds the
    /// repository, the connection works again; only a registry that then closes it for this request means to refuse it.
    async fn after_no_answer(&self, request: &Request, error: Error) -> Result<Response> {
        let operation = format!("push to {}", self.name.repository_name());
        let probe = self.request(Call::ReadManifest, "manifests/latest".to_owned(), operation);
        let asked = match self.transport.send(&probe).await {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => {
                Some(refusal(response, probe.operation).await)
            }
            Ok(_) => None,
            Err(asked) => Some(asked),
        };
        match asked {
            Some(Error::Registry { answer, operation })
                if answer.code.as_deref() == Some("NAME_UNKNOWN") || answer.missing.is_some() =>
            {
                Err(Error::Registry { answer, operation })
            }
            None | Some(Error::Registry { .. }) => {
                self.transport.send_once(request).await.map_err(|error| self.hung_up(error))
            }
            Some(_) => Err(error),
        }
    }

    /// The error for a connection that was closed although the repository exists: on ECR, a permission is missing.
    fn hung_up(&self, error: Error) -> Error {
        let ecr = EcrHost::parse(self.name.registry()).filter(|_| was_closed(&error));
        match (ecr, error) {
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
        let (sent, size) = (Arc::new(Progress::default()), upload.size);
        let progress = upload.progress.clone();
        progress(0);
        let failure = Arc::new(std::sync::Mutex::new(None));
        let (counter, broken) = (sent.clone(), failure.clone());
        let mut read = 0;
        let body = bytes
            .inspect_ok(move |piece| {
                read += piece.len() as u64;
                progress(read);
            })
            .map(move |piece| {
                piece.map_err(|error| {
                    let text = error.to_string();
                    *lock(&broken) = Some(error);
                    std::io::Error::other(text)
                })
            })
            .map_ok(|piece| stream::iter(steps(piece).map(Ok::<_, std::io::Error>)))
            .try_flatten()
            .inspect_ok(move |step| {
                counter.add(step.len(), size);
            });
        let body = reqwest::Body::wrap_stream(body);
        let watch = watchdog(sent, size);
        let answer = self.transport.send_body(url, request, upload.size, body, watch).await;
        // If reading the bytes failed, this is the cause of the broken connection.
        match lock(&failure).take() {
            Some(cause) => Err(cause),
            None => answer,
        }
    }
}

/// Cuts a piece into steps.
fn steps(mut piece: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!piece.is_empty()).then(|| piece.split_to(STEP.min(piece.len()))))
}

/// Whether the registry lost the session or part of its data, or the data were damaged on the way; a new session
/// succeeds then.
fn is_lost_or_damaged(error: &Error) -> bool {
    let Error::Registry { answer, .. } = error else { return false };
    let code = answer.code.as_deref();
    matches!(code, Some("BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID" | "DIGEST_INVALID" | "SIZE_INVALID"))
        || answer.status == 416
}

/// Whether the registry closed the connection, rather than being out of reach.
fn was_closed(error: &Error) -> bool {
    let text = error.with_causes();
    ["connection reset", "connection closed", "broken pipe", "unexpected eof", "close_notify"]
        .iter()
        .any(|closed| text.to_ascii_lowercase().contains(closed))
}
