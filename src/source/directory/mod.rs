//! A directory, or a single file, as a source.
//!
//! * [`collect`]: the files, by a parallel [`walk`] that reads names and metadata only.
//! * [`hash`]: the digests of the contents; those of unchanged files come from the [`fingerprint`]s of an earlier run.
//! * [`links`]: warnings about symbolic links that will not resolve in the image.

mod collect;
mod environments;
mod fingerprint;
mod hash;
mod links;
mod provider;
mod walk;

pub(super) use collect::{collect, collect_below, single_file};
pub(super) use fingerprint::Fingerprints;
pub(crate) use hash::hash_missing;
pub(super) use hash::{Memory, recall};
pub(super) use links::warn_of_links;
pub(super) use provider::{DirectoryProvider, ProgramProvider, future_path};
