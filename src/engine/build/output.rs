//! The output of a command, as events of a line each.

use std::collections::VecDeque;

use crate::engine::session::Session;
use crate::event::Event;

/// The number of lines that an error repeats.
const LAST_LINES: usize = 10;

/// The longest line in one event, in bytes. A longer one is divided.
const LONGEST_LINE: usize = 16 << 10;

/// Divides the output of a command into lines.
pub(super) struct Output<'s> {
    session: &'s Session,
    /// The place of the instruction.
    place: &'s str,
    /// The beginning of a line.
    rest: Vec<u8>,
    last: VecDeque<String>,
}

impl<'s> Output<'s> {
    pub(super) fn new(session: &'s Session, place: &'s str) -> Output<'s> {
        Output { session, place, rest: Vec::new(), last: VecDeque::new() }
    }

    /// Takes the next piece of the output.
    pub(super) fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    self.rest.extend_from_slice(end);
                    self.line();
                }
                None => self.rest.extend_from_slice(part),
            }
            while self.rest.len() > LONGEST_LINE {
                let rest = self.rest.split_off(LONGEST_LINE);
                self.line();
                self.rest = rest;
            }
        }
    }

    /// Emits a last line without an end, and returns the last lines.
    pub(super) fn finish(mut self) -> Vec<String> {
        if !self.rest.is_empty() {
            self.line();
        }
        self.last.into()
    }

    fn line(&mut self) {
        let line = shown(&std::mem::take(&mut self.rest));
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(self.session.secrets.hide(&line).into_owned());
        self.session.events.emit(Event::CommandOutput { place: self.place.to_owned(), line });
    }
}

/// The line as a terminal would leave it: after a return to its start, a program writes over it.
fn shown(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let last = line.rsplit(|&byte| byte == b'\r').next().unwrap_or(line);
    without_colours(&String::from_utf8_lossy(last))
}

/// The text without sequences that set colours and move the cursor, which most programs write without asking for a
/// terminal only when they are told to.
fn without_colours(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' || rest.peek() != Some(&'[') {
            shown.push(c);
            continue;
        }
        rest.next();
        // Parameters, then one final letter: <https://man7.org/linux/man-pages/man4/console_codes.4.html>.
        while rest.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {}
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_as_a_terminal_leaves_it() {
        for (line, expected) in [
            ("plain", "plain"),
            ("plain\r", "plain"),
            ("10 %\r50 %\rdone", "done"),
            ("\u{1b}[31mred\u{1b}[0m!", "red!"),
            ("\u{1b}]x", "\u{1b}]x"),
            ("cut\u{1b}[", "cut"),
        ] {
            assert_eq!(shown(line.as_bytes()), expected, "{line:?}");
        }
        assert_eq!(shown(b"a\xffb"), "a\u{fffd}b");
    }
}
