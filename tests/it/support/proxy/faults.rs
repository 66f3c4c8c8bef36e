//! Faults, and the rules that select requests for them.

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

/// Positions are byte offsets. If a body ends before the offset, its fault is not injected and not counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Reads the request body, then answers without forwarding.
    Refuse { status: u16, retry_after: Option<String> },
    /// Ends the connection with a RST after the request head was read.
    ResetBeforeBody,
    /// Like `ResetBeforeBody`, but after `at` bytes of the request body were read.
    ResetInBody { at: u64 },
    /// Like `ResetBeforeBody`, but after the whole request body was read; nothing is forwarded.
    ResetAfterBody,
    /// Closes the connection with a FIN after the request head was read.
    CloseBeforeBody,
    /// Forwards the beginning of the request body, and then ends both connections.
    CutRequestBody { at: u64 },
    /// One byte of the request body is changed before it is forwarded.
    CorruptRequestByte { at: u64 },
    /// Waits before it reads the request body or forwards anything: no byte moves in either direction.
    Stall(Duration),
    /// Forwards the request, but answers with `status`.
    CommitThen { status: u16 },
    /// Forwards the request, then ends the connection with a RST.
    CommitThenReset,
    /// Forwards the request, then closes the connection with a FIN.
    CommitThenClose,
    /// The response body ends before its Content-Length.
    CutBody { at: u64 },
    /// Like `CutBody`, but the connection ends with a RST.
    ResetBody { at: u64 },
    /// One byte of the response body is changed.
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

/// A fault and the requests for it: `Rule::on("PUT", "/blobs/uploads/", Fault::unavailable()).nth(2)`.
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
    /// `method` may be `*`. `path` matches anywhere in path and query; a `*` in it matches any text. The path of a
    /// CONNECT is `host:port`. By default the rule is for the first matching request.
    pub fn on(method: &str, path: &str, fault: Fault) -> Rule {
        let method = (method != "*").then(|| method.parse().expect("an HTTP method"));
        Rule { method, path: path.to_owned(), fault, hits: 0..1, matched: 0, injected: Arc::default() }
    }

    /// Only for the `n`th matching request, counted from 1.
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

/// A fault that was selected for a request.
#[derive(Clone)]
pub struct ActiveFault {
    pub fault: Fault,
    injected: Arc<AtomicU64>,
}

impl ActiveFault {
    pub fn count(&self) {
        self.injected.fetch_add(1, Ordering::Relaxed);
    }

    pub fn counted(&self) -> bool {
        self.injected.load(Ordering::Relaxed) > 0
    }
}

/// Every rule counts its matching requests; the first rule whose `hits` contain that count gives the fault.
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

/// A body that passes through the proxy: counted, and damaged by a fault.
pub struct ProxiedBody<B> {
    inner: B,
    counter: Arc<AtomicU64>,
    passed: u64,
    hit: Option<ActiveFault>,
    pause: Option<Pin<Box<Sleep>>>,
    /// The action after the pause.
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
        match this.damage(bytes) {
            Some(bytes) => Poll::Ready(Some(Ok(this.pass(bytes)))),
            // Polls the pause; otherwise nothing would wake this task.
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

    /// The part of `bytes` to send now; `None` if a pause comes first.
    fn damage(&mut self, mut bytes: Bytes) -> Option<Bytes> {
        let Some(hit) = &self.hit else { return Some(bytes) };
        let (Fault::CutBody { at }
        | Fault::ResetBody { at }
        | Fault::CutRequestBody { at }
        | Fault::CorruptByte { at }
        | Fault::CorruptRequestByte { at }
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
            Fault::CorruptByte { .. } | Fault::CorruptRequestByte { .. } => {
                let mut changed = bytes.to_vec();
                changed[offset] ^= 1;
                return Some(changed.into());
            }
            Fault::StallBody { pause, .. } => {
                self.after = AfterPause::Go(Some(bytes.split_off(offset)));
                pause
            }
            // The pause lets the server write the preceding bytes: an error discards its buffer.
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
