//! A command with its words expanded: the input of a translator.

use super::refusal::{Attempt, Refusal, Span};
use super::shell::expand::Field;
use crate::recipe::{Operation, Pathname};

/// A command, its name and its arguments apart.
#[derive(Clone, Debug)]
pub(super) struct Command<'f> {
    pub span: Span,
    /// The last part of the program's path.
    pub name: &'f str,
    /// Whether it is a program even if the shell has a command of the name: there is no shell, or it is written with its
    /// directory.
    pub by_path: bool,
    /// Whether it is written with its directory.
    pub has_directory: bool,
    pub arguments: &'f [Field],
    /// The file that takes its output.
    pub output: Option<OutputFile>,
    /// Whether that file takes its messages as well.
    pub messages_to_file: bool,
}

/// `> FILE`
#[derive(Clone, Debug)]
pub(super) struct OutputFile {
    pub path: Pathname,
    pub append: bool,
}

/// The operations of a command, each of which is done only if the one before it succeeds.
pub(super) type Operations = Attempt<Vec<Operation>>;

impl Command<'_> {
    pub fn refuse(&self, reason: impl Into<String>) -> Refusal {
        self.span.refuse(reason)
    }

    /// Refuses a redirection of an output that only a process has.
    pub fn check_output(&self) -> Attempt<()> {
        match &self.output {
            Some(_) => Err(self.refuse("has an output that only a process has, which is redirected")),
            None => Ok(()),
        }
    }
}
