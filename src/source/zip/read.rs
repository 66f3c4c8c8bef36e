//! The content of one member.

use std::ops::ControlFlow;

use crate::error::Result;
use crate::layer::zip_content::{broken, read_member};
use crate::tree::ZipContent;

/// Upper bound on the bytes of a member that [`read`] returns.
pub(crate) const READ_LIMIT: u64 = 16 << 20;

/// The content of a member, verified against the size and the checksum in the archive's directory. At most 16 MiB
/// ([`READ_LIMIT`]), which suffices for metadata and the targets of links; the layer writer does not use it.
///
/// # Errors
/// [`Error::ZipMember`] when it is larger, or differs from the directory; [`Error::SourceChanged`] when the
/// archive is no longer the one that was opened.
pub(crate) fn read(member: &ZipContent) -> Result<Vec<u8>> {
    if member.size.max(member.length) > READ_LIMIT {
        return Err(broken(member, "it is larger than 16 MiB"));
    }
    let mut content = Vec::with_capacity(member.size as usize);
    read_member(member, |piece| {
        content.extend_from_slice(piece);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(content)
}
