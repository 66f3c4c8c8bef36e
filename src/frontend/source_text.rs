//! The text of a file, with its lines numbered.

use super::fault::Fault;
use crate::error::Remark;

/// A text and the offsets where its lines begin.
#[derive(Clone, Debug)]
pub(super) struct SourceText {
    /// The name of the file in messages.
    pub name: String,
    pub text: String,
    starts: Vec<usize>,
}

impl SourceText {
    pub fn new(name: &str, text: &str) -> SourceText {
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(newlines).collect();
        SourceText { name: name.to_owned(), text: text.to_owned(), starts }
    }

    /// The number of the line with the byte `at`, counted from 1.
    pub fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// The line with the byte `at`, and its column in characters, both counted from 1.
    pub fn place(&self, at: usize) -> (usize, usize) {
        let line = self.line(at);
        let before = &self.text[self.starts[line - 1]..at];
        (line, before.trim_start_matches('\u{feff}').chars().count() + 1)
    }

    pub fn remark(&self, fault: Fault) -> Remark {
        let line = self.line(fault.at);
        let start = self.starts[line - 1];
        let text = self.text[start..].lines().next().unwrap_or_default();
        let offset = (fault.at - start).min(text.len());
        let Fault { message, hint, .. } = fault;
        Remark::new(&self.name, line, text, offset, message, hint)
    }
}
