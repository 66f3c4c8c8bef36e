//! The socket of Docker's engine, as far as tools ask it whether it is there: `/_ping` and `/version`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.44/#tag/System/operation/SystemPing>

use std::convert::Infallible;
use std::path::Path;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use crate::cli::output::exit::Failure;

/// The version of the API, with which SAM and docker-py are content.
const API: &str = "1.44";

/// Serves the socket until the returned value is dropped.
pub fn serve(path: &Path) -> Result<JoinSet<()>, Failure> {
    let listener =
        UnixListener::bind(path).map_err(|source| Failure::Write { path: path.to_owned(), source })?;
    let mut served = JoinSet::new();
    served.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Too many open files, for example.
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                continue;
            };
            connections.spawn(async move {
                let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
                // The other side closes connections as it likes.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(served)
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    // `/v1.44/_ping`, as most clients write it.
    let path = match path[1.min(path.len())..].split_once('/') {
        Some((version, rest)) if version.starts_with("v1.") => rest,
        _ => path.trim_start_matches('/'),
    };
    let json = |status, json: serde_json::Value| (status, "application/json", json.to_string());
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let (status, kind, text) = match path {
        "_ping" if is_read => (StatusCode::OK, "text/plain; charset=utf-8", "OK".to_owned()),
        "version" if is_read => json(
            StatusCode::OK,
            json!({ "Version": "28.2.2", "ApiVersion": API, "MinAPIVersion": "1.24", "Os": "linux", "Arch": arch() }),
        ),
        _ => {
            let message = "lbuild has no engine: it serves the docker command, not this socket. \
                With SAM, use `sam build --use-buildkit`, or `lbuild sam build`";
            json(StatusCode::NOT_IMPLEMENTED, json!({ "message": message }))
        }
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in [
        ("api-version", API),
        ("builder-version", "1"),
        ("docker-experimental", "false"),
        ("ostype", "linux"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}
