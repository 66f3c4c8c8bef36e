//! Sizes of wheels whose lock has no size: the cache keeps the size that the server reported.

use crate::error::Result;
use crate::image::Digest;
use crate::source::part::Context;

fn size_key(sha256: Digest) -> Digest {
    Digest::of(format!("size of {sha256}").as_bytes())
}

/// The size that a server reported for a file, in bytes. It may be wrong.
pub(super) fn noted_size(sha256: Digest, context: &Context) -> Option<u64> {
    let text = context.cache.noted(size_key(sha256))?;
    std::str::from_utf8(&text).ok()?.parse().ok()
}

/// Stores the size that a server reported for a file.
pub(super) fn note_size(sha256: Digest, size: u64, context: &Context) -> Result<()> {
    context.cache.note(size_key(sha256), size.to_string().as_bytes())
}
