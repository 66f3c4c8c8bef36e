//! One repository: its manifests and blobs.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::TryStreamExt;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Response, StatusCode};

use super::call::Call;
use super::request::{Request, reported_digest};
use super::scope::Scope;
use super::transport::Transport;
use crate::error::{Error, Result};
use crate::image::{DOCKER_INDEX, DOCKER_MANIFEST, Digest, Manifest, OCI_INDEX, OCI_MANIFEST, Reference};
use crate::store::document::MAX_DOCUMENT;
use crate::store::http::{Patience, limited_bytes, refusal, watched};
use crate::store::stream::ByteStream;
use crate::store::verify::{Origin, verified};

/// One repository of a registry.
#[derive(Clone)]
pub(crate) struct Repository {
    pub(super) transport: Arc<Transport>,
    pub(super) name: Reference,
    scope: Scope,
}

impl Repository {
    pub(super) fn new(transport: Arc<Transport>, name: Reference, scope: Scope) -> Repository {
        Repository { transport, name, scope }
    }

    /// The manifest under a tag or digest, in the media type in which it is stored.
    pub(crate) async fn manifest(&self, target: &str) -> Result<Option<Manifest>> {
        let image = self.image_name(target);
        let request = self
            .request(
                Call::ReadManifest,
                format!("manifests/{target}"),
                format!("read the manifest of {image}"),
            )
            .header(ACCEPT, any_manifest());
        let mut retry = self.transport.retry(&request.patience);
        loop {
            // `send` retries the request; this loop retries reading the body.
            let response = self.transport.send(&request).await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            match read_manifest(response, &request, target).await {
                Err(error) => retry.after(error).await?,
                manifest => return manifest.map(Some),
            }
        }
    }

    /// Whether the repository has the blob.
    pub(crate) async fn has_blob(&self, digest: Digest) -> Result<bool> {
        Ok(self.find_blob(digest).await?.is_some())
    }

    /// The blob's size as the repository reports it: `None` without the blob, `Some(None)` without a size.
    async fn find_blob(&self, digest: Digest) -> Result<Option<Option<u64>>> {
        let operation = format!("look for blob {digest} in {}", self.name.repository_name());
        let request = self.request(Call::FindBlob, format!("blobs/{digest}"), operation);
        let response = self.transport.send(&request).await?;
        let size = response.headers().get(CONTENT_LENGTH).and_then(|size| size.to_str().ok()?.parse().ok());
        Ok(match response.status() {
            status if status.is_success() => Some(size),
            // A redirect means that the blob exists; its target does not matter here.
            status if status.is_redirection() => Some(None),
            _ => None,
        })
    }

    /// Whether the repository has the blob and does not report another size for it.
    pub(crate) async fn has_blob_of(&self, digest: Digest, size: u64) -> Result<bool> {
        Ok(self.find_blob(digest).await?.is_some_and(|found| found.is_none_or(|found| found == size)))
    }

    /// The blob's bytes, verified while they stream; `None` accepts any size.
    pub(crate) async fn blob(&self, digest: Digest, size: Option<u64>) -> Result<ByteStream> {
        let operation = format!("read blob {digest} of {}", self.name.repository_name());
        let request = self.request(Call::ReadBlob, format!("blobs/{digest}"), operation.clone());
        let response = self.transport.send(&request).await?;
        if response.status() != StatusCode::OK {
            return Err(refusal(response, request.operation).await);
        }
        let host = self.name.registry().to_owned();
        let what = format!("blob {digest} of {}", self.name.repository_name());
        Ok(verified(watched(response, operation, host), Origin::Remote(what), digest, size))
    }

    /// The complete bytes of a small blob, whatever size its descriptor gives.
    pub(crate) async fn small_blob(&self, digest: Digest) -> Result<Vec<u8>> {
        let too_large = || Error::Protocol {
            operation: format!("read blob {digest} of {}", self.name.repository_name()),
            host: self.name.registry().to_owned(),
            fault: "sent a config of over 4 MiB",
        };
        let mut retry = self.transport.retry(&Patience::default());
        loop {
            // `send` retries the request; this loop retries reading the body.
            let pieces = self.blob(digest, None).await?;
            let read = pieces.try_fold(Vec::new(), |mut bytes, piece| async move {
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > MAX_DOCUMENT { Err(too_large()) } else { Ok(bytes) }
            });
            match read.await {
                Err(error) => retry.after(error).await?,
                done => return done,
            }
        }
    }

    /// The tags among `tags` that are known to be immutable.
    pub(crate) async fn immutable_tags(&self, tags: &[String]) -> HashSet<String> {
        self.transport.immutable_tags(&self.name, tags).await
    }

    /// The registry and repository.
    pub(crate) fn name(&self) -> &Reference {
        &self.name
    }

    pub(super) fn image_name(&self, target: &str) -> String {
        let separator = if target.contains(':') { '@' } else { ':' };
        format!("{}{separator}{target}", self.name.repository_name())
    }

    pub(super) fn request(&self, call: Call, path: String, operation: String) -> Request {
        let path = format!("/v2/{}/{path}", self.name.repository());
        Request::new(call, self.name.registry(), path, self.scope.clone(), operation)
    }
}

/// The value of `Accept` for all four types, because ECR converts a manifest that is requested by tag if its type is not
/// accepted.
pub(super) fn any_manifest() -> String {
    [OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST].join(", ")
}

/// The manifest in a response, verified against the digest in the request, else against the one in the response.
async fn read_manifest(response: Response, request: &Request, target: &str) -> Result<Manifest> {
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default().to_owned();
    let expected = target.parse::<Digest>().ok().or_else(|| reported_digest(&response));
    let bytes = limited_bytes(response, &request.operation, &request.host, MAX_DOCUMENT as usize).await?;
    let manifest = Manifest::stored(media_type, bytes);
    let size = manifest.bytes.len() as u64;
    match expected {
        Some(expected) if expected != manifest.digest => Err(Error::Corrupt {
            what: format!("manifest {target}"),
            expected,
            size,
            got: manifest.digest,
            got_size: size,
        }),
        _ => Ok(manifest),
    }
}
