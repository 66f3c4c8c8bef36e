//! Threads that deflate segments.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use super::encoder::Encoder;
use super::window::Window;

/// A segment of the stream, and its deflated form once it has one.
pub(super) struct Segment {
    pub window: Window,
    /// The stream ends with this segment.
    pub last: bool,
    pub deflated: Vec<u8>,
}

impl Segment {
    pub fn new() -> Segment {
        Segment { window: Window::new(), last: false, deflated: Vec::new() }
    }

    pub fn deflate(&mut self, encoder: &mut Encoder) {
        encoder.deflate(&self.window, self.last, &mut self.deflated);
    }
}

/// Threads that deflate queued segments until the pool is dropped.
pub(super) struct Pool {
    pub(super) shared: Arc<Shared>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

/// The next task of the thread that owns the pool.
pub(super) enum Task {
    /// The requested segment is deflated.
    Write(Segment),
    /// A segment, with its number, that no other thread deflates yet.
    Deflate(u64, Segment),
}

pub(super) struct Shared {
    state: Mutex<State>,
    /// Notified when a segment is queued, when one is deflated, and when the pool is closed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Segments to deflate, with their numbers.
    queue: VecDeque<(u64, Segment)>,
    /// Deflated segments by number, or the panic of the thread that deflated them.
    deflated: BTreeMap<u64, thread::Result<Segment>>,
    closed: bool,
}

impl Pool {
    pub fn new(threads: usize) -> Pool {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let spawn = |_| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("deflate".to_owned()).spawn(move || shared.work())
        };
        // A thread that cannot be started only costs time: the owner of the pool deflates the queued segments.
        let threads = (0..threads).map_while(|n| spawn(n).ok()).collect();
        Pool { shared, threads }
    }

    /// Queues a segment.
    pub fn queue(&self, number: u64, segment: Segment) {
        self.shared.lock().queue.push_back((number, segment));
        self.shared.changed.notify_one();
    }

    /// Returns the deflated segment of this number. If it is not ready, returns `None`, or with `block` a queued
    /// segment to deflate; if none is queued, waits.
    ///
    /// # Panics
    /// With the panic of the thread that deflated the segment.
    pub fn next(&self, number: u64, block: bool) -> Option<Task> {
        let mut state = self.shared.lock();
        loop {
            if let Some(deflated) = state.deflated.remove(&number) {
                drop(state);
                return Some(Task::Write(deflated.unwrap_or_else(|panic| panic::resume_unwind(panic))));
            } else if !block {
                return None;
            } else if let Some((number, segment)) = state.queue.pop_front() {
                return Some(Task::Deflate(number, segment));
            }
            state = self.shared.wait(state);
        }
    }

    /// Stores a deflated segment, or the panic of the thread that deflated it.
    pub fn store(&self, number: u64, deflated: thread::Result<Segment>) {
        self.shared.lock().deflated.insert(number, deflated);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue.clear();
        drop(state);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Ignores poisoning: no thread panics while it changes the state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn work(&self) {
        let mut encoder = Encoder::new();
        let mut state = self.lock();
        while !state.closed {
            let Some((number, mut segment)) = state.queue.pop_front() else {
                state = self.wait(state);
                continue;
            };
            drop(state);
            let deflated = panic::catch_unwind(AssertUnwindSafe(|| {
                segment.deflate(&mut encoder);
                segment
            }));
            state = self.lock();
            state.deflated.insert(number, deflated);
            self.changed.notify_all();
        }
    }
}
