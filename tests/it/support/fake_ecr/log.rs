//! The log of requests.

use hyper::body::Incoming;
use hyper::{Request, StatusCode, header};

use super::State;

/// One request, with only the scheme of its credential.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    pub method: String,
    pub path: String,
    pub query: String,
    /// `None` if the connection ended without an answer, or before the answer.
    pub status: Option<u16>,
    /// Bytes of the request body.
    pub body: u64,
    pub authorization: Option<String>,
    serial: u64,
}

/// Requests in order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Log(pub Vec<Logged>);

impl Log {
    /// Requests with this method whose path contains `path`, successful or not.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.0.iter().filter(|entry| entry.method == method && entry.path.contains(path)).count()
    }

    /// Successful blob PUTs.
    pub fn blob_uploads(&self) -> usize {
        self.succeeded("PUT", "/blobs/uploads/").count()
    }

    /// Bytes of request bodies sent to upload sessions, failed ones included.
    pub fn blob_bytes(&self) -> u64 {
        self.0.iter().filter(|entry| entry.path.contains("/blobs/uploads/")).map(|entry| entry.body).sum()
    }

    /// Successful manifest PUTs.
    pub fn manifest_puts(&self) -> usize {
        self.succeeded("PUT", "/manifests/").count()
    }

    /// The tags and digests of successful manifest PUTs, in order.
    pub fn manifest_references(&self) -> Vec<&str> {
        self.succeeded("PUT", "/manifests/").filter_map(|entry| entry.path.rsplit('/').next()).collect()
    }

    pub fn heads(&self) -> usize {
        self.count("HEAD", "")
    }

    /// Mounts that succeeded.
    pub fn mounts(&self) -> usize {
        self.succeeded("POST", "/blobs/uploads/").filter(|entry| entry.status == Some(201)).count()
    }

    /// Answers with this status.
    pub fn answered(&self, status: u16) -> usize {
        self.0.iter().filter(|entry| entry.status == Some(status)).count()
    }

    fn succeeded<'a>(&'a self, method: &'a str, path: &'a str) -> impl Iterator<Item = &'a Logged> {
        self.0.iter().filter(move |entry| {
            entry.method == method
                && entry.path.contains(path)
                && entry.status.is_some_and(|status| (200..300).contains(&status))
        })
    }
}

impl State {
    /// Returns the serial number by which `log_answer` finds the entry.
    pub(super) fn log_arrival(&mut self, request: &Request<Incoming>) -> u64 {
        self.arrivals += 1;
        let authorization =
            request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.log.push(Logged {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            status: None,
            body: 0,
            authorization: authorization.and_then(|value| value.split(' ').next()).map(str::to_owned),
            serial: self.arrivals,
        });
        self.arrivals
    }

    pub(super) fn log_answer(&mut self, serial: u64, status: StatusCode, body: usize) {
        if let Some(entry) = self.log.iter_mut().rfind(|entry| entry.serial == serial) {
            entry.status = Some(status.as_u16());
            entry.body = body as u64;
        }
    }
}
