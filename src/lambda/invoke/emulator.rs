//! The URL of Lambda's runtime interface emulator, which is that of Lambda's API `Invoke`:
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::json;

use super::api::header;
use super::environment::{Invocation, Outcome};
use super::failure::Status;
use super::http::{Answer, Front, body, plain};
use super::settings::{MAX_PAYLOAD, VERSION};

/// Answers a request of a client of Lambda's API.
pub(super) async fn answer(front: &Front, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let ["2015-03-31", "functions", _, "invocations"] = segments[..] else {
        let text = "POST an event to /2015-03-31/functions/function/invocations\n";
        return plain(StatusCode::NOT_FOUND, text);
    };
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "POST an event\n");
    }
    let context = header(&request, "x-amz-client-context").map(|context| STANDARD.decode(context));
    // As one line, since it becomes a header.
    let object =
        |bytes: Vec<u8>| serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes).ok();
    let client_context = match context.transpose().map(|context| context.map(object)) {
        Ok(None) => None,
        Ok(Some(Some(context))) => Some(serde_json::Value::Object(context).to_string()),
        _ => {
            return error(
                StatusCode::BAD_REQUEST,
                "InvalidRequestContentException",
                "Client context must be a valid Base64-encoded JSON object.",
            );
        }
    };
    let kind = header(&request, "x-amz-invocation-type").unwrap_or_else(|| "RequestResponse".to_owned());
    let wants_log = header(&request, "x-amz-log-type").as_deref() == Some("Tail");
    let trace_id = header(&request, "x-amzn-trace-id");
    let content_type =
        header(&request, CONTENT_TYPE.as_str()).filter(|kind| !kind.contains("form-urlencoded"));
    let Some(event) = body(request, MAX_PAYLOAD).await else {
        let message =
            format!("Request must be smaller than {MAX_PAYLOAD} bytes for the InvokeFunction operation");
        return error(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", &message);
    };
    let invocation = Invocation { event, content_type, client_context, trace_id, ..Invocation::default() };
    match kind.as_str() {
        "RequestResponse" => match front.invoke(invocation, None).await {
            Ok(outcome) => response(outcome, wants_log),
            Err(failure) => {
                error(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", &failure.with_causes())
            }
        },
        "Event" => {
            let front = front.clone();
            tokio::spawn(async move {
                let _ = front.invoke(invocation, None).await;
            });
            plain(StatusCode::ACCEPTED, "")
        }
        "DryRun" => plain(StatusCode::NO_CONTENT, ""),
        other => {
            let message = format!("1 validation error detected: the invocation type {other} is unknown");
            error(StatusCode::BAD_REQUEST, "InvalidParameterValueException", &message)
        }
    }
}

fn response(outcome: Outcome, wants_log: bool) -> Answer {
    let mut answer = plain(StatusCode::OK, outcome.payload);
    let headers = answer.headers_mut();
    let content_type = outcome.content_type.as_deref().unwrap_or("application/json");
    let values = [
        ("content-type", content_type),
        ("x-amzn-requestid", &outcome.report.request_id),
        ("x-amz-executed-version", VERSION),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    if wants_log && let Ok(log) = HeaderValue::from_str(&STANDARD.encode(&outcome.log_tail)) {
        headers.insert("x-amz-log-result", log);
    }
    if outcome.status != Status::Success {
        headers.insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
    }
    answer
}

fn error(status: StatusCode, error_type: &str, message: &str) -> Answer {
    let mut answer =
        plain(status, json!({ "Type": "User", "Message": message, "message": message }).to_string());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::from_str(error_type) {
        headers.insert("x-amzn-errortype", value);
    }
    answer
}
