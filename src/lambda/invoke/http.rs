//! Requests and answers of the clients of a function.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};

use super::environment::{Invocation, Outcome, Stream};
use super::function::Function;
use crate::error::Error;

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Cut>>;

/// A body that ends before its end: the client must notice.
#[derive(Debug, thiserror::Error)]
#[error("the function has ended")]
pub(super) struct Cut;

/// What the server of a function tells, besides its answers.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'n> {
    /// An invocation has ended.
    Outcome(&'n Outcome),
    /// The function could not be invoked, for a reason of this machine.
    Failure(&'n Error),
    /// The function's answer is no HTTP response.
    Response(&'n str),
}

/// What answers need.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) function: Function,
    pub(super) tell: Arc<dyn Fn(Notice<'_>) + Send + Sync>,
}

impl Front {
    /// Invokes the function, and tells how that has ended.
    pub(super) async fn invoke(
        &self,
        invocation: Invocation,
        stream: Option<Stream>,
    ) -> Result<Outcome, Error> {
        let result = self.function.invoke(invocation, stream).await;
        match &result {
            Ok(outcome) => (self.tell)(Notice::Outcome(outcome)),
            Err(failure) => (self.tell)(Notice::Failure(failure)),
        }
        result
    }
}

/// The body of a request; `None` if it is larger, or not complete.
pub(super) async fn body(request: Request<Incoming>, most: usize) -> Option<Bytes> {
    Limited::new(request.into_body(), most).collect().await.ok().map(|body| body.to_bytes())
}

pub(super) fn plain(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    answer
}

/// Whether a request names this machine. A page of another site that was opened in a browser reaches it by other names.
pub(super) fn is_local(request: &Request<Incoming>) -> bool {
    let named =
        |name: hyper::header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = named(hyper::header::HOST).or_else(|| request.uri().host());
    let origin =
        named(hyper::header::ORIGIN).map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    host.is_none_or(is_loopback) && origin.is_none_or(is_loopback)
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]" | "sandbox.localdomain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for name in ["localhost:9000", "127.0.0.1:1", "127.0.0.1", "[::1]:9000", "localhost"] {
            assert!(is_loopback(name), "{name}");
        }
        for name in [
            "evil.example",
            "evil.example:9000",
            "127.0.0.1.evil.example",
            "null",
            "",
            "localhost.evil.example:80",
        ] {
            assert!(!is_loopback(name), "{name}");
        }
    }
}
