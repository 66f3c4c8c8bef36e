//! The Runtime API, which gives a runtime its invocations: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::api::{self, Api, accepted, header, refused};
use super::failure::{Fault, too_large};
use super::settings::{MAX_PAYLOAD, MAX_STREAM};
use super::state::{Answer, Current, Phase};

const ERROR_TYPE: &str = "Lambda-Runtime-Function-Error-Type";
const ERROR_BODY: &str = "Lambda-Runtime-Function-Error-Body";
const RESPONSE_MODE: &str = "Lambda-Runtime-Function-Response-Mode";

pub(super) async fn answer(
    api: &Arc<Api>,
    method: &Method,
    path: &[&str],
    request: Request<Incoming>,
) -> api::Answer {
    match (method, path) {
        (&Method::GET, ["invocation", "next"]) => next(api).await,
        (&Method::POST, ["invocation", id, "response"]) => response(api, id, request).await,
        (&Method::POST, ["invocation", id, "error"]) => error(api, id, request).await,
        (&Method::POST, ["init", "error"]) => init_error(api, request).await,
        _ => api::unknown(),
    }
}

/// Waits for an invocation.
async fn next(api: &Api) -> api::Answer {
    let is_allowed = api.shared.change(|state| {
        let is_busy =
            state.invocation.as_ref().is_some_and(|current| current.is_taken && !current.is_answered());
        if !is_busy {
            state.runtime = Phase::Ready;
        }
        !is_busy
    });
    if !is_allowed {
        return state_refused("Running", "Ready");
    }
    api.shared
        .until(|state| {
            let current = state.invocation.as_mut().filter(|current| !current.is_taken)?;
            current.is_taken = true;
            state.runtime = Phase::Busy;
            Some(event(state.invocation.as_ref()?))
        })
        .await
}

/// The event of an invocation.
fn event(current: &Current) -> api::Answer {
    let mut answer = Response::new(Full::new(current.event.clone()));
    let deadline = milliseconds(current.deadline).to_string();
    let content_type = current.content_type.as_deref().unwrap_or("application/json");
    let headers = [
        ("lambda-runtime-aws-request-id", Some(current.id.as_str())),
        ("lambda-runtime-trace-id", Some(&current.trace_id)),
        ("lambda-runtime-client-context", current.client_context.as_deref()),
        ("lambda-runtime-cognito-identity", current.cognito_identity.as_deref()),
        ("lambda-runtime-invoked-function-arn", Some(&current.arn)),
        ("lambda-runtime-deadline-ms", Some(&deadline)),
        ("content-type", Some(content_type)),
    ];
    for (name, value) in headers {
        if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// Takes the response of the invocation under way.
async fn response(api: &Api, id: &str, request: Request<Incoming>) -> api::Answer {
    if let Some(refusal) = begin(api, id) {
        return refusal;
    }
    let content_type = header(&request, CONTENT_TYPE.as_str());
    match header(&request, RESPONSE_MODE).as_deref() {
        None => buffered(api, content_type, request.into_body()).await,
        Some("streaming") => streamed(api, content_type, request.into_body()).await,
        Some(_) => {
            let error_type = "Runtime.InvalidResponseModeHeader";
            give(api, Answer::Error { body: Bytes::new(), error_type: error_type.to_owned() });
            refused(StatusCode::BAD_REQUEST, "InvalidFunctionResponseMode", "Invalid function response mode")
        }
    }
}

/// The invocation under way gets an answer. Else the refusal of the request.
fn begin(api: &Api, id: &str) -> Option<api::Answer> {
    api.shared.change(|state| match state.invocation.as_mut().filter(|current| current.is_taken) {
        Some(current) if current.id == id => match current.answer {
            Answer::None => {
                current.answer = Answer::Started;
                None
            }
            _ => Some(state_refused("Ready", "InvocationResponse")),
        },
        _ => Some(refused(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")),
    })
}

fn state_refused(from: &str, to: &str) -> api::Answer {
    let message = format!("Transition from {from} to {to} is not allowed.");
    refused(StatusCode::FORBIDDEN, "InvalidStateTransition", &message)
}

fn give(api: &Api, answer: Answer) {
    api.shared.change(|state| {
        if let Some(current) = &mut state.invocation {
            current.answer = answer;
            // The end of the stream.
            current.stream = None;
        }
    });
}

async fn buffered(api: &Api, content_type: Option<String>, body: Incoming) -> api::Answer {
    match collect(body, MAX_PAYLOAD).await {
        Body::Whole(body) => {
            give(api, Answer::Response { content_type, body, is_streamed: false });
            accepted()
        }
        Body::TooLarge => {
            let error_type = "Function.ResponseSizeTooLarge".to_owned();
            give(api, Answer::Error { body: too_large().into(), error_type });
            let message = format!("Exceeded maximum allowed payload size ({MAX_PAYLOAD} bytes).");
            refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
        }
        Body::Truncated => truncated(api),
    }
}

fn truncated(api: &Api) -> api::Answer {
    let error_type = "Runtime.TruncatedResponse".to_owned();
    give(api, Answer::Error { body: Bytes::new(), error_type });
    refused(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", "HTTP request detected as truncated")
}

/// A body that was read.
enum Body {
    Whole(Bytes),
    TooLarge,
    Truncated,
}

/// Reads a body to its end; keeps no more than `most` bytes.
async fn collect(mut body: Incoming, most: usize) -> Body {
    let mut all = BytesMut::new();
    let mut is_too_large = false;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Body::Truncated };
        let Ok(piece) = frame.into_data() else { continue };
        is_too_large = is_too_large || all.len() + piece.len() > most;
        if !is_too_large {
            all.extend_from_slice(&piece);
        }
    }
    if is_too_large { Body::TooLarge } else { Body::Whole(all.freeze()) }
}

/// Passes on a response while it is written:
/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming>.
async fn streamed(api: &Api, content_type: Option<String>, mut body: Incoming) -> api::Answer {
    let stream = api.shared.change(|state| {
        let current = state.invocation.as_mut()?;
        let stream = current.stream.take();
        if let (Some(head), Some(_)) = (current.head.take(), &stream) {
            // The caller may not wait for it.
            let _ = head.send(content_type.clone());
        }
        stream
    });
    let (mut kept, mut size) = (BytesMut::new(), 0_u64);
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return truncated(api) };
        match frame.into_data() {
            Ok(piece) => {
                size += piece.len() as u64;
                if size > MAX_STREAM {
                    let error_type = "Function.ResponseSizeTooLarge".to_owned();
                    give(api, Answer::Error { body: too_large().into(), error_type });
                    let message = format!("Exceeded maximum allowed payload size ({MAX_STREAM} bytes).");
                    return refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message);
                }
                match &stream {
                    // If nobody reads any more, the function still runs to its end, as in Lambda.
                    Some(stream) => drop(stream.send(piece).await),
                    None => kept.extend_from_slice(&piece),
                }
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let text = |name| {
        trailers.get(name).map(|value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let answer = match text(ERROR_TYPE) {
        Some(error_type) => {
            let body = text(ERROR_BODY).unwrap_or_default();
            let decoded = STANDARD.decode(&body).unwrap_or(body.into_bytes());
            Answer::Error { body: decoded.into(), error_type }
        }
        None => Answer::Response { content_type, body: kept.freeze(), is_streamed: true },
    };
    give(api, answer);
    accepted()
}

/// Takes an error of the function.
async fn error(api: &Api, id: &str, request: Request<Incoming>) -> api::Answer {
    if let Some(refusal) = begin(api, id) {
        return refusal;
    }
    let error_type = header(&request, ERROR_TYPE).unwrap_or_else(|| "Runtime.Unknown".to_owned());
    match collect(request.into_body(), MAX_PAYLOAD).await {
        Body::Whole(body) => give(api, Answer::Error { body, error_type }),
        Body::TooLarge => give(api, Answer::Error { body: Bytes::new(), error_type }),
        Body::Truncated => return truncated(api),
    }
    accepted()
}

/// Takes an error of the init phase.
async fn init_error(api: &Api, request: Request<Incoming>) -> api::Answer {
    let error_type = header(&request, ERROR_TYPE).unwrap_or_else(|| "Runtime.Unknown".to_owned());
    let body = match collect(request.into_body(), MAX_PAYLOAD).await {
        Body::Whole(body) => body.to_vec(),
        Body::TooLarge | Body::Truncated => Vec::new(),
    };
    api.shared.change(|state| match state.runtime {
        Phase::Starting => {
            state.fail(Fault::Init { body, error_type });
            accepted()
        }
        _ => state_refused("Ready", "InitError"),
    })
}
