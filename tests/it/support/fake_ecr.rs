//! An in-memory registry that can imitate ECR where ECR differs from other registries.
//!
//! Always: a manifest PUT is checked (media type, `mediaType`, digest, every blob and its size), a blob PUT is
//! checked (Content-Length, digest), and an upload session accepts one PUT, whether it succeeds or fails.
#![allow(dead_code, unused_imports, reason = "each test needs another part")]

mod auth;
mod call;
mod log;
mod manifests;
mod refusals;
#[cfg(test)]
mod tests;
mod uploads;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::header;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::proxy::listen::{Body, Connection, ConnectionClosed, Listener, chunked, full};
use auth::AuthState;
pub use auth::{Auth, ExpiredAnswer, Expiry, ExpiryTrigger};
use call::{Call, Route, query_of};
pub use log::{Log, Logged};
pub use refusals::{CALLER, Refusal, RefusalAnswer};
use uploads::Session;

/// The default follows the specification, needs no login, and creates repositories on push.
#[derive(Clone, Debug, Default)]
pub struct EcrBehaviour {
    pub auth: Auth,
    /// When the credential expires.
    pub expires: Option<Expiry>,
    /// The answer for a repository that does not exist.
    pub missing_repository: MissingRepository,
    /// A tag that exists cannot be put again, not even with the same digest.
    pub immutable_tags: bool,
    /// The answer to a manifest PUT has no `Location`.
    pub no_manifest_location: bool,
    /// PATCH answers 201, its `Range` stays at the end of the first part, and a part below 5 MiB must be the last.
    pub ecr_patch: bool,
    /// `Location` headers are paths, not URLs.
    pub relative_location: bool,
    /// Bodies of answers have no `Content-Length`, but are chunked.
    pub chunked: bool,
    /// A POST or PUT without `Content-Length` is refused with 411, as by Google's registries.
    pub needs_length: bool,
    /// A mount opens an upload (202) instead.
    pub refuse_mount: bool,
    /// The next blob PUTs, as many as this, are read completely and answered with 500; their sessions are closed.
    pub fail_blob_puts: u64,
    /// These blobs vanish when the first manifest that names them arrives (refused with MANIFEST_BLOB_UNKNOWN), while
    /// HEAD still finds them. After another upload they stay.
    pub loses: Vec<String>,
    /// The host to which GETs of blobs are redirected.
    pub blobs_at: Option<String>,
    /// Calls that are refused for every user.
    pub refusals: Vec<Refusal>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum MissingRepository {
    #[default]
    Created,
    /// 404 with ECR's message.
    NameUnknown,
    /// Like [`NameUnknown`](Self::NameUnknown), but starting an upload ends the connection
    /// (aws/containers-roadmap#1970).
    Reset,
}

/// Stops when dropped.
pub struct FakeEcr {
    listener: Listener,
    state: Arc<Mutex<State>>,
}

impl FakeEcr {
    pub fn start(behaviour: EcrBehaviour) -> FakeEcr {
        let state = Arc::new(Mutex::new(State { behaviour, ..State::default() }));
        let handler = state.clone();
        let listener =
            Listener::start(move |request, connection| handle(handler.clone(), request, connection));
        FakeEcr { listener, state }
    }

    pub fn addr(&self) -> SocketAddr {
        self.listener.addr()
    }

    /// `127.0.0.1:PORT`, for image references.
    pub fn host(&self) -> String {
        self.addr().to_string()
    }

    /// Changes the settings from the next request on.
    pub fn change(&self, change: impl FnOnce(&mut EcrBehaviour)) {
        change(&mut self.state().behaviour);
    }

    pub fn create_repository(&self, repository: &str) {
        self.state().repositories.entry(repository.to_owned()).or_default();
    }

    /// Stores a blob. Also creates the repository.
    pub fn seed_blob(&self, repository: &str, content: impl Into<Bytes>) -> String {
        let content = content.into();
        let digest = digest(&content);
        self.state().repository(repository).blobs.insert(digest.clone(), content);
        digest
    }

    /// Stores a manifest unchecked under its digest, and under `tag` if given. Also creates the repository.
    pub fn seed_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        content: impl Into<Bytes>,
    ) -> String {
        let manifest = Manifest { media_type: media_type.to_owned(), content: content.into() };
        self.state().repository(repository).store(manifest, tag)
    }

    pub fn blob(&self, repository: &str, digest: &str) -> Option<Bytes> {
        self.state().repositories.get(repository)?.blobs.get(digest).cloned()
    }

    /// Finds a manifest by tag or digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Manifest> {
        self.state().repositories.get(repository)?.manifest(reference).cloned()
    }

    /// The digests by tag.
    pub fn tags(&self, repository: &str) -> BTreeMap<String, String> {
        self.state().repositories.get(repository).map(|found| found.tags.clone()).unwrap_or_default()
    }

    /// Requests in order of arrival.
    pub fn log(&self) -> Log {
        Log(self.state().log.clone())
    }

    pub fn clear_log(&self) {
        self.state().log.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[derive(Default)]
struct State {
    behaviour: EcrBehaviour,
    repositories: BTreeMap<String, Repository>,
    sessions: BTreeMap<String, Session>,
    uploads_started: u64,
    auth: AuthState,
    log: Vec<Logged>,
    arrivals: u64,
}

#[derive(Default)]
struct Repository {
    blobs: BTreeMap<String, Bytes>,
    manifests: BTreeMap<String, Manifest>,
    tags: BTreeMap<String, String>,
    /// The sizes, by digest, of blobs that are deleted but still found by HEAD.
    lost: BTreeMap<String, usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub media_type: String,
    pub content: Bytes,
}

enum Reply {
    Answer(Box<Response<Bytes>>),
    Reset,
}

impl State {
    fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    fn answer(&mut self, call: &Call) -> Reply {
        let Some(route) = Route::of(call.head.uri.path()) else {
            return error(StatusCode::NOT_FOUND, "NOT_FOUND", "no such path", json!(null));
        };
        let sends = matches!(call.head.method, Method::POST | Method::PUT);
        if sends && self.behaviour.needs_length && call.header(header::CONTENT_LENGTH).is_none() {
            return answer(StatusCode::LENGTH_REQUIRED, &[], "<html>411 (Length Required)</html>");
        }
        if let Route::Token = route {
            return self.refused(call, &route).unwrap_or_else(|| self.issue_token(call));
        }
        if let Err(refusal) = self.authorize(call, route.repository()) {
            self.close_session(call, &route);
            return refusal;
        }
        if let Some(refusal) = self.missing(&route).or_else(|| self.refused(call, &route)) {
            self.close_session(call, &route);
            self.age(call, &refusal);
            return refusal;
        }
        let reply = self.serve(call, route);
        self.age(call, &reply);
        reply
    }

    fn missing(&self, route: &Route) -> Option<Reply> {
        let repository = route.repository()?;
        if self.behaviour.missing_repository == MissingRepository::Created
            || self.repositories.contains_key(repository)
        {
            return None;
        }
        if self.behaviour.missing_repository == MissingRepository::Reset
            && matches!(route, Route::Uploads { .. })
        {
            return Some(Reply::Reset);
        }
        let message = format!(
            "The repository with name '{repository}' does not exist in the registry with id '123456789012'"
        );
        Some(error(StatusCode::NOT_FOUND, "NAME_UNKNOWN", &message, json!(null)))
    }

    fn serve(&mut self, call: &Call, route: Route) -> Reply {
        match (call.head.method.as_str(), route) {
            ("GET" | "HEAD", Route::Ping) => json_answer(json!({})),
            ("GET", Route::Tags { repository }) => {
                let tags: Vec<_> = self.repository(&repository).tags.keys().cloned().collect();
                json_answer(json!({ "name": repository, "tags": tags }))
            }
            ("GET" | "HEAD", Route::Manifest { repository, reference }) => {
                self.get_manifest(call, &repository, &reference)
            }
            ("PUT", Route::Manifest { repository, reference }) => {
                self.put_manifest(call, &repository, &reference)
            }
            ("GET" | "HEAD", Route::Blob { repository, digest }) => self.get_blob(call, &repository, &digest),
            ("POST", Route::Uploads { repository }) => self.start_upload(call, &repository),
            ("PATCH", Route::Upload { repository, id }) => self.patch_upload(call, &repository, &id),
            ("PUT", Route::Upload { repository, id }) => self.finish_upload(call, &repository, &id),
            _ => error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "not here", json!(null)),
        }
    }

    fn get_blob(&mut self, call: &Call, repository: &str, digest: &str) -> Reply {
        if let Some(host) = self.behaviour.blobs_at.as_ref().filter(|_| call.head.method == Method::GET) {
            let location = format!("http://{host}/v2/{repository}/blobs/{digest}");
            return answer(StatusCode::TEMPORARY_REDIRECT, &[("location", &location)], "");
        }
        let found = self.repositories.get(repository);
        let lost = found.and_then(|found| found.lost.get(digest));
        let content = match (found.and_then(|found| found.blobs.get(digest)), lost) {
            (Some(content), _) => content.clone(),
            // Content-Length of the answer to a HEAD is that of the omitted body.
            (None, Some(&size)) if call.head.method == Method::HEAD => vec![0; size].into(),
            _ => {
                return error(
                    StatusCode::NOT_FOUND,
                    "BLOB_UNKNOWN",
                    "blob unknown",
                    json!({ "digest": digest }),
                );
            }
        };
        let headers = [("content-type", "application/octet-stream"), ("docker-content-digest", digest)];
        answer(StatusCode::OK, &headers, content)
    }

    /// `path` as this registry writes it into `Location`.
    fn location(&self, call: &Call, path: String) -> String {
        match call.header(header::HOST) {
            Some(host) if !self.behaviour.relative_location => format!("http://{host}{path}"),
            _ => path,
        }
    }
}

async fn handle(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
    connection: Connection,
) -> Result<Response<Body>, ConnectionClosed> {
    let entry = lock(&state).log_arrival(&request);
    let (head, body) = request.into_parts();
    let body = body.collect().await.ok().map(|body| body.to_bytes());
    let query = query_of(head.uri.query().unwrap_or_default());
    let call = Call { head, query, body };
    let mut state = lock(&state);
    let reply = state.answer(&call);
    match (reply, call.body) {
        (Reply::Answer(response), Some(body)) => {
            state.log_answer(entry, response.status(), body.len());
            Ok((*response).map(if state.behaviour.chunked { chunked } else { full }))
        }
        _ => Err(connection.reset()),
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub fn digest(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn answer(status: StatusCode, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    for &(name, value) in headers {
        let name = header::HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        response.headers_mut().append(name, value.parse().expect("a header value"));
    }
    Reply::Answer(Box::new(response))
}

fn json_answer(body: serde_json::Value) -> Reply {
    answer(StatusCode::OK, &[("content-type", "application/json")], body.to_string())
}

/// An error in the distribution specification's form.
fn error(status: StatusCode, code: &str, message: &str, detail: serde_json::Value) -> Reply {
    let body = json!({ "errors": [{ "code": code, "message": message, "detail": detail }] });
    answer(status, &[("content-type", "application/json; charset=utf-8")], body.to_string())
}
