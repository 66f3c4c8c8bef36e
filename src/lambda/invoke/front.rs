//! Serves a function over HTTP, on this machine.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::function::Function;
use super::http::{Answer, Front, Notice, is_local, plain};
use super::{emulator, url};

/// What requests to a function look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An event to the URL of Lambda's API and of its emulator.
    Invocations,
    /// Any HTTP request, as to a function URL.
    Url,
}

/// Serves a function until the future is dropped. Requests that name another machine are refused: a page in a browser
/// could send them.
pub async fn serve(
    listener: std::net::TcpListener,
    function: Function,
    form: Form,
    tell: impl Fn(Notice<'_>) + Send + Sync + 'static,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let front = Front { function, tell: Arc::new(tell) };
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Too many open files, for example: the next attempt may find some.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let front = front.clone();
        connections.spawn(async move {
            let service = service_fn(|request| {
                let front = front.clone();
                async move { Ok::<_, Infallible>(answer(&front, form, request, peer).await) }
            });
            // The other side closes connections as it likes.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(front: &Front, form: Form, request: Request<Incoming>, peer: SocketAddr) -> Answer {
    if !is_local(&request) {
        return plain(
            StatusCode::FORBIDDEN,
            "the request is not for localhost, or of a page of another site\n",
        );
    }
    match form {
        Form::Invocations => emulator::answer(front, request).await,
        Form::Url => url::answer(front, request, peer).await,
    }
}
