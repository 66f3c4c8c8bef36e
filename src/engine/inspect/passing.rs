//! Scans layers that pass through this machine on their way to a registry, so that they need not be fetched again for
//! the check of the image.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::scan;
use crate::engine::gate::Gate;
use crate::engine::session::Session;
use crate::error::Result;
use crate::image::{Blob, Config, Digest};
use crate::scan::{Annotate, LayerScan, MemoryBudget, NoFact};
use crate::store::ByteStream;
use crate::threads::blocking;

/// The number of pieces of a layer that may wait for its scan.
const WAITING: usize = 16;

/// Scans layers on their way to a registry. A scan is kept in the cache.
pub(in crate::engine) trait Passing: Send + Sync {
    /// The same bytes, which are scanned as they pass. `passed` is opened once all of them have passed and have been
    /// scanned, or at once if the scan is known.
    fn scanned(&self, blob: &Blob, bytes: ByteStream, passed: &Arc<Gate>) -> ByteStream;
    /// Waits for the scans of a layer that have begun. Returns whether the layer passed, but cannot be scanned.
    fn settled(&self, layer: Digest) -> BoxFuture<'_, bool>;
    /// The scan of a layer, without what was looked for in its files. It is made if it is not known. Its memory counts
    /// against the budget of the scanner.
    fn listed<'a>(&'a self, image: &'a str, layer: &'a Blob) -> BoxFuture<'a, Result<LayerScan<NoFact>>>;
}

/// Makes the scanner for an image with this config.
pub(in crate::engine) type Scanner = Arc<dyn Fn(&Config) -> Arc<dyn Passing> + Send + Sync>;

/// The scanner whose annotator `annotator` makes for the config of the image.
pub(in crate::engine) fn scanner<A: Annotate>(
    session: &Arc<Session>,
    annotator: impl Fn(&Config) -> A + Send + Sync + 'static,
) -> Scanner {
    let session = session.clone();
    Arc::new(move |config| {
        let (session, annotator) = (session.clone(), Arc::new(annotator(config)));
        let budget = scan::budget(&annotator);
        Arc::new(Scans { session, annotator, budget, begun: Mutex::default(), failed: Mutex::default() })
    })
}

struct Scans<A: Annotate> {
    session: Arc<Session>,
    annotator: Arc<A>,
    /// The budget of the scans under way.
    budget: MemoryBudget<A::Fact>,
    /// By the digest of the layer. An upload that is repeated begins another scan.
    begun: Mutex<HashMap<Digest, Vec<JoinHandle<bool>>>>,
    /// The layers that passed, but cannot be scanned.
    failed: Mutex<HashSet<Digest>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<A: Annotate> Passing for Scans<A> {
    fn scanned(&self, blob: &Blob, bytes: ByteStream, passed: &Arc<Gate>) -> ByteStream {
        let Blob { digest, size, .. } = *blob;
        if scan::is_known(&self.session, digest, &*self.annotator) {
            passed.open();
            return bytes;
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        let (session, annotator) = (self.session.clone(), self.annotator.clone());
        let (budget, passed) = (self.budget.clone(), passed.clone());
        let scan = blocking(move |_| {
            let mut pieces = Pieces { receiver, piece: Bytes::new(), count: 0 };
            let scanned =
                scan::of_passing(&session, digest, size, BufReader::new(&mut pieces), &*annotator, &budget);
            // A scan may end with an error before the layer does.
            let is_complete = io::copy(&mut pieces, &mut io::sink()).is_ok() && pieces.count == size;
            if is_complete {
                passed.open();
            }
            // The check reads a layer again that cannot be scanned, and reports the error.
            Ok(scanned.is_err() && is_complete)
        });
        // Without a thread, the check reads the layer.
        let task = tokio::spawn(async { scan.await.unwrap_or(false) });
        lock(&self.begun).entry(digest).or_default().push(task);
        copied(bytes, sender, size)
    }

    fn settled(&self, layer: Digest) -> BoxFuture<'_, bool> {
        let tasks = lock(&self.begun).remove(&layer);
        let all = join_all(tasks.into_iter().flatten());
        let settled = all.map(move |ends| {
            let mut failed = lock(&self.failed);
            if ends.into_iter().any(|end| end.unwrap_or(false)) {
                failed.insert(layer);
            }
            failed.contains(&layer)
        });
        settled.boxed()
    }

    fn listed<'a>(&'a self, image: &'a str, layer: &'a Blob) -> BoxFuture<'a, Result<LayerScan<NoFact>>> {
        scan::listed(&self.session, image, layer, self.annotator.clone(), &self.budget).boxed()
    }
}

/// The stream, whose pieces are copied to `to`.
fn copied(bytes: ByteStream, to: mpsc::Sender<Bytes>, size: u64) -> ByteStream {
    let state = (bytes, Some(to), size);
    Box::pin(stream::unfold(state, |(mut bytes, mut to, mut left)| async move {
        let item = bytes.next().await?;
        match (&item, &to) {
            (Ok(piece), Some(open)) => {
                left = left.saturating_sub(piece.len() as u64);
                // The scan may have ended with an error. After the last byte, the receiver of the stream may not ask
                // for its end.
                if open.send(piece.clone()).await.is_err() || left == 0 {
                    to = None;
                }
            }
            _ => to = None,
        }
        Some((item, (bytes, to, left)))
    }))
}

/// Reads pieces as they arrive.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
    /// The number of bytes read.
    count: u64,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        self.count += length as u64;
        Ok(length)
    }
}
