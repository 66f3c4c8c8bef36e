//! The HTTP server for runtimes and extensions.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::api::{Answer, Api, plain, unknown};
use super::{extensions_api, runtime_api};

/// Serves the APIs until the task is aborted, with all connections.
pub(super) async fn serve(listener: TcpListener, api: Arc<Api>) {
    let mut connections = JoinSet::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Too many open files, for example: the next attempt may find some.
            Err(_) => {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                continue;
            }
        };
        // An answer is small, and its reader waits for it.
        let _ = stream.set_nodelay(true);
        let api = api.clone();
        connections.spawn(async move {
            let service = service_fn(|request| {
                let api = api.clone();
                async move { Ok::<_, Infallible>(answer(&api, request).await) }
            });
            // The other side closes connections as it likes.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(api: &Arc<Api>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (&method, &segments[..]) {
        (&Method::GET, ["2018-06-01", "ping"]) => plain(StatusCode::OK, "pong"),
        (_, ["2018-06-01", "runtime", rest @ ..]) => runtime_api::answer(api, &method, rest, request).await,
        (_, ["2020-01-01", "extension", rest @ ..]) => {
            extensions_api::answer(api, &method, rest, request).await
        }
        (&Method::PUT, ["2020-08-15", "logs"]) => extensions_api::subscribe(api, request, true).await,
        (&Method::PUT, ["2022-07-01", "telemetry"]) => extensions_api::subscribe(api, request, false).await,
        _ => unknown(),
    }
}
