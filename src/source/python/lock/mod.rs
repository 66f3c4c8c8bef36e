//! Reads files that name packages, and selects the packages that the target needs.
//!
//! * `format`: the format of a file, by its name.
//! * `pylock`, `uvlock` (its tables: `uv_schema`): locks with the URL of every file; their result is in `package`.
//! * `pinned`: locks of `poetry` and pipenv (`pipfile`), which become requirements.
//! * `requirements`: `requirements.txt`.

mod format;
mod package;
mod pinned;
pub(super) mod pipfile;
pub(super) mod poetry;
pub(super) mod pylock;
mod requirements;
mod uv_schema;
pub(super) mod uvlock;

pub(super) use format::Format;
pub(super) use package::{LockedFile, LockedPackage};
pub(super) use requirements::{Asked, files, lines};
