//! HTTP as every request of a run speaks it: the clients, how long is waited, when it is tried again.

pub(in crate::store) mod answer;
mod retry;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

pub(crate) use self::retry::Retry;
pub(in crate::store) use self::retry::passing_status;
use super::verify::ByteStream;
use crate::error::{Error, Result};

/// How long nothing may move on a connection.
pub(in crate::store) const STALL: Duration = Duration::from_secs(60);
/// The HTTP clients. None follows a redirect by itself: a HEAD has its answer with it, a POST must not be sent
/// elsewhere, and a GET goes on without the grant.
///
/// Each is made when it is first used: to read the system's certificates takes as long as a round trip.
#[derive(Clone, Default)]
pub(in crate::store) struct Clients {
    proxied: Arc<Mutex<Option<Client>>>,
    /// For loopback, which no proxy can reach, and whose plain HTTP must not leave the machine.
    direct: Arc<Mutex<Option<Client>>>,
}

impl Clients {
    /// The client for an address.
    pub(in crate::store) fn at(&self, url: &Url) -> Result<Client> {
        let loopback = url.host_str().is_some_and(is_loopback);
        let mut held = lock(if loopback { &self.direct } else { &self.proxied });
        if let Some(client) = &*held {
            return Ok(client.clone());
        }
        let builder = Client::builder()
            .user_agent(concat!("lbuild/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(15))
            .http2_adaptive_window(true)
            .redirect(Policy::none());
        let builder = if loopback { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|error| Error::Tls { source: error.into() })?;
        Ok(held.insert(client).clone())
    }
}

/// The whole body of an answer, unless it is longer than `limit`.
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
                return Err(Error::Protocol {
                    operation,
                    host,
                    fault: "sent more than any such answer holds",
                });
            }
        }
    }
}

/// A body's bytes, with an end when nothing comes for long.
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

pub(in crate::store) fn answered<T>(
    answer: std::result::Result<reqwest::Result<T>, tokio::time::error::Elapsed>,
    operation: &str,
    host: &str,
) -> Result<T> {
    match answer {
        Ok(answer) => answer.map_err(|error| Error::Connection {
            operation: operation.to_owned(),
            host: host.to_owned(),
            // A redirect's address may be signed; no message repeats one.
            source: error.without_url().into(),
        }),
        Err(_) => Err(stalled(operation, host)),
    }
}

pub(in crate::store) fn stalled(operation: &str, host: &str) -> Error {
    Error::Stalled { operation: operation.to_owned(), host: host.to_owned(), after: STALL }
}

pub(in crate::store) fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    u64::try_from(at.timestamp()).ok()?.checked_sub(now.as_secs()).map(Duration::from_secs)
}

pub(in crate::store) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `127.0.0.0/8`, `[::1]`, `localhost`, with or without a port.
pub(in crate::store) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_loopback() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["127.0.0.1.example", "localhost.example:5000", "10.0.0.1:5000", "[fe80::1]:5000", "r.example"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
