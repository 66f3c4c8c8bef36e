//! Lock files: the lock file of a function, the part of it that determines `node_modules`, and the function's own files
//! that it names.
//!
//! * `file`: finds and reads the lock.
//! * `npm`, `pnpm`, `yarn`: parsers for the formats; `contents`: the parsed content.

mod contents;
mod file;
#[cfg(fuzzing)]
mod fuzzing;
mod npm;
mod pnpm;
mod yarn;

pub(super) use contents::Local;
pub(super) use file::{Lock, find};
#[cfg(fuzzing)]
pub use fuzzing::node_lock;
