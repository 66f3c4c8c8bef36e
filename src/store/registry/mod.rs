//! Registries, over the [distribution protocol](https://github.com/opencontainers/distribution-spec/blob/main/spec.md).
//!
//! One pooled HTTP client, one memory of tokens, one rule for retries: every request of a run goes through
//! the same [`Registries`]. A [`Repository`] is the handle to one repository there.

mod addresses;
mod auth;
mod call;
mod probe;
mod transport;
mod upload;

pub(crate) use addresses::Addresses;
pub(crate) use upload::Upload;

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::TryStreamExt;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Response, StatusCode};

use self::auth::Scope;
use self::call::Call;
use self::transport::{Request, Transport};
use super::SMALL;
use super::credentials::Credentials;
use super::http::answer::refusal;
use super::http::{Retry, limited_bytes, watched};
use super::verify::{ByteStream, Origin, verified};
use crate::error::{Error, Result};
use crate::event::Events;
use crate::image::{DOCKER_INDEX, DOCKER_MANIFEST, Digest, Manifest, OCI_INDEX, OCI_MANIFEST, Reference};

/// All registries, reached through one client. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registries {
    transport: Arc<Transport>,
}

/// One repository of a registry.
#[derive(Clone)]
pub(crate) struct Repository {
    transport: Arc<Transport>,
    name: Reference,
    scope: Scope,
}

impl Registries {
    /// A client that asks `credentials`, first to last, when a registry wants to know who calls.
    pub(crate) fn new(
        credentials: Vec<Arc<dyn Credentials>>,
        addresses: Addresses,
        events: Events,
    ) -> Result<Registries> {
        Ok(Registries { transport: Arc::new(Transport::new(credentials, addresses, events)?) })
    }

    /// The repository of `name`, to read from.
    pub(crate) fn source(&self, name: &Reference) -> Repository {
        self.repository(name, Scope::pull(name.repository()))
    }

    /// The repository of `name`, to write to; blobs may be mounted from `mount_from`, another repository of
    /// the same registry.
    pub(crate) fn destination(&self, name: &Reference, mount_from: Option<&str>) -> Repository {
        self.repository(name, Scope::push(name.repository(), mount_from))
    }

    /// The attempts at something that goes through these registries.
    pub(crate) fn retry(&self) -> Retry {
        self.transport.retry()
    }

    fn repository(&self, name: &Reference, scope: Scope) -> Repository {
        Repository { transport: self.transport.clone(), name: name.clone(), scope }
    }
}

impl Repository {
    /// The manifest under a tag or digest, in whichever of the four types it is stored.
    ///
    /// All four are accepted: ECR converts a manifest asked for by tag when its own type is not among them.
    pub(crate) async fn manifest(&self, target: &str) -> Result<Option<Manifest>> {
        let accept = [OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST].join(", ");
        let image = self.image_name(target);
        let request = self
            .request(
                Call::ReadManifest,
                format!("manifests/{target}"),
                format!("read the manifest of {image}"),
            )
            .header(ACCEPT, accept);
        let mut retry = self.transport.retry();
        loop {
            // Asking is tried again by itself; here it is the reading.
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

    /// Puts `manifest` under a tag or its digest. A refusal is returned as it came, for the caller to mend.
    pub(crate) async fn put_manifest(&self, manifest: &Manifest, target: &str) -> Result<()> {
        let operation = format!("put the manifest of {}", self.image_name(target));
        let request = self
            .request(Call::PutManifest, format!("manifests/{target}"), operation)
            .header(CONTENT_TYPE, manifest.media_type.clone())
            .body(manifest.bytes.clone());
        let mut retry = self.transport.retry();
        loop {
            // The answer may lack a Location; nothing here needs one.
            match self.transport.send(&request).await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => return Err(refusal(response, request.operation).await),
                Err(error) if is_confused(&error) => retry.pause(error, None).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the repository has the blob.
    pub(crate) async fn has_blob(&self, digest: Digest) -> Result<bool> {
        Ok(self.find_blob(digest).await?.is_some())
    }

    /// The size that the repository says the blob has, if it has it and says so.
    async fn find_blob(&self, digest: Digest) -> Result<Option<Option<u64>>> {
        let operation = format!("look for blob {digest} in {}", self.name.repository_name());
        let request = self.request(Call::FindBlob, format!("blobs/{digest}"), operation);
        let response = self.transport.send(&request).await?;
        let size = response.headers().get(CONTENT_LENGTH).and_then(|size| size.to_str().ok()?.parse().ok());
        Ok(match response.status() {
            status if status.is_success() => Some(size),
            // The registry has spoken: where the bytes lie is no matter here.
            status if status.is_redirection() => Some(None),
            _ => None,
        })
    }

    /// Whether the repository has the blob, and nothing that it says of its size is otherwise.
    pub(crate) async fn has_blob_of(&self, digest: Digest, size: u64) -> Result<bool> {
        Ok(self.find_blob(digest).await?.is_some_and(|found| found.is_none_or(|found| found == size)))
    }

    /// The blob's bytes, checked as they come.
    pub(crate) async fn blob(&self, digest: Digest, size: u64) -> Result<ByteStream> {
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

    /// A small blob's bytes, read whole.
    pub(crate) async fn small_blob(&self, digest: Digest, size: u64) -> Result<Vec<u8>> {
        if size > SMALL {
            return Err(Error::Protocol {
                operation: format!("read blob {digest} of {}", self.name.repository_name()),
                host: self.name.registry().to_owned(),
                fault: "names a config of over 4 MiB",
            });
        }
        let mut retry = self.transport.retry();
        loop {
            // Asking is tried again by itself; here it is the reading.
            let pieces = self.blob(digest, size).await?;
            let read = pieces.try_fold(Vec::new(), |mut bytes, piece| async move {
                bytes.extend_from_slice(&piece);
                Ok(bytes)
            });
            match read.await {
                Err(error) => retry.after(error).await?,
                done => return done,
            }
        }
    }

    /// Which of the tags can move no more, as far as it can be known.
    pub(crate) async fn immutable_tags(&self, tags: &[String]) -> HashSet<String> {
        self.transport.immutable_tags(&self.name, tags).await
    }

    /// The registry and repository.
    pub(crate) fn name(&self) -> &Reference {
        &self.name
    }

    fn image_name(&self, target: &str) -> String {
        let separator = if target.contains(':') { '@' } else { ':' };
        format!("{}{separator}{target}", self.name.repository_name())
    }

    fn request(&self, call: Call, path: String, operation: String) -> Request {
        let path = format!("/v2/{}/{path}", self.name.repository());
        Request::new(call, self.name.registry(), path, self.scope.clone(), operation)
    }
}

/// Whether a registry says of a manifest that its digest is wrong, which it is not: docker-registry does when another
/// push of the same image is just writing what it reads.
fn is_confused(error: &Error) -> bool {
    matches!(error, Error::Registry { answer, .. } if answer.code.as_deref() == Some("DIGEST_INVALID"))
}

/// The manifest of an answer, checked when it was asked for by digest.
async fn read_manifest(response: Response, request: &Request, target: &str) -> Result<Manifest> {
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default().to_owned();
    let bytes = limited_bytes(response, &request.operation, &request.host, SMALL as usize).await?;
    let manifest = Manifest::stored(media_type, bytes);
    let size = manifest.bytes.len() as u64;
    match target.parse::<Digest>() {
        Ok(expected) if expected != manifest.digest => Err(Error::Corrupt {
            what: format!("manifest {target}"),
            expected,
            size,
            got: manifest.digest,
            got_size: size,
        }),
        _ => Ok(manifest),
    }
}
