//! Logs and events for extensions: <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api.html>, and the Logs API
//! before it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::join_all;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

/// The events of the init phase, which a later subscriber gets too.
const BACKLOG: usize = 1000;
/// The longest line of a log; a longer one is cut.
const LINE: usize = 256 << 10;
/// How long subscribers may take for what is left at the end.
const LAST: Duration = Duration::from_millis(500);
/// The events that wait for one subscriber; more are lost.
const WAITING: usize = 10_000;
/// How long a subscriber may take for one batch.
const PATIENCE: Duration = Duration::from_secs(2);

/// The body of a subscription.
#[derive(Deserialize)]
pub(super) struct Subscription {
    types: Vec<String>,
    destination: Target,
    #[serde(default)]
    buffering: Buffering,
}

#[derive(Deserialize)]
struct Target {
    protocol: String,
    #[serde(rename = "URI")]
    uri: Option<String>,
    port: Option<u16>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Buffering {
    timeout_ms: u64,
    max_bytes: usize,
    max_items: usize,
}

impl Default for Buffering {
    fn default() -> Buffering {
        Buffering { timeout_ms: 1000, max_bytes: 256 << 10, max_items: 10_000 }
    }
}

/// An event of one of the types `platform`, `function` and `extension`.
#[derive(Clone)]
struct Event {
    /// `platform`, `function` or `extension`.
    stream: &'static str,
    /// As the Logs API has it; `None` if it has no such event.
    old: Option<Value>,
    /// As the Telemetry API has it.
    new: Option<Value>,
}

/// The subscribers of an execution environment.
#[derive(Default)]
pub(super) struct Telemetry {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    subscribers: Vec<Subscriber>,
    backlog: VecDeque<Event>,
    /// Connections to a network that is not this machine's go over these.
    sockets: Option<Vec<OwnedFd>>,
    /// The rest of what was written without an end of line, by the stream.
    lines: [Vec<u8>; 2],
    /// The init phase is over: nobody can subscribe any more.
    is_closed: bool,
}

/// Why there is no subscription.
pub(super) enum SubscriptionFault {
    Closed,
    Invalid(String),
}

/// What a subscriber's task gets.
enum Item {
    Event(Value),
    /// Send all at once, and tell.
    Flush(oneshot::Sender<()>),
}

struct Subscriber {
    types: Vec<String>,
    is_old: bool,
    events: mpsc::Sender<Item>,
    /// Ends the task when the subscriber is dropped.
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where batches are sent.
enum Destination {
    Http { port: u16, path: String },
    Tcp { port: u16 },
}

impl Telemetry {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections go over this socket from now on.
    pub(super) fn socket(&self, socket: OwnedFd) {
        self.lock().sockets.get_or_insert_default().push(socket);
    }

    /// Subscribes an extension.
    ///
    /// # Errors
    /// What is wrong with the subscription.
    pub(super) fn subscribe(
        &self,
        name: &str,
        subscription: Subscription,
        is_old: bool,
    ) -> Result<(), SubscriptionFault> {
        let Subscription { types, destination, buffering } = subscription;
        if let Some(unknown) =
            types.iter().find(|name| !matches!(name.as_str(), "platform" | "function" | "extension"))
        {
            let message = format!("types: {unknown} is not one of platform, function, extension");
            return Err(SubscriptionFault::Invalid(message));
        }
        let to = target(&destination).map_err(SubscriptionFault::Invalid)?;
        let mut inner = self.lock();
        if inner.is_closed {
            return Err(SubscriptionFault::Closed);
        }
        let socket = match &mut inner.sockets {
            Some(sockets) => Some(
                sockets
                    .pop()
                    .ok_or_else(|| SubscriptionFault::Invalid("too many subscriptions".to_owned()))?,
            ),
            None => None,
        };
        let (events, receiver) = mpsc::channel(WAITING);
        let task = tokio::spawn(deliver(receiver, to, buffering, socket));
        let subscriber = Subscriber { types: types.clone(), is_old, events, task };
        inner.backlog.iter().for_each(|event| subscriber.give(event));
        inner.subscribers.push(subscriber);
        drop(inner);
        let record = json!({ "name": name, "state": "Subscribed", "types": types });
        self.platform(
            "platform.telemetrySubscription",
            record.clone(),
            Some(("platform.logsSubscription", record)),
        );
        Ok(())
    }

    /// An event of Lambda itself; `old` is that of the Logs API.
    pub(super) fn platform(&self, name: &str, record: Value, old: Option<(&str, Value)>) {
        let time = now();
        let old = old.map(|(name, record)| json!({ "time": time, "type": name, "record": record }));
        let new = json!({ "time": time, "type": name, "record": record });
        self.emit(Event { stream: "platform", old, new: Some(new) });
    }

    /// An event of the Logs API alone.
    pub(super) fn old(&self, name: &str, record: Value) {
        let old = json!({ "time": now(), "type": name, "record": record });
        self.emit(Event { stream: "platform", old: Some(old), new: None });
    }

    /// The state of an extension.
    pub(super) fn extension(&self, name: &str, state: &str, events: &[String]) {
        let record = json!({ "name": name, "state": state, "events": events });
        self.platform("platform.extension", record.clone(), Some(("platform.extension", record)));
    }

    /// What the runtime or an extension has written: an event for each line.
    pub(super) fn written(&self, by_extension: bool, piece: &[u8]) {
        let stream = if by_extension { "extension" } else { "function" };
        let mut inner = self.lock();
        if inner.is_closed && inner.subscribers.is_empty() {
            return;
        }
        let rest = &mut inner.lines[usize::from(by_extension)];
        // What was there before has no end of line.
        let end = piece.iter().rposition(|byte| *byte == b'\n').map(|end| rest.len() + end);
        rest.extend_from_slice(piece);
        let whole: Vec<u8> = match end {
            Some(end) => rest.drain(..=end).collect(),
            None if rest.len() > LINE => std::mem::take(rest),
            None => return,
        };
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            let event = json!({ "time": now(), "type": stream, "record": text.trim_end_matches('\n') });
            inner.emit(Event { stream, old: Some(event.clone()), new: Some(event) });
        }
    }

    fn emit(&self, event: Event) {
        self.lock().emit(event);
    }

    /// The init phase is over: nobody can subscribe any more.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        inner.backlog.clear();
    }

    /// Waits until the subscribers have what was told so far, for a moment.
    pub(super) async fn flush(&self) {
        let senders: Vec<_> =
            self.lock().subscribers.iter().map(|subscriber| subscriber.events.clone()).collect();
        let flushing = senders.iter().map(async |sender| {
            let (done, told) = oneshot::channel();
            if sender.send(Item::Flush(done)).await.is_ok() {
                let _ = told.await;
            }
        });
        let _ = timeout(LAST, join_all(flushing)).await;
    }
}

impl Inner {
    fn emit(&mut self, event: Event) {
        self.subscribers.iter().for_each(|subscriber| subscriber.give(&event));
        if !self.is_closed && self.backlog.len() < BACKLOG {
            self.backlog.push_back(event);
        }
    }
}

impl Subscriber {
    fn give(&self, event: &Event) {
        let value = if self.is_old { &event.old } else { &event.new };
        if let Some(value) = value.as_ref().filter(|_| self.types.iter().any(|name| name == event.stream)) {
            // One that does not read loses events.
            let _ = self.events.try_send(Item::Event(value.clone()));
        }
    }
}

fn now() -> String {
    DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn target(target: &Target) -> Result<Destination, String> {
    match (target.protocol.as_str(), &target.uri, target.port) {
        ("TCP", _, Some(port)) => Ok(Destination::Tcp { port }),
        ("TCP", _, None) => Err("destination: TCP needs a port".to_owned()),
        ("HTTP", Some(uri), _) => {
            let uri: hyper::Uri = uri.parse().map_err(|error| format!("destination.URI: {error}"))?;
            let host = uri.host().unwrap_or_default();
            if !matches!(
                host,
                "sandbox" | "sandbox.localdomain" | "sandbox.local" | "localhost" | "127.0.0.1"
            ) {
                return Err(format!("destination.URI: the host must be sandbox.localdomain, and is {host}"));
            }
            let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
            Ok(Destination::Http { port: uri.port_u16().unwrap_or(80), path })
        }
        ("HTTP", None, _) => Err("destination: HTTP needs a URI".to_owned()),
        (other, ..) => Err(format!("destination.protocol: {other} is not HTTP or TCP")),
    }
}

/// The connection to a subscriber.
enum Connection {
    Http(SendRequest<Full<Bytes>>, tokio::task::JoinHandle<()>),
    Tcp(TcpStream),
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Connection::Http(_, task) = self {
            task.abort();
        }
    }
}

/// Sends batches of events until there are no more.
async fn deliver(
    mut events: mpsc::Receiver<Item>,
    to: Destination,
    buffering: Buffering,
    mut socket: Option<OwnedFd>,
) {
    let is_own_network = socket.is_some();
    let mut connection = None;
    loop {
        let (batch, flushed) = collected(&mut events, buffering).await;
        if batch.is_empty() {
            match flushed {
                Some(flushed) => {
                    let _ = flushed.send(());
                    continue;
                }
                None => return,
            }
        }
        // The subscriber may not listen yet, or not any more: logs are then lost, and the function goes on.
        for _ in 0..2 {
            if connection.is_none() {
                if is_own_network && socket.is_none() {
                    return;
                }
                connection = timeout(PATIENCE, connect(&to, socket.take())).await.ok().and_then(Result::ok);
            }
            let Some(open) = &mut connection else { break };
            match timeout(PATIENCE, send(open, &to, &batch)).await {
                Ok(Ok(())) => break,
                _ => connection = None,
            }
        }
        if let Some(flushed) = flushed {
            let _ = flushed.send(());
        }
    }
}

/// The events of the next batch; none if there are no more, or if nothing waits for a caller that is to be told.
async fn collected(
    events: &mut mpsc::Receiver<Item>,
    buffering: Buffering,
) -> (Vec<Value>, Option<oneshot::Sender<()>>) {
    let (mut batch, mut size, mut until) = (Vec::new(), 0, None);
    while batch.len() < buffering.max_items.max(1) && size < buffering.max_bytes.max(1) {
        let next = match until {
            None => events.recv().await,
            Some(until) => match tokio::time::timeout_at(until, events.recv()).await {
                Ok(next) => next,
                Err(_) => break,
            },
        };
        match next {
            Some(Item::Event(event)) => {
                let patience = Duration::from_millis(buffering.timeout_ms.clamp(1, 30_000));
                until.get_or_insert_with(|| Instant::now() + patience);
                size += event.to_string().len();
                batch.push(event);
            }
            Some(Item::Flush(flushed)) => return (batch, Some(flushed)),
            None => break,
        }
    }
    (batch, None)
}

async fn connect(to: &Destination, socket: Option<OwnedFd>) -> std::io::Result<Connection> {
    let port = match to {
        Destination::Http { port, .. } | Destination::Tcp { port } => *port,
    };
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let stream = match socket {
        None => TcpStream::connect(address).await?,
        Some(socket) => {
            let socket = std::net::TcpStream::from(socket);
            socket.set_nonblocking(true)?;
            TcpSocket::from_std_stream(socket).connect(address).await?
        }
    };
    match to {
        Destination::Tcp { .. } => Ok(Connection::Tcp(stream)),
        Destination::Http { .. } => {
            let (sender, connection) =
                handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
            let task = tokio::spawn(async move { drop(connection.await) });
            Ok(Connection::Http(sender, task))
        }
    }
}

async fn send(connection: &mut Connection, to: &Destination, batch: &[Value]) -> std::io::Result<()> {
    match (connection, to) {
        (Connection::Http(sender, _), Destination::Http { port, path }) => {
            let body = Bytes::from(json!(batch).to_string());
            let request = Request::post(path)
                .header("host", format!("sandbox.localdomain:{port}"))
                .header("content-type", "application/json")
                .body(Full::new(body))
                .map_err(std::io::Error::other)?;
            sender.ready().await.map_err(std::io::Error::other)?;
            let answer = sender.send_request(request).await.map_err(std::io::Error::other)?;
            http_body_util::BodyExt::collect(answer.into_body()).await.map_err(std::io::Error::other)?;
            Ok(())
        }
        (Connection::Tcp(stream), _) => {
            let lines: String = batch.iter().map(|event| format!("{event}\n")).collect();
            stream.write_all(lines.as_bytes()).await
        }
        (Connection::Http(..), Destination::Tcp { .. }) => Err(std::io::ErrorKind::InvalidInput.into()),
    }
}
