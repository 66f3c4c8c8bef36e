//! Function URLs: an HTTP request becomes an event of payload format 2.0, and the function's answer an HTTP response:
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, TRANSFER_ENCODING,
};
use hyper::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

use super::api::header;
use super::environment::{Invocation, Stream};
use super::failure::Status;
use super::http::{Answer, Front, body, plain};
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
    let function = front.function.clone();
    let stream = Stream { head, pieces };
    let invoking = tokio::spawn(async move { function.invoke(invocation, Some(stream)).await });
    if let Ok(content_type) = started.await {
        return streamed(content_type, received).await;
    }
    match invoking.await {
        Ok(Ok(outcome)) if outcome.status == Status::Success => response(&outcome.payload),
        Ok(Ok(_)) => failed(),
        Ok(Err(failure)) => {
            front.failed(&failure);
            failed()
        }
        Err(_) => failed(),
    }
}

/// What the client gets when the function fails; the log has more.
fn failed() -> Answer {
    plain(StatusCode::BAD_GATEWAY, "Internal Server Error")
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
fn response(payload: &[u8]) -> Answer {
    let value = serde_json::from_slice::<Value>(payload).ok();
    let Some(fields) =
        value.as_ref().and_then(Value::as_object).filter(|fields| fields.contains_key("statusCode"))
    else {
        let body = match &value {
            Some(Value::String(text)) => Bytes::from(text.clone()),
            _ => Bytes::copy_from_slice(payload),
        };
        let mut answer = plain(StatusCode::OK, body);
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return answer;
    };
    let body = match fields.get("body") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let is_encoded = fields.get("isBase64Encoded") == Some(&Value::Bool(true));
    let Some(body) = (if is_encoded { STANDARD.decode(body).ok() } else { Some(body.into_bytes()) }) else {
        return failed();
    };
    match described(fields) {
        Some((status, headers)) => {
            let mut answer = plain(status, body);
            *answer.headers_mut() = headers;
            answer
        }
        None => failed(),
    }
}

/// The status and the headers that a function describes; `None` if they are invalid.
fn described(fields: &Map<String, Value>) -> Option<(StatusCode, HeaderMap)> {
    let code = match fields.get("statusCode") {
        None => 200,
        Some(Value::String(text)) => text.parse().ok()?,
        Some(code) => code.as_u64()?,
    };
    let status = StatusCode::from_u16(u16::try_from(code).ok()?).ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in fields.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let (name, value) = (HeaderName::try_from(name).ok()?, HeaderValue::try_from(text).ok()?);
        // The server decides about them.
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            headers.append(name, value);
        }
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    for cookie in fields.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        headers.append(SET_COOKIE, HeaderValue::try_from(cookie.as_str()?).ok()?);
    }
    Some((status, headers))
}

/// Passes on a streamed response.
async fn streamed(content_type: Option<String>, mut pieces: mpsc::Receiver<Bytes>) -> Answer {
    let mut first = None;
    let mut head = (StatusCode::OK, HeaderMap::new());
    match content_type {
        Some(kind) if kind.starts_with(HTTP_RESPONSE) => {
            let mut start = BytesMut::new();
            let end = loop {
                if let Some(end) =
                    start.windows(END_OF_METADATA.len()).position(|bytes| bytes == END_OF_METADATA)
                {
                    break end;
                }
                match pieces.recv().await {
                    Some(piece) if start.len() <= MOST_METADATA => start.extend_from_slice(&piece),
                    _ => return failed(),
                }
            };
            let metadata = start.split_to(end);
            let fields = serde_json::from_slice::<Map<String, Value>>(&metadata).ok();
            match fields.as_ref().and_then(described) {
                Some(described) => head = described,
                None => return failed(),
            }
            first = Some(start.freeze().slice(END_OF_METADATA.len()..));
        }
        kind => {
            let kind = kind.and_then(|kind| HeaderValue::try_from(kind).ok());
            head.1.insert(CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/octet-stream")));
        }
    }
    let first = futures_util::stream::iter(first.filter(|piece| !piece.is_empty()));
    let rest = futures_util::stream::unfold(pieces, |mut pieces| async {
        pieces.recv().await.map(|piece| (piece, pieces))
    });
    let frames = futures_util::StreamExt::map(futures_util::StreamExt::chain(first, rest), |piece| {
        Ok::<_, Infallible>(Frame::data(piece))
    });
    let mut answer = Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)));
    (*answer.status_mut(), *answer.headers_mut()) = head;
    answer
}
