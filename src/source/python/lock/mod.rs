//! Reads files that name packages, and selects the packages that the target needs.
//!
//! * `format`: the format of a file, by its name.
//! * `pylock`, `uvlock` (its tables: `uv_schema`): locks with the URL of every file; their result is in `package`.
//!   `uv_check` compares the project's file with the lock, as `fresh` does for the others.
//! * `pinned`: locks of `poetry` and pipenv (`pipfile`), which become requirements.
//! * `requirements`: `requirements.txt`.
//! * `groups`: what a command takes of a lock; `export` writes that as requirements, with markers of `condition`.

mod condition;
mod export;
mod format;
mod fresh;
mod groups;
mod package;
mod pinned;
pub(super) mod pipfile;
mod places;
pub(super) mod poetry;
pub(super) mod pylock;
mod requirement_line;
mod requirements;
mod uv_check;
mod uv_export;
mod uv_schema;
pub(super) mod uvlock;

pub(crate) use export::export;
pub(super) use format::Format;
pub(super) use package::{LockedFile, LockedPackage};
pub(super) use places::{directories, prompt};
pub(super) use requirements::{Asked, files, lines};
