//! The log of a function, on standard error.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use lbuild::lambda::invoke::LogRecord;
use serde_json::json;

use crate::cli::output::json::line;

/// The end of the log that is kept for hints.
const KEPT: usize = 16 << 10;

/// The log of one execution environment: whole lines, so that those of several do not mix. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    json: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The rest of what the runtime and the extensions have written, without an end of line.
    rests: [Vec<u8>; 2],
    kept: Vec<u8>,
}

/// A line without an end is written when it is this long.
const LONGEST: usize = 64 << 10;

impl Logs {
    /// A log; as JSON, one object a line.
    pub fn new(json: bool) -> Logs {
        Logs { json, state: Arc::default() }
    }

    /// Writes a piece of the log.
    pub fn record(&self, record: LogRecord<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (stream, piece) = match record {
            LogRecord::Function(piece) => (0, piece),
            LogRecord::Extension(piece) => (1, piece),
            LogRecord::Platform(text) => {
                // What was printed without an end of line comes first.
                self.flush(&mut state);
                text.lines().for_each(|line| self.write("platform", line.as_bytes(), true));
                return;
            }
            _ => return,
        };
        state.keep(piece);
        let source = SOURCES[stream];
        let rest = &mut state.rests[stream];
        rest.extend_from_slice(piece);
        let whole = match rest.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => rest.drain(..=end).collect::<Vec<u8>>(),
            None if rest.len() >= LONGEST => std::mem::take(rest),
            None => return,
        };
        match self.json {
            true => {
                whole.split_inclusive(|byte| *byte == b'\n').for_each(|line| self.write(source, line, true))
            }
            false => self.write(source, &whole, false),
        }
    }

    fn flush(&self, state: &mut State) {
        for (source, rest) in SOURCES.into_iter().zip(&mut state.rests) {
            let rest = std::mem::take(rest);
            if !rest.is_empty() {
                self.write(source, &rest, true);
            }
        }
    }

    /// Writes what has no end of line.
    pub fn finish(&self) {
        self.flush(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The end of what the function has printed.
    pub fn kept(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&state.kept).into_owned()
    }

    fn write(&self, source: &str, text: &[u8], ends: bool) {
        if self.json {
            let text = String::from_utf8_lossy(text);
            return line(
                &json!({ "reason": "log", "source": source, "message": text.trim_end_matches('\n') }),
            );
        }
        // Runtimes write errors of several lines with carriage returns, with which the service's logs have one record.
        let text = lines(text);
        let mut stderr = std::io::stderr().lock();
        // A closed standard error is no reason to end the function.
        let _ = stderr.write_all(&text);
        if ends && !text.ends_with(b"\n") {
            let _ = stderr.write_all(b"\n");
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

impl State {
    fn keep(&mut self, piece: &[u8]) {
        self.kept.extend_from_slice(&piece[piece.len().saturating_sub(KEPT)..]);
        let start = self.kept.len().saturating_sub(KEPT);
        if start > KEPT || start > 0 && piece.len() < KEPT {
            self.kept.drain(..start);
        }
    }
}
