//! A registry's refusal, read from its response.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

use crate::error::text::{is_control, without_logins};
use crate::error::{Error, Refusal};

/// Upper bound on the bytes of a body that are read. Messages are shorter; an HTML page is not shown.
const BODY_LIMIT: usize = 64 << 10;
const MESSAGE_LIMIT: usize = 400;
/// Upper bound on the time for reading a body: an error without its message is better than a late one.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Turns a response other than success into an error. The URL is left out, because it may be signed.
pub(in crate::store) async fn refusal(response: Response, operation: String) -> Error {
    Error::Registry { operation, answer: Box::new(read_refusal(response).await) }
}

/// Reads a refusal from a response other than success.
pub(in crate::store) async fn read_refusal(mut response: Response) -> Refusal {
    let host = response.url().host_str().unwrap_or_default().to_owned();
    let host = response.url().port().map_or(host.clone(), |port| format!("{host}:{port}"));
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let request_id = header("x-amzn-requestid").or_else(|| header("x-request-id"));
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(piece)) = response.chunk().await {
            body.extend_from_slice(&piece);
            if body.len() > BODY_LIMIT {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(BODY_TIME, read).await;
    let error = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    // The envelope of the distribution spec; token services may have the same fields in the object itself.
    let error = error.pointer("/errors/0").unwrap_or(&error);
    let field = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
    let message = field("message").or_else(|| field("details")).or_else(|| field("error_description"));
    let message = message.or_else(|| status.canonical_reason().map(str::to_owned)).unwrap_or_default();
    let digest = error.pointer("/detail/digest").or_else(|| error.get("detail")).and_then(Value::as_str);
    Refusal {
        host,
        status: status.as_u16(),
        code: field("code"),
        digest: digest.or(Some(&message)).and_then(first_digest),
        message: short(&message),
        request_id,
        missing: None,
    }
}

fn first_digest(text: &str) -> Option<crate::image::Digest> {
    let start = text.find("sha256:")?;
    text.get(start..start + 71)?.parse().ok()
}

/// The beginning of a text, as it may be shown.
fn short(text: &str) -> String {
    let text: String = text.chars().filter(|c| !is_control(*c)).take(MESSAGE_LIMIT).collect();
    without_logins(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &'static str) -> Response {
        http::Response::builder().status(status).header("x-amzn-requestid", "id-1").body(body).unwrap().into()
    }

    #[tokio::test]
    async fn code_message_and_digest_are_read_from_the_envelope() {
        let digest = crate::image::Digest::of(b"x");
        let body = format!(
            r#"{{"errors":[{{"code":"MANIFEST_BLOB_UNKNOWN","message":"gone","detail":{{"digest":"{digest}"}}}}]}}"#
        );
        let refusal = read_refusal(response(400, body.leak())).await;
        assert_eq!(refusal.code.as_deref(), Some("MANIFEST_BLOB_UNKNOWN"));
        assert_eq!((refusal.digest, refusal.message.as_str()), (Some(digest), "gone"));
        assert_eq!(refusal.request_id.as_deref(), Some("id-1"));
    }

    #[tokio::test]
    async fn a_body_that_is_not_json_gives_the_status_text_and_control_characters_are_removed() {
        assert_eq!(read_refusal(response(503, "<html>\u{1b}[31m")).await.message, "Service Unavailable");
        assert_eq!(read_refusal(response(400, "{\"message\":\"a\\u001b[31mb\"}")).await.message, "a[31mb");
    }
}
