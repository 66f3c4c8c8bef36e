//! `RUN` lines as operations: what a command does to the files of the image, for commands that need no process.
//!
//! 1. [`shell`] reads the text as a POSIX shell would: words, quotes, variables, `&&`, `;`. It refuses whatever it does
//!    not know, or what shells understand differently.
//! 2. [`line`] goes through the commands in order, with the variables and the directory in force.
//! 3. [`registry`] finds the translator of a command by its name: a function from words to operations.
//!
//! A line is translated as a whole or not at all. A [`Refusal`](refusal::Refusal) tells which word stops it.

mod accounts;
mod cleaning;
mod command;
mod context;
mod directory;
mod files;
mod line;
mod mounts;
mod options;
pub(in crate::frontend) mod outcome;
mod packages;
mod refusal;
mod registry;
mod shell;
#[cfg(test)]
mod tests;

pub(in crate::frontend) use packages::{ToolSettings, are_tools, tool_name};
