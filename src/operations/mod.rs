//! File operations of a `RUN` line, executed without a process.
//!
//! 1. [`Filesystem`] is a model of the image's files. It starts with the layers below, of which only the list of files
//!    is read ([`files`]).
//! 2. A [`Line`] runs its commands ([`run`], [`shell`], [`commands`], [`accounts`]) in the model. Its contents are
//!    references to files of the layers below, or text. If a command must read a file, as `/etc/passwd`, the line
//!    [stops](Stop::Needs), and runs again with its content.
//! 3. [`Filesystem::changes`] is what the new layer must have.
//!
//! Pure: no code here reads a file or blocks.

mod accounts;
mod commands;
mod files;
mod mode;
mod pattern;
mod run;
mod shell;
#[cfg(test)]
mod tests;

pub(crate) use files::{Changes, Data, DataPiece, FileMount, Filesystem, LowerFile, MountedFiles};
pub(crate) use run::{Line, Stop};
