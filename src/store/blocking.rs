//! Reads a byte stream from a thread that blocks.

use std::io::{self, BufRead, BufReader};
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, TryStreamExt};
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::lock::lock;
use super::stream::{ByteStream, PIECE};
use crate::error::Error;

/// The reason why a stream ended early. A decoder that reads the stream gets only an I/O error without a kind.
pub(crate) struct Cause(Arc<Mutex<Option<Error>>>);

impl Cause {
    /// The error of the stream, if there was one.
    pub(crate) fn take(&self) -> Option<Error> {
        lock(&self.0).take()
    }
}

/// A reader of the stream for a thread that blocks. Call this function within the runtime that drives the stream.
pub(crate) fn blocking_reader(bytes: ByteStream) -> (Box<dyn BufRead + Send>, Cause) {
    let cause = Arc::new(Mutex::new(None));
    let kept = cause.clone();
    let bytes = bytes.map_err(move |error| {
        let text = error.to_string();
        *lock(&kept) = Some(error);
        io::Error::other(text)
    });
    // A decoder may read again after the end.
    let reader = BufReader::with_capacity(PIECE, SyncIoBridge::new(StreamReader::new(bytes.fuse())));
    (Box::new(reader), Cause(cause))
}
