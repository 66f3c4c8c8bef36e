//! The contents of files: their bytes, and the key that they decide.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::key;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::image::LayerKey;
use crate::source::{Fetched, hash_missing};
use crate::tree::Content;

/// The number of bytes that are read at once.
const PIECE: u64 = 128 << 10;

/// The bytes of a small file.
pub(super) fn bytes_of(content: &Content) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read(content, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

/// Passes the bytes of a file on, piece by piece; returns their number. A member of an archive must be stored as it is.
pub(super) fn read(content: &Content, mut out: impl FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let (file, offset, length) = match content {
        Content::Bytes(bytes) => {
            out(bytes)?;
            return Ok(bytes.len() as u64);
        }
        Content::File(file) => (file, 0, file.stat.size),
        Content::Zip(member) => (&*member.archive, member.offset, member.length),
    };
    let failed = |source| Error::Read { path: file.path.clone(), source };
    let mut open = File::open(&file.path).map_err(failed)?;
    open.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let (mut left, mut buffer) = (length, vec![0; PIECE.min(length) as usize]);
    while left > 0 {
        let wanted = left.min(PIECE) as usize;
        open.read_exact(&mut buffer[..wanted]).map_err(failed)?;
        out(&buffer[..wanted])?;
        left -= wanted as u64;
    }
    Ok(length)
}

/// Computes the key from the contents of the files. Files without a known digest are read.
pub(super) async fn content_key(
    session: &Session,
    fetched: Fetched,
    epoch: u64,
) -> Result<(Fetched, Option<LayerKey>)> {
    let run = session.threads.run(session.threads.all(), move |threads, _| {
        let mut fetched = fetched;
        hash_missing(&mut fetched.tree, threads)?;
        let key = key::of_content(&fetched.tree, epoch);
        Ok((fetched, key))
    });
    run.await
}
