//! What a function prints, and Lambda's own lines about it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A piece of the log of a function.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum LogRecord<'r> {
    /// Bytes that the runtime has written.
    Function(&'r [u8]),
    /// Bytes that an extension has written.
    Extension(&'r [u8]),
    /// A line of Lambda itself, such as START, END and REPORT; or several.
    Platform(&'r str),
}

/// The most of a log that is kept, as much as Lambda returns with an invocation:
/// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#lambda-Invoke-request-LogType>.
const TAIL: usize = 4 << 10;

/// The receiver of logs, and the end of what it has got.
#[derive(Clone)]
pub(super) struct Log {
    receiver: Arc<dyn Fn(LogRecord<'_>) + Send + Sync>,
    tail: Arc<Mutex<Vec<u8>>>,
}

impl Log {
    pub(super) fn new(log: impl Fn(LogRecord<'_>) + Send + Sync + 'static) -> Log {
        Log { receiver: Arc::new(log), tail: Arc::default() }
    }

    pub(super) fn line(&self, line: &str) {
        (self.receiver)(LogRecord::Platform(line));
        self.keep(line.as_bytes());
        self.keep(b"\n");
    }

    pub(super) fn written(&self, by_extension: bool, piece: &[u8]) {
        (self.receiver)(if by_extension { LogRecord::Extension(piece) } else { LogRecord::Function(piece) });
        self.keep(piece);
    }

    /// Another invocation begins.
    pub(super) fn begin(&self) {
        self.lock().clear();
    }

    /// The end of the log since then.
    pub(super) fn tail(&self) -> Vec<u8> {
        self.lock().clone()
    }

    fn keep(&self, piece: &[u8]) {
        let mut tail = self.lock();
        tail.extend_from_slice(&piece[piece.len().saturating_sub(TAIL)..]);
        let start = tail.len().saturating_sub(TAIL);
        tail.drain(..start);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}
