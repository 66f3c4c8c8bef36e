//! Changes of a text by ranges of bytes.

use std::ops::Range;

/// Changes that do not overlap.
#[derive(Debug, Default)]
pub(in crate::frontend::sam) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    pub fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.0.push((range, text.into()));
    }

    pub fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    pub fn remove(&mut self, range: Range<usize>) {
        self.replace(range, "");
    }

    /// The changed text; `None` if two changes overlap.
    pub fn apply(mut self, text: &str) -> Option<String> {
        // Insertions come before the removal of what follows.
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        self.0.dedup();
        let (mut changed, mut done) = (String::with_capacity(text.len() + 256), 0);
        for (range, new) in self.0 {
            if range.start < done {
                return None;
            }
            changed.push_str(&text[done..range.start]);
            changed.push_str(&new);
            done = range.end;
        }
        changed.push_str(&text[done..]);
        Some(changed)
    }
}

/// The start of the line with a byte.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The start of the line after the one with a byte.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}
