//! What a script may do to a request, and when.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::Method;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::Sleep;

use super::listen::BoxError;

/// Positions are byte offsets. A fault in a body that ends before the offset does not happen and is not counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Reads the request body, then answers without forwarding.
    Refuse { status: u16, retry_after: Option<String> },
    /// Ends the connection with a RST when only the request head was read.
    ResetBeforeBody,
    /// The same once `at` bytes of the request body were read.
    ResetInBody { at: u64 },
    /// The same once the whole request body was read; nothing is forwarded.
    ResetAfterBody,
    /// Waits before it reads the request body or forwards anything: no byte moves in either direction.
    Stall(Duration),
    /// Forwards, and answers with `status` whatever came back.
    CommitThen { status: u16 },
    /// Forwards, then ends the connection with a RST.
    CommitThenReset,
    /// The response body ends early, though its Content-Length said more.
    CutBody { at: u64 },
    /// The same, and the connection ends with a RST.
    ResetBody { at: u64 },
    /// One byte of the response body is another.
    CorruptByte { at: u64 },
    /// The response body pauses.
    StallBody { at: u64, pause: Duration },
}

impl Fault {
    pub fn too_many_requests(retry_after_seconds: u64) -> Fault {
        Fault::Refuse { status: 429, retry_after: Some(retry_after_seconds.to_string()) }
    }

    pub fn unavailable() -> Fault {
        Fault::Refuse { status: 503, retry_after: None }
    }
}

/// A fault, and the requests it is for: `Rule::on("PUT", "/blobs/uploads/", Fault::unavailable()).nth(2)`.
#[derive(Clone, Debug)]
pub struct Rule {
    method: Option<Method>,
    path: String,
    fault: Fault,
    hits: Range<u64>,
    matched: u64,
    injected: Arc<AtomicU64>,
}

impl Rule {
    /// `method` may be `*`. `path` is looked for anywhere in path and query; a `*` in it stands for any text.
    /// For a CONNECT the path is `host:port`. Without more it is for the first such request.
    pub fn on(method: &str, path: &str, fault: Fault) -> Rule {
        let method = (method != "*").then(|| method.parse().expect("an HTTP method"));
        Rule { method, path: path.to_owned(), fault, hits: 0..1, matched: 0, injected: Arc::default() }
    }

    /// For the `n`th matching request only, counted from 1.
    pub fn nth(self, n: u64) -> Rule {
        Rule { hits: n - 1..n, ..self }
    }

    /// For the first `n` matching requests.
    pub fn times(self, n: u64) -> Rule {
        Rule { hits: 0..n, ..self }
    }

    pub fn always(self) -> Rule {
        Rule { hits: 0..u64::MAX, ..self }
    }

    pub fn injected(&self) -> u64 {
        self.injected.load(Ordering::Relaxed)
    }

    fn matches(&self, method: &Method, target: &str) -> bool {
        let mut rest = Some(target);
        for part in self.path.split('*') {
            rest = rest.and_then(|text| text.split_once(part)).map(|(_, after)| after);
        }
        rest.is_some() && self.method.as_ref().is_none_or(|wanted| wanted == method)
    }
}

/// A fault that fell on a request.
pub struct ActiveFault {
    pub fault: Fault,
    injected: Arc<AtomicU64>,
}

impl ActiveFault {
    pub fn count(&self) {
        self.injected.fetch_add(1, Ordering::Relaxed);
    }
}

/// Every rule counts the requests that match it; the first rule whose turn it is gives the fault.
pub fn pick(rules: &mut [Rule], method: &Method, target: &str) -> Option<ActiveFault> {
    let mut hit = None;
    for rule in rules.iter_mut().filter(|rule| rule.matches(method, target)) {
        let turn = rule.hits.contains(&rule.matched);
        rule.matched += 1;
        if turn && hit.is_none() {
            hit = Some(ActiveFault { fault: rule.fault.clone(), injected: rule.injected.clone() });
        }
    }
    hit
}

/// A body on its way through: counted, and spoiled if a fault says so.
pub struct ProxiedBody<B> {
    inner: B,
    counter: Arc<AtomicU64>,
    passed: u64,
    hit: Option<ActiveFault>,
    pause: Option<Pin<Box<Sleep>>>,
    /// What comes after the pause.
    after: AfterPause,
}

enum AfterPause {
    Go(Option<Bytes>),
    Cut,
}

impl<B> ProxiedBody<B> {
    pub fn new(inner: B, counter: Arc<AtomicU64>, hit: Option<ActiveFault>) -> ProxiedBody<B> {
        ProxiedBody { inner, counter, passed: 0, hit, pause: None, after: AfterPause::Go(None) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ProxiedBody<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        match &mut this.after {
            AfterPause::Cut => return Poll::Ready(Some(Err("body cut on purpose".into()))),
            AfterPause::Go(held) => {
                if let Some(bytes) = held.take() {
                    return Poll::Ready(Some(Ok(this.pass(bytes))));
                }
            }
        }
        let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
            Some(frame) => frame.map_err(Into::into)?,
            None => return Poll::Ready(None),
        };
        let bytes = match frame.into_data() {
            Ok(bytes) => bytes,
            Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
        };
        match this.spoil(bytes) {
            Some(bytes) => Poll::Ready(Some(Ok(this.pass(bytes)))),
            // The pause has to be polled once, or nothing wakes this task.
            None => self.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pause.is_none() && matches!(self.after, AfterPause::Go(None)) && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> ProxiedBody<B> {
    fn pass(&mut self, bytes: Bytes) -> Frame<Bytes> {
        self.passed += bytes.len() as u64;
        self.counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Frame::data(bytes)
    }

    /// What of `bytes` may go now; `None` when a pause comes first.
    fn spoil(&mut self, mut bytes: Bytes) -> Option<Bytes> {
        let Some(hit) = &self.hit else { return Some(bytes) };
        let (Fault::CutBody { at }
        | Fault::ResetBody { at }
        | Fault::CorruptByte { at }
        | Fault::StallBody { at, .. }) = hit.fault
        else {
            return Some(bytes);
        };
        let offset = at.saturating_sub(self.passed) as usize;
        if offset >= bytes.len() {
            return Some(bytes);
        }
        hit.count();
        let hit = self.hit.take()?;
        let pause = match hit.fault {
            Fault::CorruptByte { .. } => {
                let mut changed = bytes.to_vec();
                changed[offset] ^= 1;
                return Some(changed.into());
            }
            Fault::StallBody { pause, .. } => {
                self.after = AfterPause::Go(Some(bytes.split_off(offset)));
                pause
            }
            // Time for the server to write what came before: an error throws away what it still holds.
            _ => {
                bytes.truncate(offset);
                self.after = AfterPause::Cut;
                Duration::from_millis(20)
            }
        };
        self.pause = Some(Box::pin(tokio::time::sleep(pause)));
        (!bytes.is_empty()).then_some(bytes)
    }
}
