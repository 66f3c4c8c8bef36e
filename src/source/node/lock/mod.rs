//! Lock files: the lock file of a function, the content that decides `node_modules`, and the function's own files that
//! it names.
//!
//! * `file`: finds and reads the lock.
//! * `npm`, `pnpm`, `yarn`: the formats, as far as lbuild reads them; `contents` is their result.

mod contents;
mod file;
mod npm;
mod pnpm;
mod yarn;

pub(super) use contents::Local;
pub(super) use file::{Lock, find};
