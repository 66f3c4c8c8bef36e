//! The readers of locks for `tests/fuzz`; see [`crate::fuzzing`].

use std::path::Path;

use super::{npm, pnpm};
use crate::error::Result;

/// The bytes of the lock of this name that determine the installed files.
pub fn node_lock(name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let read = if name == "pnpm-lock.yaml" { pnpm::read } else { npm::read };
    read(bytes, Path::new(name)).map(|contents| contents.decisive)
}
