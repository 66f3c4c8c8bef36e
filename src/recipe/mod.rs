//! The build as plain data: the only door into the engine.
//!
//! Every front-end (flags, a file) lowers to a [`Recipe`]; one engine executes it. A recipe is JSON both
//! ways, and `lbuild plan` prints one after [`pin`](crate::Engine::pin) has made it exact.

mod base;
mod check;
mod source;
mod stages;
mod step;

pub use base::Base;
pub use source::{Bytecode, ImageFiles, Npm, Python, Requirements, Source, Wheel};
pub use stages::{DEFAULT_EPOCH, Recipe, Stage};
pub use step::{Add, Step};
