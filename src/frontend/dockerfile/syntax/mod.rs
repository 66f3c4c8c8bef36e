//! The text of a Dockerfile: lines, words, quotes, flags. Nothing here knows what an instruction does.

pub(in crate::frontend) mod directives;
pub(in crate::frontend) mod flags;
pub(in crate::frontend) mod heredoc;
pub(in crate::frontend) mod lines;
mod pattern;
pub(in crate::frontend) mod shell;
pub(in crate::frontend) mod split;
#[cfg(test)]
mod tests;
pub(in crate::frontend) mod text;
