//! Where the output of a command goes.

use super::super::command::OutputFile;
use super::super::refusal::Span;
use super::super::shell::quote;
use crate::recipe::Pathname;

/// Where the output of a command goes, if not to the log.
#[derive(Default)]
pub(super) struct Output {
    /// The redirection and the file.
    pub(super) file: Option<(Span, OutputFile)>,
    pub(super) messages_to_file: bool,
}

impl Output {
    /// The command with these words, as a shell reads it.
    pub(super) fn text(&self, mut words: Vec<String>) -> String {
        if let Some((_, OutputFile { path: Pathname::Path(path), append })) = &self.file {
            words.push(if *append { ">>" } else { ">" }.to_owned());
            words.push(quote::text(path));
        }
        words.join(" ")
    }
}
