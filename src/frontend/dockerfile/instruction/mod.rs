//! The instructions: which there are, and how their arguments are written. Nothing here expands a variable.

mod arguments;
mod copy;
mod health;
pub(in crate::frontend) mod parse;
mod run;
pub(in crate::frontend) mod types;
mod unparsed;
