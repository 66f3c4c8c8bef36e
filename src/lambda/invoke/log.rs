//! What a function prints, and Lambda's own lines about it.

use std::fmt;
use std::sync::Arc;

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

/// The receiver of logs.
#[derive(Clone)]
pub(super) struct Log(Arc<dyn Fn(LogRecord<'_>) + Send + Sync>);

impl Log {
    pub(super) fn new(log: impl Fn(LogRecord<'_>) + Send + Sync + 'static) -> Log {
        Log(Arc::new(log))
    }

    pub(super) fn line(&self, line: &str) {
        (self.0)(LogRecord::Platform(line));
    }

    pub(super) fn written(&self, by_extension: bool, piece: &[u8]) {
        (self.0)(if by_extension { LogRecord::Extension(piece) } else { LogRecord::Function(piece) });
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}
