//! The language of the shell, as far as it is translated.

pub(super) mod expand;
pub(super) mod parse;
pub(super) mod pattern;
pub(super) mod program;
pub(super) mod quote;
pub(super) mod variables;
pub(super) mod words;
