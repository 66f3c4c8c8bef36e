//! The log of a function, on standard error.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use lbuild::lambda::invoke::LogRecord;
use serde_json::json;

use crate::cli::output::json::escaped;

/// The pieces that may wait to be written. If more come, the function waits.
const WAITING: usize = 64;

/// How long what is left may take to be written at the end: standard error may be a pipe that nobody reads.
const LAST: Duration = Duration::from_secs(2);

/// The log of one execution environment: whole lines, so that those of several do not mix. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    json: bool,
    rests: Arc<Mutex<[Vec<u8>; 2]>>,
    writer: SyncSender<Item>,
}

/// A message to the thread that writes.
enum Item {
    Write(Vec<u8>),
    /// Tell when all that came before is written.
    Flush(Sender<()>),
}

/// A line without an end is written when it is this long.
const LONGEST: usize = 64 << 10;

impl Logs {
    /// A log; as JSON, one object a line.
    pub fn new(json: bool) -> Logs {
        let (writer, items) = sync_channel(WAITING);
        // Not a task of the runtime, which must stay free to end a function whose log nobody reads.
        let started = thread::Builder::new().name("log".to_owned()).spawn(move || write_all(items));
        drop(started);
        Logs { json, rests: Arc::default(), writer }
    }

    /// Writes a piece of the log.
    pub fn record(&self, record: LogRecord<'_>) {
        let mut rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let (stream, piece) = match record {
            LogRecord::Function(piece) => (0, piece),
            LogRecord::Extension(piece) => (1, piece),
            LogRecord::Platform(text) => {
                // An unfinished line was printed before this one.
                self.flush(&mut rests);
                text.lines().for_each(|line| self.write("platform", line.as_bytes(), true));
                return;
            }
            _ => return,
        };
        let rest = &mut rests[stream];
        // The rest is an unfinished line: only the new piece can have its end.
        let end = piece.iter().rposition(|byte| *byte == b'\n').map(|end| rest.len() + end);
        rest.extend_from_slice(piece);
        let whole = match end {
            Some(end) => rest.drain(..=end).collect::<Vec<u8>>(),
            None if rest.len() >= LONGEST => std::mem::take(rest),
            None => return,
        };
        match self.json {
            true => lines(&whole)
                .split_inclusive(|byte| *byte == b'\n')
                .for_each(|line| self.write(SOURCES[stream], line, true)),
            false => self.write(SOURCES[stream], &whole, false),
        }
    }

    fn flush(&self, rests: &mut [Vec<u8>; 2]) {
        for (source, rest) in SOURCES.into_iter().zip(rests) {
            let rest = std::mem::take(rest);
            if !rest.is_empty() {
                self.write(source, &rest, true);
            }
        }
    }

    /// Writes what has no end of line, and waits until all is written.
    pub fn finish(&self) {
        self.flush(&mut self.rests.lock().unwrap_or_else(PoisonError::into_inner));
        let (done, written) = channel();
        if self.writer.try_send(Item::Flush(done)).is_ok() {
            let _ = written.recv_timeout(LAST);
        }
    }

    fn write(&self, source: &str, text: &[u8], ends: bool) {
        let mut text = match self.json {
            true => {
                let text = String::from_utf8_lossy(text);
                let value =
                    json!({ "reason": "log", "source": source, "message": text.trim_end_matches('\n') });
                escaped(&value.to_string()).into_owned().into_bytes()
            }
            // Runtimes write errors of several lines with carriage returns, with which the service's logs have one record.
            false => lines(text).into_owned(),
        };
        if (ends || self.json) && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        // Fails only if the thread could not be started. The function runs on without a log.
        let _ = self.writer.send(Item::Write(text));
    }
}

/// Writes until the log is dropped. The function runs on if standard error is closed.
fn write_all(items: Receiver<Item>) {
    for item in items {
        match item {
            Item::Write(text) => {
                let _ = std::io::stderr().write_all(&text);
            }
            Item::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// The text with a line end for each carriage return that has none.
fn lines(text: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if !text.contains(&b'\r') {
        return text.into();
    }
    let mut lines = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'\r' if text.get(at + 1) == Some(&b'\n') => {}
            b'\r' => lines.push(b'\n'),
            byte => lines.push(byte),
        }
    }
    lines.into()
}

const SOURCES: [&str; 2] = ["function", "extension"];
