//! Responses with a time limit, for their headers and for their bodies.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use reqwest::{RequestBuilder, Response};

use super::pace::{Pace, STALL};
use crate::error::{Error, Result};
use crate::store::stream::ByteStream;

/// The answer, or the error for a failed connection.
pub(in crate::store) fn answered<T>(answer: reqwest::Result<T>, operation: &str, host: &str) -> Result<T> {
    answer.map_err(|error| Error::Connection {
        operation: operation.to_owned(),
        host: host.to_owned(),
        // The URL of a redirect may be signed, and must not be shown in messages.
        source: error.without_url().into(),
    })
}

/// Sends a request and waits for the response's headers, at most for the time `limit`.
pub(in crate::store) async fn sent(
    request: RequestBuilder,
    limit: Duration,
    operation: &str,
    host: &str,
) -> Result<Response> {
    match tokio::time::timeout(limit, request.send()).await {
        Ok(answer) => answered(answer, operation, host),
        Err(_) => Err(stalled(operation, host, limit)),
    }
}

/// The error for a transfer without progress for the time `after`.
pub(in crate::store) fn stalled(operation: &str, host: &str, after: Duration) -> Error {
    Error::Stalled { operation: operation.to_owned(), host: host.to_owned(), after }
}

/// The next piece of a body; an error if the body has stalled.
async fn next_piece(
    response: &mut Response,
    pace: &mut Pace,
    operation: &str,
    host: &str,
) -> Result<Option<Bytes>> {
    let length = |piece: &reqwest::Result<Option<Bytes>>| {
        piece.as_ref().ok().and_then(Option::as_ref).map_or(0, Bytes::len)
    };
    match pace.next(response.chunk(), length).await {
        Some(piece) => answered(piece, operation, host),
        None => Err(stalled(operation, host, STALL)),
    }
}

/// The complete body of a response.
///
/// # Errors
/// When the body is longer than `limit` bytes.
pub(in crate::store) async fn limited_bytes(
    mut response: Response,
    operation: &str,
    host: &str,
    limit: usize,
) -> Result<Vec<u8>> {
    let (mut bytes, mut pace) = (Vec::new(), Pace::default());
    loop {
        match next_piece(&mut response, &mut pace, operation, host).await? {
            None => return Ok(bytes),
            Some(piece) if bytes.len() + piece.len() <= limit => bytes.extend_from_slice(&piece),
            Some(_) => {
                let (operation, host) = (operation.to_owned(), host.to_owned());
                return Err(Error::Protocol { operation, host, fault: "sent a response that is too large" });
            }
        }
    }
}

/// The bytes of a body, with an error if it stalls.
pub(in crate::store) fn watched(response: Response, operation: String, host: String) -> ByteStream {
    let state = Some((response, Pace::default(), operation, host));
    Box::pin(stream::unfold(state, |state| async {
        let (mut response, mut pace, operation, host) = state?;
        match next_piece(&mut response, &mut pace, &operation, &host).await.transpose()? {
            Ok(piece) => Some((Ok(piece), Some((response, pace, operation, host)))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}
