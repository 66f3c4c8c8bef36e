//! Upload sessions: one PUT each, and ECR's PATCH.

use hyper::{Method, StatusCode, header};
use serde_json::json;

use super::{Call, Reply, Route, State, answer, digest, error};

/// ECR's minimum size of a part that is not the last.
const MIN_PART_SIZE: usize = 5 << 20;

#[derive(Default)]
pub struct Session {
    repository: String,
    content: Vec<u8>,
    first_part: Option<usize>,
    last_part: Option<usize>,
    /// Set after a PUT or an interrupted PATCH: the bytes stay counted, and the session accepts no more.
    closed: bool,
}

impl State {
    pub(super) fn start_upload(&mut self, call: &Call, repository: &str) -> Reply {
        self.repository(repository);
        if let Some(location) = self.mount(call, repository) {
            let location = self.location(call, location);
            return answer(StatusCode::CREATED, &[("location", &location)], "");
        }
        self.uploads_started += 1;
        let id = format!("upload-{}", self.uploads_started);
        self.sessions.insert(id.clone(), Session { repository: repository.to_owned(), ..Session::default() });
        let location = self.location(call, format!("/v2/{repository}/blobs/uploads/{id}"));
        let headers =
            [("location", location.as_str()), ("range", "0-0"), ("docker-upload-uuid", id.as_str())];
        answer(StatusCode::ACCEPTED, &headers, "")
    }

    /// Mounts the requested blob, if possible; returns its path.
    fn mount(&mut self, call: &Call, repository: &str) -> Option<String> {
        let (wanted, from) = (call.query("mount")?, call.query("from")?);
        if self.behaviour.refuse_mount || !self.may_pull(call, from) {
            return None;
        }
        let content = self.repositories.get(from)?.blobs.get(wanted)?.clone();
        self.repository(repository).blobs.insert(wanted.to_owned(), content);
        Some(format!("/v2/{repository}/blobs/{wanted}"))
    }

    pub(super) fn patch_upload(&mut self, call: &Call, repository: &str, id: &str) -> Reply {
        let ecr = self.behaviour.ecr_patch;
        let location = self.location(call, format!("/v2/{repository}/blobs/uploads/{id}"));
        let session = match self.session(repository, id) {
            Ok(session) => session,
            Err(refusal) => return refusal,
        };
        let Some(body) = &call.body else {
            session.closed = true;
            return Reply::Reset;
        };
        if let Err(refusal) = session.fits(call, ecr) {
            return refusal;
        }
        session.content.extend_from_slice(body);
        session.first_part.get_or_insert(body.len());
        session.last_part = Some(body.len());
        let end = if ecr { session.first_part.unwrap_or_default() } else { session.content.len() };
        let range = format!("0-{}", end.saturating_sub(1));
        let status = if ecr { StatusCode::CREATED } else { StatusCode::ACCEPTED };
        answer(status, &[("location", &location), ("range", &range), ("docker-upload-uuid", id)], "")
    }

    pub(super) fn finish_upload(&mut self, call: &Call, repository: &str, id: &str) -> Reply {
        let (ecr, failing) = (self.behaviour.ecr_patch, self.behaviour.fail_blob_puts > 0);
        let session = match self.session(repository, id) {
            Ok(session) => session,
            Err(refusal) => return refusal,
        };
        if let Some(body) = call.body.as_ref().filter(|body| !body.is_empty()) {
            if let Err(refusal) = session.fits(call, ecr) {
                return refusal;
            }
            session.content.extend_from_slice(body);
        }
        session.closed = true;
        if call.body.is_none() {
            return Reply::Reset;
        }
        if failing {
            self.behaviour.fail_blob_puts -= 1;
            return error(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "Internal error", json!(null));
        }
        if let Err(refusal) = session.verify(call, id) {
            return refusal;
        }
        let content = std::mem::take(&mut session.content);
        self.sessions.remove(id);
        let stored = digest(&content);
        let found = self.repository(repository);
        found.lost.remove(&stored);
        found.blobs.insert(stored.clone(), content.into());
        let location = self.location(call, format!("/v2/{repository}/blobs/{stored}"));
        answer(StatusCode::CREATED, &[("location", &location), ("docker-content-digest", &stored)], "")
    }

    /// Closes the session of a PUT that was refused before it reached the session.
    pub(super) fn close_session(&mut self, call: &Call, route: &Route) {
        if let Route::Upload { id, .. } = route
            && call.head.method == Method::PUT
            && let Some(session) = self.sessions.get_mut(id)
        {
            session.content.extend_from_slice(call.body.as_deref().unwrap_or_default());
            session.closed = true;
        }
    }

    fn session(&mut self, repository: &str, id: &str) -> Result<&mut Session, Reply> {
        let session = self.sessions.get_mut(id).filter(|session| session.repository == repository);
        let Some(session) = session else {
            return Err(error(
                StatusCode::NOT_FOUND,
                "BLOB_UPLOAD_UNKNOWN",
                "blob upload unknown",
                json!(null),
            ));
        };
        if session.closed {
            let message = format!("First byte of the layer part is 0 instead of {}", session.content.len());
            return Err(invalid(StatusCode::RANGE_NOT_SATISFIABLE, &message));
        }
        Ok(session)
    }
}

impl Session {
    /// Fails unless the part in this request continues the session.
    fn fits(&self, call: &Call, ecr: bool) -> Result<(), Reply> {
        let have = self.content.len();
        let range = call.header(header::CONTENT_RANGE).and_then(|range| range.split_once('-'));
        let starts = range.map_or(Some(have), |(start, _)| start.parse().ok());
        if starts != Some(have) {
            let given = starts.map_or("unknown".to_owned(), |start| start.to_string());
            let message = format!("First byte of the layer part is {given} instead of {have}");
            return Err(invalid(StatusCode::RANGE_NOT_SATISFIABLE, &message));
        }
        if ecr && self.last_part.is_some_and(|size| size < MIN_PART_SIZE) {
            return Err(invalid(
                StatusCode::BAD_REQUEST,
                "Layer part is below the least size of 5242880 bytes",
            ));
        }
        Ok(())
    }

    fn verify(&self, call: &Call, id: &str) -> Result<(), Reply> {
        if call.header(header::TRANSFER_ENCODING).is_some() {
            return Err(invalid(StatusCode::LENGTH_REQUIRED, "Content-Length is required"));
        }
        if self.content.is_empty() {
            let message =
                format!("The upload with id '{id}' cannot be completed because it does not have any parts.");
            return Err(invalid(StatusCode::BAD_REQUEST, &message));
        }
        let (wanted, found) = (call.query("digest").unwrap_or_default(), digest(&self.content));
        if wanted != found {
            let detail = json!({ "expected": wanted, "actual": found });
            return Err(error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "digest mismatch", detail));
        }
        Ok(())
    }
}

fn invalid(status: StatusCode, message: &str) -> Reply {
    error(status, "BLOB_UPLOAD_INVALID", message, json!(null))
}
