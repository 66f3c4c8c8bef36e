//! Requests and answers of the clients of a function.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};

use super::function::Function;
use crate::error::Error;

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What answers need.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) function: Function,
    pub(super) failures: Arc<dyn Fn(&Error) + Send + Sync>,
}

impl Front {
    /// Tells of a failure of this machine.
    pub(super) fn failed(&self, failure: &Error) {
        (self.failures)(failure);
    }
}

/// The body of a request; `None` if it is larger, or not complete.
pub(super) async fn body(request: Request<Incoming>, most: usize) -> Option<Bytes> {
    Limited::new(request.into_body(), most).collect().await.ok().map(|body| body.to_bytes())
}

pub(super) fn plain(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).boxed_unsync());
    *answer.status_mut() = status;
    answer
}
