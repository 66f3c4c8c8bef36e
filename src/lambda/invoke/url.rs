//! Function URLs: an HTTP request becomes an event of payload format 2.0, and the function's answer an HTTP response:
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, TRANSFER_ENCODING,
};
use hyper::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::api::header;
use super::environment::Outcome;
use super::environment::{Invocation, Stream};
use super::failure::Status;
use super::http::{Answer, Cut, Front, Notice, body, plain};
use super::identifier::{identifier, trace_id};
use super::settings::MAX_PAYLOAD;

/// The content type of a stream that starts with the metadata of an HTTP response as JSON, and eight NUL bytes.
const HTTP_RESPONSE: &str = "application/vnd.awslambda.http-integration-response";
const END_OF_METADATA: [u8; 8] = [0; 8];
/// The longest metadata.
const MOST_METADATA: usize = 64 << 10;

/// Answers a request as a function URL.
pub(super) async fn answer(front: &Front, request: Request<Incoming>, peer: SocketAddr) -> Answer {
    let trace = header(&request, "x-amzn-trace-id").unwrap_or_else(trace_id);
    let head = Head::of(&request, peer, &trace);
    let Some(payload) = body(request, MAX_PAYLOAD).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large\n");
    };
    let event = head.event(&payload);
    let invocation =
        Invocation { event: event.to_string().into(), trace_id: Some(trace), ..Invocation::default() };
    let (head, started) = oneshot::channel();
    let (pieces, received) = mpsc::channel(16);
    let invoker = front.clone();
    let stream = Stream { head, pieces };
    let invoking = tokio::spawn(async move { invoker.invoke(invocation, Some(stream)).await });
    let answer = match started.await {
        Ok(content_type) => streamed(content_type, received, invoking).await,
        Err(_) => match invoking.await {
            Ok(Ok(outcome)) if outcome.status == Status::Success => response(&outcome.payload),
            _ => return failed(),
        },
    };
    answer.unwrap_or_else(|fault| {
        (front.tell)(Notice::Response(fault));
        failed()
    })
}

/// What the client gets when the function fails; the log has more.
fn failed() -> Answer {
    let mut answer = plain(StatusCode::BAD_GATEWAY, "Internal Server Error");
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

/// A request without its body.
struct Head {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    cookies: Vec<String>,
    host: String,
    source: String,
}

impl Head {
    fn of(request: &Request<Incoming>, peer: SocketAddr, trace: &str) -> Head {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        let mut cookies = Vec::new();
        for (name, value) in request.headers() {
            let value = String::from_utf8_lossy(value.as_bytes());
            if name == COOKIE {
                cookies.extend(value.split(';').map(|cookie| cookie.trim().to_owned()));
                continue;
            }
            headers
                .entry(name.as_str().to_owned())
                .and_modify(|all| {
                    all.push(',');
                    all.push_str(&value);
                })
                .or_insert_with(|| value.into_owned());
        }
        let host = headers.get("host").cloned().unwrap_or_else(|| "localhost".to_owned());
        let port = host.rsplit_once(':').map_or("80", |(_, port)| port).to_owned();
        let source = peer.ip().to_string();
        let added = [
            ("x-amzn-trace-id", trace.to_owned()),
            ("x-forwarded-for", source.clone()),
            ("x-forwarded-port", port),
            ("x-forwarded-proto", "http".to_owned()),
        ];
        headers.extend(added.map(|(name, value)| (name.to_owned(), value)));
        Head {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers,
            cookies,
            host,
            source,
        }
    }

    fn event(&self, body: &[u8]) -> Value {
        let content_type = self.headers.get("content-type").map_or("", String::as_str);
        let text = std::str::from_utf8(body).ok().filter(|_| is_text(content_type));
        let now = DateTime::<Utc>::from(SystemTime::now());
        let mut event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": self.path,
            "rawQueryString": self.query,
            "headers": self.headers,
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "lbuild",
                "domainName": self.host,
                "domainPrefix": self.host.split(['.', ':']).next(),
                "http": {
                    "method": self.method,
                    "path": self.path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": self.source,
                    "userAgent": self.headers.get("user-agent").map_or("", String::as_str),
                },
                "requestId": identifier(),
                "routeKey": "$default",
                "stage": "$default",
                "time": now.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
                "timeEpoch": now.timestamp_millis(),
            },
            "isBase64Encoded": !body.is_empty() && text.is_none(),
        });
        if !self.cookies.is_empty() {
            event["cookies"] = json!(self.cookies);
        }
        let parameters = parameters(&self.query);
        if !parameters.is_empty() {
            event["queryStringParameters"] = json!(parameters);
        }
        if !body.is_empty() {
            event["body"] = json!(text.map_or_else(|| STANDARD.encode(body), str::to_owned));
        }
        event
    }
}

/// Whether a body of this type is text in the event; every other one is Base64.
fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let kinds = [
        "application/json",
        "application/javascript",
        "application/xml",
        "application/x-www-form-urlencoded",
    ];
    kind.is_empty()
        || kind.starts_with("text/")
        || kinds.contains(&kind.as_str())
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
}

/// The parameters of a query; several values of one have commas between them.
fn parameters(query: &str) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value);
        all.entry(decoded(name))
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert(value);
    }
    all
}

/// A part of a query without its escapes.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (escaped, byte) {
            (Some(escaped), _) => {
                bytes.push(escaped);
                rest = &after[2..];
                continue;
            }
            (None, b'+') => bytes.push(b' '),
            (None, byte) => bytes.push(byte),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The HTTP response of a function's answer: one with a status code describes it, any other one is its body.
fn response(payload: &[u8]) -> Result<Answer, &'static str> {
    let value = serde_json::from_slice::<Value>(payload).ok();
    let described_by = value.as_ref().and_then(Value::as_object);
    let Some(fields) = described_by.filter(|fields| fields.contains_key("statusCode")) else {
        let body = match &value {
            Some(Value::String(text)) => Bytes::from(text.clone()),
            _ => Bytes::copy_from_slice(payload),
        };
        let mut answer = plain(StatusCode::OK, body);
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(answer);
    };
    let (status, headers) = described(fields)?;
    let body = match fields.get("body") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let body = match fields.get("isBase64Encoded") == Some(&Value::Bool(true)) {
        true => STANDARD.decode(body).map_err(|_| "its body is not Base64")?,
        false => body.into_bytes(),
    };
    let mut answer = plain(status, body);
    *answer.headers_mut() = headers;
    Ok(answer)
}

/// The status and the headers that a function describes.
fn described(fields: &Map<String, Value>) -> Result<(StatusCode, HeaderMap), &'static str> {
    let code = match fields.get("statusCode") {
        None => Some(200.0),
        Some(Value::String(text)) => text.parse::<f64>().ok(),
        Some(code) => code.as_f64(),
    };
    // Those below 200 are no answers.
    let code = code.filter(|code| code.fract() == 0.0 && (200.0..600.0).contains(code));
    let status = code.and_then(|code| StatusCode::from_u16(code as u16).ok());
    let status = status.ok_or("its statusCode is not one of HTTP")?;
    let mut headers = HeaderMap::new();
    for (name, value) in fields.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(text)) else {
            return Err("one of its headers is not one of HTTP");
        };
        // The server decides about them.
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            headers.append(name, value);
        }
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    for cookie in fields.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        let value = cookie.as_str().and_then(|cookie| HeaderValue::try_from(cookie).ok());
        headers.append(SET_COOKIE, value.ok_or("one of its cookies is not one of HTTP")?);
    }
    Ok((status, headers))
}

/// The end of an invocation.
type Invoking = JoinHandle<Result<Outcome, crate::error::Error>>;

/// Passes on a streamed response.
async fn streamed(
    content_type: Option<String>,
    mut pieces: mpsc::Receiver<Bytes>,
    invoking: Invoking,
) -> Result<Answer, &'static str> {
    let mut first = None;
    let mut head = (StatusCode::OK, HeaderMap::new());
    match content_type {
        Some(kind) if kind.starts_with(HTTP_RESPONSE) => {
            let mut start = BytesMut::new();
            let end = loop {
                let mut windows = start.windows(END_OF_METADATA.len());
                if let Some(end) = windows.position(|bytes| bytes == END_OF_METADATA) {
                    break end;
                }
                match pieces.recv().await {
                    Some(piece) if start.len() <= MOST_METADATA => start.extend_from_slice(&piece),
                    _ => return Err("its metadata do not end"),
                }
            };
            let metadata = start.split_to(end);
            let fields = serde_json::from_slice::<Map<String, Value>>(&metadata);
            head = described(&fields.map_err(|_| "its metadata are no JSON object")?)?;
            first = Some(start.freeze().slice(END_OF_METADATA.len()..));
        }
        kind => {
            let kind = kind.and_then(|kind| HeaderValue::try_from(kind).ok());
            let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
            head.1.insert(CONTENT_TYPE, kind);
        }
    }
    let first = stream::iter(first.filter(|piece| !piece.is_empty()).map(Ok));
    let rest = stream::unfold((pieces, Some(invoking)), |(mut pieces, invoking)| async {
        if let Some(piece) = pieces.recv().await {
            return Some((Ok(piece), (pieces, invoking)));
        }
        // An error after the start can only be told by a body that is cut.
        match invoking?.await {
            Ok(Ok(outcome)) if outcome.status == Status::Success => None,
            _ => Some((Err(Cut), (pieces, None))),
        }
    });
    let frames = first.chain(rest).map(|piece| piece.map(Frame::data));
    let mut answer = Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)));
    (*answer.status_mut(), *answer.headers_mut()) = head;
    Ok(answer)
}
