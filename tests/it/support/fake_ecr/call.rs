//! A request, read and parsed.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use hyper::header;
use hyper::http::request::Parts;

/// A request with its body; the body is `None` if the connection ended before it was complete.
pub(super) struct Call {
    pub head: Parts,
    pub query: BTreeMap<String, Vec<String>>,
    pub body: Option<Bytes>,
}

impl Call {
    pub fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name)?.first().map(String::as_str)
    }
}

pub(super) enum Route {
    Ping,
    Token,
    Tags { repository: String },
    Manifest { repository: String, reference: String },
    Blob { repository: String, digest: String },
    Uploads { repository: String },
    Upload { repository: String, id: String },
}

impl Route {
    pub fn of(path: &str) -> Option<Route> {
        match path {
            "/v2/" | "/v2" => return Some(Route::Ping),
            "/token" => return Some(Route::Token),
            _ => (),
        }
        let path = path.strip_prefix("/v2/")?;
        if let Some(repository) = path.strip_suffix("/tags/list") {
            return Some(Route::Tags { repository: repository.to_owned() });
        }
        let (front, last) = path.rsplit_once('/')?;
        let last = last.to_owned();
        let (repository, kind) = ["/blobs/uploads", "/blobs", "/manifests"]
            .into_iter()
            .find_map(|kind| Some((front.strip_suffix(kind)?.to_owned(), kind)))?;
        Some(match kind {
            "/manifests" => Route::Manifest { repository, reference: last },
            "/blobs" => Route::Blob { repository, digest: last },
            _ if last.is_empty() => Route::Uploads { repository },
            _ => Route::Upload { repository, id: last },
        })
    }

    pub fn repository(&self) -> Option<&str> {
        match self {
            Route::Ping | Route::Token => None,
            Route::Tags { repository }
            | Route::Manifest { repository, .. }
            | Route::Blob { repository, .. }
            | Route::Uploads { repository }
            | Route::Upload { repository, .. } => Some(repository),
        }
    }
}

/// Parses a query string or a form.
pub(super) fn query_of(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut pairs = BTreeMap::<String, Vec<String>>::new();
    let url = reqwest::Url::parse(&format!("http://query/?{text}")).expect("a query is always well-formed");
    for (name, value) in url.query_pairs() {
        pairs.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    pairs
}
