//! Files that name packages, and the packages that the target needs of them.
//!
//! * `format`: the kind of a file, by its name.
//! * `pylock`, `uvlock` (its tables: `uv_schema`): locks that have every file's address; their result is in `package`.
//! * `pinned`: locks of poetry and pipenv, which become requirements.
//! * `requirements`: the text that users write.

mod format;
mod package;
mod pinned;
pub(super) mod pylock;
mod requirements;
mod uv_schema;
pub(super) mod uvlock;

pub(super) use format::Format;
pub(super) use package::{LockedFile, LockedPackage, sha256};
pub(super) use pinned::Pinned;
pub(super) use requirements::{Asked, files, lines};
