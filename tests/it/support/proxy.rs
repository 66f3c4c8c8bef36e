//! A proxy between a client and a registry: it adds latency, counts requests, and injects faults by script.
//!
//! `Proxy::to` is a reverse proxy of one server, `Proxy::forward` a proxy for HTTP_PROXY and HTTPS_PROXY. Bodies are
//! streamed. A bench includes it with `#[path = "../tests/it/support/proxy.rs"] mod proxy;`.
#![allow(dead_code, unused_imports, reason = "each user needs other parts")]

// Explicit paths, because a module that is included by path searches its children in another directory.
#[path = "proxy/faults.rs"]
mod faults;
#[path = "proxy/forward.rs"]
mod forward;
#[path = "proxy/listen.rs"]
pub mod listen;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use faults::{ActiveFault, ProxiedBody, pick};
pub use faults::{Fault, Rule};
use forward::{forward, host_of, target_of};
use listen::{Body, Connection, ConnectionClosed, Listener, full};

/// A request that reached the proxy. `status` is that of the client's response, `None` without a response.
#[derive(Clone, Debug)]
pub struct ProxyRequest {
    pub method: Method,
    /// Path and query; for CONNECT `host:port`.
    pub target: String,
    /// The host as the client named it.
    pub host: String,
    /// Whether it had an Authorization header.
    pub authorized: bool,
    pub status: Option<u16>,
    /// Bytes of the response body that were sent to the client.
    pub received: u64,
    pub fault: Option<Fault>,
}

/// Totals since the start or the last `clear`; bytes of bodies and of tunnels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    pub requests: u64,
    /// From clients, since the start.
    pub connections: u64,
    pub sent: u64,
    pub received: u64,
}

/// A running proxy; stops when dropped.
pub struct Proxy {
    listener: Listener,
    shared: Arc<Shared>,
}

struct Shared {
    /// `None` makes it a forward proxy.
    upstream: Option<String>,
    client: Client<HttpConnector, Body>,
    control: Mutex<Control>,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
}

#[derive(Default)]
struct Control {
    latency: Duration,
    rules: Vec<Rule>,
    routes: BTreeMap<String, SocketAddr>,
    seen: Vec<ProxyRequest>,
    /// `received` of each request in `seen`; it may still grow.
    received: Vec<Arc<AtomicU64>>,
    /// The number of `clear` calls, so that a request from before one is not confused with a later one in `seen`.
    cleared: u64,
}

impl Proxy {
    /// A reverse proxy for the plain HTTP server at `upstream` (`host:port`).
    pub fn to(upstream: &str) -> Proxy {
        Proxy::start(Some(upstream.to_owned()))
    }

    /// A forward proxy: CONNECT and absolute URIs.
    pub fn forward() -> Proxy {
        Proxy::start(None)
    }

    fn start(upstream: Option<String>) -> Proxy {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let shared = Arc::new(Shared {
            upstream,
            client: Client::builder(TokioExecutor::new()).build(connector),
            control: Mutex::default(),
            sent: Arc::default(),
            received: Arc::default(),
        });
        let handler = shared.clone();
        let listener =
            Listener::start(move |request, connection| handle(handler.clone(), request, connection));
        Proxy { listener, shared }
    }

    pub fn addr(&self) -> SocketAddr {
        self.listener.addr()
    }

    /// `127.0.0.1:PORT`, for image references.
    pub fn host(&self) -> String {
        self.addr().to_string()
    }

    /// The delay of each request between the arrival of its head and its forwarding.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.control().latency = latency;
    }

    /// Replaces the rules and their counts.
    pub fn set_script(&self, rules: impl IntoIterator<Item = Rule>) {
        self.shared.control().rules = rules.into_iter().collect();
    }

    /// Makes the forward proxy connect to `addr` for `host` (`name:port` as in the request), so that a test can use
    /// names that do not resolve.
    pub fn route(&self, host: &str, addr: SocketAddr) {
        self.shared.control().routes.insert(host.to_owned(), addr);
    }

    /// The requests, in order of arrival.
    pub fn seen(&self) -> Vec<ProxyRequest> {
        let control = self.shared.control();
        let received = control.received.iter().map(|received| received.load(Ordering::Relaxed));
        control
            .seen
            .iter()
            .zip(received)
            .map(|(seen, received)| ProxyRequest { received, ..seen.clone() })
            .collect()
    }

    pub fn count(&self, method: &str, path: &str) -> usize {
        let seen = self.seen();
        seen.iter().filter(|seen| seen.method == method && seen.target.contains(path)).count()
    }

    /// The requested hosts, in order, with repetitions.
    pub fn hosts(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.host).collect()
    }

    pub fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.shared.control().seen.len() as u64,
            connections: self.listener.accepted(),
            sent: self.shared.sent.load(Ordering::Relaxed),
            received: self.shared.received.load(Ordering::Relaxed),
        }
    }

    /// Clears the log and the totals; latency, rules and routes stay.
    pub fn clear(&self) {
        let mut control = self.shared.control();
        control.seen.clear();
        control.received.clear();
        control.cleared += 1;
        self.shared.sent.store(0, Ordering::Relaxed);
        self.shared.received.store(0, Ordering::Relaxed);
    }

    /// The number of injected faults of each rule, in the order of the script.
    pub fn injected(&self) -> Vec<u64> {
        self.shared.control().rules.iter().map(Rule::injected).collect()
    }

    /// Fails unless the fault of every rule was injected at least once.
    #[track_caller]
    pub fn assert_injected(&self) {
        let control = self.shared.control();
        let idle: Vec<_> = control.rules.iter().filter(|rule| rule.injected() == 0).collect();
        assert!(idle.is_empty(), "faults that were not injected: {idle:#?}\nrequests: {:#?}", control.seen);
    }
}

impl Shared {
    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn note_status(&self, (cleared, index): (u64, usize), status: StatusCode) {
        let mut control = self.control();
        if control.cleared == cleared {
            control.seen[index].status = Some(status.as_u16());
        }
    }
}

async fn handle(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    connection: Connection,
) -> Result<Response<Body>, ConnectionClosed> {
    let received = Arc::new(AtomicU64::new(0));
    let (latency, hit, entry) = {
        let mut control = shared.control();
        let (method, target) = (request.method().clone(), target_of(request.uri()));
        let hit = pick(&mut control.rules, &method, &target);
        let (host, fault) = (host_of(&request), hit.as_ref().map(|hit| hit.fault.clone()));
        let authorized = request.headers().contains_key(header::AUTHORIZATION);
        control.seen.push(ProxyRequest {
            method,
            target,
            host,
            authorized,
            status: None,
            received: 0,
            fault,
        });
        control.received.push(received.clone());
        (control.latency, hit, (control.cleared, control.seen.len() - 1))
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let response = answer(&shared, request, &connection, hit).await?;
    shared.note_status(entry, response.status());
    Ok(response.map(|body| ProxiedBody::new(body, received, None).boxed_unsync()))
}

async fn answer(
    shared: &Arc<Shared>,
    mut request: Request<Incoming>,
    connection: &Connection,
    hit: Option<ActiveFault>,
) -> Result<Response<Body>, ConnectionClosed> {
    let Some(hit) = hit else { return Ok(forward(shared, request, None).await) };
    match hit.fault.clone() {
        Fault::Refuse { status, retry_after } => {
            discard(request.body_mut(), u64::MAX).await;
            hit.count();
            Ok(refusal(status, retry_after))
        }
        Fault::ResetBeforeBody | Fault::ResetInBody { .. } | Fault::ResetAfterBody => {
            let (reads, least) = match hit.fault {
                Fault::ResetInBody { at } => (at, at),
                Fault::ResetAfterBody => (u64::MAX, 0),
                _ => (0, 0),
            };
            if discard(request.body_mut(), reads).await >= least {
                hit.count();
            }
            Err(connection.reset())
        }
        Fault::CloseBeforeBody => {
            hit.count();
            Err(ConnectionClosed)
        }
        Fault::CutRequestBody { .. } => {
            let answer = forward(shared, request, Some(hit.clone())).await;
            if hit.counted() { Err(connection.reset()) } else { Ok(answer) }
        }
        Fault::Stall(pause) => {
            hit.count();
            tokio::time::sleep(pause).await;
            Ok(forward(shared, request, None).await)
        }
        Fault::CommitThen { .. } | Fault::CommitThenReset | Fault::CommitThenClose => {
            let mut committed = forward(shared, request, None).await;
            while let Some(Ok(_)) = committed.frame().await {}
            hit.count();
            match hit.fault {
                Fault::CommitThen { status } => Ok(refusal(status, None)),
                Fault::CommitThenClose => Err(ConnectionClosed),
                _ => Err(connection.reset()),
            }
        }
        Fault::ResetBody { .. } => {
            let _at_its_end = connection.reset();
            Ok(forward(shared, request, Some(hit)).await)
        }
        Fault::CutBody { .. }
        | Fault::CorruptByte { .. }
        | Fault::CorruptRequestByte { .. }
        | Fault::StallBody { .. } => Ok(forward(shared, request, Some(hit)).await),
    }
}

/// Reads and discards at least `enough` bytes of a request body, or all of it.
async fn discard(body: &mut Incoming, enough: u64) -> u64 {
    let mut read = 0;
    while read < enough {
        let Some(Ok(frame)) = body.frame().await else { break };
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    read
}

fn refusal(status: u16, retry_after: Option<String>) -> Response<Body> {
    let code = match status {
        429 => "TOOMANYREQUESTS",
        503 => "UNAVAILABLE",
        _ => "UNKNOWN",
    };
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"injected by the test proxy"}}]}}"#);
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    if let Some(value) = retry_after {
        response = response.header(header::RETRY_AFTER, value);
    }
    response.body(full(body)).expect("a well-formed response")
}
