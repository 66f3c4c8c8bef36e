//! What the Runtime API and the Extensions API work on, and the forms of their answers.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use super::settings::FunctionSettings;
use super::state::Shared;
use super::telemetry::Telemetry;

/// What the APIs work on.
pub(super) struct Api {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Arc<FunctionSettings>,
    pub(super) handler: String,
    pub(super) telemetry: Arc<Telemetry>,
}

pub(super) type Answer = Response<Full<Bytes>>;

pub(super) fn unknown() -> Answer {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}

pub(super) fn json(status: StatusCode, value: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(format!("{value}\n"))));
    *answer.status_mut() = status;
    let content_type = hyper::header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(hyper::header::CONTENT_TYPE, content_type);
    answer
}

/// The answer to what was accepted.
pub(super) fn accepted() -> Answer {
    json(StatusCode::ACCEPTED, &json!({ "status": "OK" }))
}

pub(super) fn refused(status: StatusCode, error_type: &str, message: &str) -> Answer {
    json(status, &json!({ "errorMessage": message, "errorType": error_type }))
}

/// The value of a header.
pub(super) fn header(request: &Request<Incoming>, name: &str) -> Option<String> {
    let value = request.headers().get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned()).filter(|value| !value.is_empty())
}
