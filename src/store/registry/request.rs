//! A request to a registry, and the registry's answer.

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::call::Call;
use super::scope::Scope;
use crate::error::{Permission, Refusal};
use crate::image::{Digest, EcrHost};
use crate::store::http::Patience;

/// A request that can be sent again.
pub(super) struct Request {
    pub(super) call: Call,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) scope: Scope,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    /// The purpose for messages, as in "cannot {operation}".
    pub(super) operation: String,
    /// The time that this request and its repetitions may wait in vain.
    pub(super) patience: Patience,
}

/// A registry's answer, and the grant that the request had.
pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) grant: Option<HeaderValue>,
}

/// The header with the digest of the bytes that the registry has:
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>. Distribution and what is
/// made of it, ECR, GHCR, Quay, Artifact Registry and zot send it; old versions of Nexus and Artifactory do not always.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// The digest that the registry reports in its response.
pub(super) fn reported_digest(response: &Response) -> Option<Digest> {
    response.headers().get(CONTENT_DIGEST)?.to_str().ok()?.trim().parse().ok()
}

impl Request {
    pub(super) fn new(call: Call, host: &str, path: String, scope: Scope, operation: String) -> Request {
        let (host, headers, patience) = (host.to_owned(), HeaderMap::new(), Patience::default());
        Request { call, host, path, scope, headers, body: None, operation, patience }
    }

    /// Makes the request a part of an operation of several requests.
    pub(super) fn within(mut self, patience: &Patience) -> Request {
        self.patience = patience.clone();
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: String) -> Request {
        if let Ok(value) = HeaderValue::from_str(&value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(super) fn body(mut self, bytes: Vec<u8>) -> Request {
        self.body = Some(bytes.into());
        self
    }

    /// The permission that the caller lacks if ECR refuses: from ECR's message, else the permission of the call.
    pub(super) fn missing_permission(&self, refusal: &Refusal) -> Option<Permission> {
        let host = EcrHost::parse(&self.host).filter(|_| refusal.status == 403)?;
        let repository = self.path.strip_prefix("/v2/")?;
        let end = [repository.find("/manifests/"), repository.find("/blobs/")].into_iter().flatten().min()?;
        Some(Permission::in_message(&refusal.message).unwrap_or_else(|| Permission {
            action: self.call.ecr_action().to_owned(),
            resource: host.repository_arn(&repository[..end]),
            denied: false,
        }))
    }
}
