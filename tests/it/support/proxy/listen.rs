//! An HTTP/1.1 server on 127.0.0.1 with its own thread, so that a test needs no async runtime.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, Socket};
use tokio::sync::oneshot;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body without a known length, in pieces.
pub fn chunked(bytes: Bytes) -> Body {
    let pieces: Vec<_> = bytes.chunks(1000).map(|piece| Ok(Frame::data(bytes.slice_ref(piece)))).collect();
    StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync()
}

/// The handler's error that closes the connection without a response.
#[derive(Debug)]
pub struct ConnectionClosed;

impl fmt::Display for ConnectionClosed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("connection closed on purpose")
    }
}

impl std::error::Error for ConnectionClosed {}

/// The connection of a request.
#[derive(Clone)]
pub struct Connection(Arc<Socket>);

impl Connection {
    /// Makes the connection end with a RST instead of a FIN.
    pub fn reset(&self) -> ConnectionClosed {
        let _ = self.0.set_linger(Some(Duration::ZERO));
        ConnectionClosed
    }
}

/// Dropping it closes every connection and ends the thread.
pub struct Listener {
    addr: SocketAddr,
    accepted: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    pub fn start<H, F>(handler: H) -> Listener
    where
        H: Fn(Request<Incoming>, Connection) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response<Body>, ConnectionClosed>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind a loopback port");
        listener.set_nonblocking(true).expect("make the listener non-blocking");
        let addr = listener.local_addr().expect("read the bound address");
        let accepted = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let counter = accepted.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("start a runtime");
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => (),
                    _ = accept(listener, handler, counter) => (),
                }
            });
            runtime.shutdown_background();
        });
        Listener { addr, accepted, stop: Some(stop), thread: Some(thread) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept<H, F>(listener: TcpListener, handler: H, accepted: Arc<AtomicU64>)
where
    H: Fn(Request<Incoming>, Connection) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<Body>, ConnectionClosed>> + Send + 'static,
{
    let listener = tokio::net::TcpListener::from_std(listener).expect("register the listener");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: retry when others are closed.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let Ok(socket) = SockRef::from(&stream).try_clone() else { continue };
        accepted.fetch_add(1, Ordering::Relaxed);
        let _ = stream.set_nodelay(true);
        let (connection, handler) = (Connection(Arc::new(socket)), handler.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| handler(request, connection.clone()));
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            // Errors are disconnected clients and connections closed on purpose, not faults of the server.
            let _ = served.await;
        });
    }
}
