//! The Extensions API: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>, and the subscriptions of
//! the Telemetry API: <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api.html>.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::api::{self, Api, accepted, header, json, refused};
use super::failure::Fault;
use super::identifier::identifier;
use super::runtime_api::milliseconds;
use super::settings::{ACCOUNT, VERSION};
use super::state::{Extension, Phase, State};
use super::telemetry::{Subscription, SubscriptionFault};

const NAME: &str = "Lambda-Extension-Name";
const IDENTIFIER: &str = "lambda-extension-identifier";
const ERROR_TYPE: &str = "Lambda-Extension-Function-Error-Type";

/// The largest body of a request.
const LIMIT: usize = 1 << 20;

pub(super) async fn answer(
    api: &Arc<Api>,
    method: &Method,
    path: &[&str],
    request: Request<Incoming>,
) -> api::Answer {
    match (method, path) {
        (&Method::POST, ["register"]) => register(api, request).await,
        (&Method::GET, ["event", "next"]) => next(api, &request).await,
        (&Method::POST, ["init", "error"]) => error(api, request, "Extension.InitError").await,
        (&Method::POST, ["exit", "error"]) => error(api, request, "Extension.ExitError").await,
        _ => api::unknown(),
    }
}

async fn body(request: Request<Incoming>) -> Bytes {
    Limited::new(request.into_body(), LIMIT).collect().await.map(|body| body.to_bytes()).unwrap_or_default()
}

/// The body of a registration.
#[derive(Deserialize)]
struct Registration {
    #[serde(default)]
    events: Vec<String>,
}

/// Why an extension cannot register.
enum Refused {
    Name,
    Event,
    Closed,
    Known,
}

impl Refused {
    fn told(&self, name: &str) -> (&'static str, String) {
        match self {
            Refused::Name => (
                "Extension.InvalidExtensionName",
                format!(
                    "no file of /opt/extensions has the name {name}: an extension registers by that of its file"
                ),
            ),
            Refused::Event => (
                "ShutdownEventNotSupportedForInternalExtension",
                "an extension in the runtime's process is not told of the end".to_owned(),
            ),
            Refused::Closed => {
                ("Extension.RegistrationClosed", "Extension registration closed already".to_owned())
            }
            Refused::Known => ("Extension.AlreadyRegistered", format!("{name} is registered already")),
        }
    }
}

/// Registers an extension: one with a process of its own by the name of its file, any other one as part of the runtime.
async fn register(api: &Api, request: Request<Incoming>) -> api::Answer {
    let Some(name) = header(&request, NAME) else {
        return refused(StatusCode::FORBIDDEN, "Extension.InvalidExtensionName", "Empty extension name");
    };
    let features = header(&request, "Lambda-Extension-Accept-Feature").unwrap_or_default();
    let wants_account = features.split(',').any(|feature| feature.trim() == "accountId");
    let registration = match serde_json::from_slice::<Registration>(&body(request).await) {
        Ok(registration) => registration,
        Err(error) => {
            return refused(StatusCode::FORBIDDEN, "InvalidRequestFormat", &error.to_string());
        }
    };
    let has = |event: &str| registration.events.iter().any(|name| name == event);
    if let Some(event) =
        registration.events.iter().find(|name| !matches!(name.as_str(), "INVOKE" | "SHUTDOWN"))
    {
        let message = format!("Unknown event: {event}");
        return refused(StatusCode::FORBIDDEN, "Extension.InvalidEventType", &message);
    }
    let id = identifier();
    let registered = api.shared.change(|state| {
        let known = state.extensions.iter().position(|extension| extension.name == name);
        let at = match known {
            Some(at) => at,
            // The runtime has not started: the program of an extension has another name.
            None if !state.has_registered() => return Err(Refused::Name),
            None if has("SHUTDOWN") => return Err(Refused::Event),
            // The runtime's process registers it, before it asks for its first invocation.
            None if state.runtime == Phase::Starting => {
                state.extensions.push(Extension::new(name.clone(), None));
                state.extensions.len() - 1
            }
            None => return Err(Refused::Closed),
        };
        let extension = &mut state.extensions[at];
        if extension.id.is_some() {
            return Err(Refused::Known);
        }
        extension.id = Some(id.clone());
        extension.gets_invocations = has("INVOKE");
        extension.gets_shutdown = has("SHUTDOWN");
        Ok(())
    });
    if let Err(refusal) = registered {
        let (error_type, message) = refusal.told(&name);
        return refused(StatusCode::FORBIDDEN, error_type, &message);
    }
    api.telemetry.extension(&name, "Registered", &registration.events);
    let mut answer = json!({
        "functionName": api.settings.name,
        "functionVersion": VERSION,
        "handler": api.handler,
    });
    if wants_account {
        answer["accountId"] = json!(ACCOUNT);
    }
    let mut answer = json(StatusCode::OK, &answer);
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(IDENTIFIER, id);
    }
    answer
}

/// The extension that sends a request; else the refusal.
fn sender(api: &Api, request: &Request<Incoming>) -> Result<(String, String), Box<api::Answer>> {
    let Some(id) = header(request, IDENTIFIER) else {
        let message = "Missing Lambda-Extension-Identifier header";
        return Err(Box::new(refused(
            StatusCode::FORBIDDEN,
            "Extension.MissingExtensionIdentifier",
            message,
        )));
    };
    let name = api.shared.lock().extension(&id).map(|extension| extension.name.clone());
    name.map(|name| (id.clone(), name)).ok_or_else(|| {
        let message = format!("Unknown extension {id}");
        Box::new(refused(StatusCode::FORBIDDEN, "Extension.UnknownExtensionIdentifier", &message))
    })
}

/// Waits for an invocation, or for the end.
async fn next(api: &Api, request: &Request<Incoming>) -> api::Answer {
    let id = match sender(api, request) {
        Ok((id, _)) => id,
        Err(refusal) => return *refusal,
    };
    api.shared.change(|state| {
        if let Some(extension) = state.extension(&id) {
            extension.phase = Phase::Ready;
        }
    });
    let event = api.shared.until(|state| event(state, &id)).await;
    let mut answer = json(StatusCode::OK, &event);
    if let Ok(id) = HeaderValue::from_str(&identifier()) {
        answer.headers_mut().insert("lambda-extension-event-identifier", id);
    }
    answer
}

/// The next event for an extension, if there is one.
fn event(state: &mut State, id: &str) -> Option<serde_json::Value> {
    let shutdown = state.shutdown.clone();
    let at = state.extensions.iter().position(|extension| extension.id.as_deref() == Some(id))?;
    let extension = &mut state.extensions[at];
    if let Some(shutdown) = shutdown.filter(|_| extension.gets_shutdown && !extension.knows_end) {
        extension.knows_end = true;
        extension.phase = Phase::Busy;
        return Some(json!({
            "eventType": "SHUTDOWN",
            "shutdownReason": shutdown.reason,
            "deadlineMs": milliseconds(shutdown.deadline),
        }));
    }
    let current = state.invocation.as_ref()?;
    if !extension.gets_invocations || extension.last.as_ref() == Some(&current.id) {
        return None;
    }
    extension.last = Some(current.id.clone());
    extension.phase = Phase::Busy;
    Some(json!({
        "eventType": "INVOKE",
        "deadlineMs": milliseconds(current.deadline),
        "requestId": current.id,
        "invokedFunctionArn": current.arn,
        "tracing": { "type": "X-Amzn-Trace-Id", "value": current.trace_id },
    }))
}

/// Takes an error of an extension, which ends the environment.
async fn error(api: &Api, request: Request<Incoming>, error_type: &'static str) -> api::Answer {
    let (id, name) = match sender(api, &request) {
        Ok(sender) => sender,
        Err(refusal) => return *refusal,
    };
    let Some(own_type) = header(&request, ERROR_TYPE) else {
        let message = format!("Missing {ERROR_TYPE} header");
        return refused(StatusCode::FORBIDDEN, "Extension.MissingHeader", &message);
    };
    let body = body(request).await;
    let reason = match body.is_empty() {
        true => own_type,
        false => format!("{own_type}: {}", String::from_utf8_lossy(&body)),
    };
    api.shared.change(|state| {
        if let Some(extension) = state.extension(&id) {
            extension.phase = Phase::Ended;
        }
        // After the end was announced, an error is of no consequence.
        if state.shutdown.is_none() {
            state.fail(Fault::Extension { name, error_type, reason });
        }
    });
    accepted()
}

/// Subscribes an extension to logs; `is_old` for the Logs API, which the Telemetry API has replaced.
pub(super) async fn subscribe(api: &Arc<Api>, request: Request<Incoming>, is_old: bool) -> api::Answer {
    let (_, name) = match sender(api, &request) {
        Ok(sender) => sender,
        Err(refusal) => return *refusal,
    };
    let body = body(request).await;
    let subscription = serde_json::from_slice::<Subscription>(&body)
        .map_err(|error| SubscriptionFault::Invalid(error.to_string()));
    match subscription.and_then(|subscription| api.telemetry.subscribe(&name, subscription, is_old)) {
        Ok(()) => {
            let mut answer = api::plain(StatusCode::OK, "OK");
            answer
                .headers_mut()
                .insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
            answer
        }
        Err(SubscriptionFault::Closed) => {
            let kind = if is_old { "Logs.SubscriptionClosed" } else { "Telemetry.SubscriptionClosed" };
            refused(StatusCode::FORBIDDEN, kind, "Telemetry API subscription is closed already")
        }
        Err(SubscriptionFault::Invalid(message)) => {
            refused(StatusCode::BAD_REQUEST, "ValidationError", &message)
        }
    }
}
