//! Responses with a time limit, for their headers and for their bodies.

use std::time::Duration;

use futures_util::stream;
use reqwest::Response;

use crate::error::{Error, Result};
use crate::store::stream::ByteStream;

/// Upper bound on the time without any data on a connection.
pub(in crate::store) const STALL: Duration = Duration::from_secs(60);

/// The response, or the error for a failed connection or an elapsed time limit.
pub(in crate::store) fn answered<T>(
    answer: std::result::Result<reqwest::Result<T>, tokio::time::error::Elapsed>,
    operation: &str,
    host: &str,
) -> Result<T> {
    match answer {
        Ok(answer) => answer.map_err(|error| Error::Connection {
            operation: operation.to_owned(),
            host: host.to_owned(),
            // The URL of a redirect may be signed, and must not be shown in messages.
            source: error.without_url().into(),
        }),
        Err(_) => Err(stalled(operation, host)),
    }
}

pub(in crate::store) fn stalled(operation: &str, host: &str) -> Error {
    Error::Stalled { operation: operation.to_owned(), host: host.to_owned(), after: STALL }
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
    let mut bytes = Vec::new();
    loop {
        let piece = tokio::time::timeout(STALL, response.chunk()).await;
        match answered(piece, operation, host)? {
            None => return Ok(bytes),
            Some(piece) if bytes.len() + piece.len() <= limit => bytes.extend_from_slice(&piece),
            Some(_) => {
                let (operation, host) = (operation.to_owned(), host.to_owned());
                return Err(Error::Protocol { operation, host, fault: "sent a response that is too large" });
            }
        }
    }
}

/// The bytes of a body, with an error if no data arrive for [`STALL`].
pub(in crate::store) fn watched(response: Response, operation: String, host: String) -> ByteStream {
    Box::pin(stream::unfold(Some((response, operation, host)), |state| async {
        let (mut response, operation, host) = state?;
        let piece = tokio::time::timeout(STALL, response.chunk()).await;
        match answered(piece, &operation, &host).transpose()? {
            Ok(piece) => Some((Ok(piece), Some((response, operation, host)))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}
