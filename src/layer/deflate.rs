//! One gzip member from several threads, the same bytes for any number of them.
//!
//! The stream is cut into [segments](window::SEGMENT) of one size, whatever the sizes of the writes. Segments are
//! deflated apart from each other and written in order. The thread that writes into [`GzipWriter`] takes part:
//! when enough segments are under way it deflates one itself, so `jobs` threads work and none waits while there
//! is something to do. A segment with no other beside it is never worth a thread: the only one of a stream, and
//! the short one before what is spliced.
//!
//! The compressor is our own. What there is to call makes whole streams only, of which the end must be found again to
//! join them, and cannot be told what stands before a segment; or, as zlib, takes twice the time. It finds matches through
//! hash chains (`matches`, in a `window`), looks a byte ahead before it takes one, lets a block end where that pays
//! (`counts`, `encoder`), and writes it in the shortest of the three forms (`block`, `huffman`, `symbols`, `bits`).

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use flate2::Crc;

pub(super) use block::sync;
use encoder::Encoder;
use window::Window;

mod bits;
mod block;
mod counts;
mod encoder;
mod huffman;
mod matches;
mod symbols;
mod window;

/// Changes with anything below that changes a byte; part of [`super::WRITER_VERSION`].
#[cfg(test)]
pub(super) const VERSION: u32 = 1;

/// [RFC 1952](https://www.rfc-editor.org/rfc/rfc1952): deflate, no flags, no time, no hint at the compressor,
/// made on an unknown system (255), for the bytes do not depend on it.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Compresses what is written to it into one gzip member. [`finish`](GzipWriter::finish) completes it; one that
/// is dropped before leaves a truncated member behind.
pub struct GzipWriter<W: Write> {
    out: W,
    jobs: usize,
    crc: Crc,
    /// Modulo 2³², as the trailer has it.
    size: u32,
    /// The segment that is being filled.
    current: Task,
    /// Segments handed out so far, and how many of them are written.
    begun: u64,
    written: u64,
    spare: Vec<Task>,
    encoder: Encoder,
    pool: Option<Pool>,
}

impl<W: Write> GzipWriter<W> {
    /// A member written to `out`, deflated by `jobs` threads; the caller's is one of them.
    ///
    /// # Errors
    /// When `out` does not take the header.
    pub fn new(mut out: W, jobs: usize) -> io::Result<GzipWriter<W>> {
        out.write_all(&HEADER)?;
        Ok(GzipWriter {
            out,
            jobs,
            crc: Crc::new(),
            size: 0,
            current: Task::new(),
            begun: 0,
            written: 0,
            spare: Vec::new(),
            encoder: Encoder::new(),
            pool: None,
        })
    }

    /// Writes all that is left and the trailer, and gives `out` back.
    ///
    /// # Errors
    /// When `out` does not take them.
    pub fn finish(mut self) -> io::Result<W> {
        self.current.last = true;
        self.hand_out()?;
        self.settle(0)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.size.to_le_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Ends the segment that is being filled, and writes all that is left: what comes next is
    /// [`splice`](GzipWriter::splice)d. Where a splice begins decides bytes, for a segment ends there.
    ///
    /// # Errors
    /// When `out` does not take it.
    pub fn begin_splice(&mut self) -> io::Result<()> {
        if !self.current.window.is_empty() {
            self.hand_out()?;
        }
        // what is spliced is not kept, so nothing is known to stand before what follows it
        self.current.window.clear();
        self.settle(0)
    }

    /// Content whose deflated form is spliced.
    pub fn inflated(&mut self, content: &[u8]) {
        self.crc.update(content);
        self.size = self.size.wrapping_add(content.len() as u32);
    }

    /// Bytes of the member's own stream, after [`begin_splice`](GzipWriter::begin_splice): whole blocks in the end,
    /// none the last of a stream, and up to a byte.
    ///
    /// # Errors
    /// When `out` does not take them.
    pub fn splice(&mut self, deflated: &[u8]) -> io::Result<()> {
        self.out.write_all(deflated)
    }

    fn hand_out(&mut self) -> io::Result<()> {
        let mut next = self.spare.pop().unwrap_or_else(Task::new);
        next.window.follow(&self.current.window);
        let mut task = std::mem::replace(&mut self.current, next);
        let alone = self.begun == self.written && (task.last || !task.window.is_full());
        if self.jobs <= 1 || alone {
            task.run(&mut self.encoder);
            return self.put(task);
        }
        let pool = self.pool.get_or_insert_with(|| Pool::new(self.jobs - 1));
        pool.shared.lock().queue.push_back((self.begun, task));
        pool.shared.changed.notify_one();
        self.begun += 1;
        // enough that the others have work while this thread fills segments or deflates one
        self.settle(self.jobs as u64 + 1)
    }

    /// Writes segments that are done, and goes on working or waiting until at most `open` are not written.
    fn settle(&mut self, open: u64) -> io::Result<()> {
        while let Some(pool) = &self.pool {
            let mut state = pool.shared.lock();
            if let Some(done) = state.done.remove(&self.written) {
                drop(state);
                let task = done.unwrap_or_else(|panic| panic::resume_unwind(panic));
                self.written += 1;
                self.put(task)?;
            } else if self.begun - self.written <= open {
                break;
            } else if let Some((index, mut task)) = state.queue.pop_front() {
                drop(state);
                task.run(&mut self.encoder);
                pool.shared.lock().done.insert(index, Ok(task));
            } else {
                drop(pool.shared.wait(state));
            }
        }
        Ok(())
    }

    fn put(&mut self, task: Task) -> io::Result<()> {
        self.out.write_all(&task.deflated)?;
        self.spare.push(task);
        Ok(())
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // only when something follows: the last segment is another, even when it is full
        if !bytes.is_empty() && self.current.window.is_full() {
            self.hand_out()?;
        }
        let taken = self.current.window.fill(bytes);
        self.inflated(&bytes[..taken]);
        Ok(taken)
    }

    /// Does nothing: the bytes must not depend on when it is called.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Task {
    window: Window,
    last: bool,
    deflated: Vec<u8>,
}

impl Task {
    fn new() -> Task {
        Task { window: Window::new(), last: false, deflated: Vec::new() }
    }

    fn run(&mut self, encoder: &mut Encoder) {
        encoder.deflate(&self.window, self.last, &mut self.deflated);
    }
}

/// Threads that deflate what is queued, until it is dropped.
struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// A segment was queued, one is done, or the pool is closed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(u64, Task)>,
    /// With the panic of the thread, for the writer to pass on.
    done: BTreeMap<u64, thread::Result<Task>>,
    closed: bool,
}

impl Pool {
    fn new(threads: usize) -> Pool {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let spawn = |_| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("deflate".to_owned()).spawn(move || shared.work())
        };
        // a thread that cannot be had costs time only: the writing thread does all that is left to do
        let threads = (0..threads).map_while(|n| spawn(n).ok()).collect();
        Pool { shared, threads }
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
    /// A panic elsewhere leaves a state that is still whole: nothing panics in the middle of a change.
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
            let Some((index, mut task)) = state.queue.pop_front() else {
                state = self.wait(state);
                continue;
            };
            drop(state);
            let done = panic::catch_unwind(AssertUnwindSafe(|| {
                task.run(&mut encoder);
                task
            }));
            state = self.lock();
            state.done.insert(index, done);
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests;
