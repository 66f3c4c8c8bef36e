//! Streams of bytes: from memory, from a file, into a staged file.

use std::io::{self, SeekFrom};
use std::path::Path;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

use super::staged::Staged;
use crate::error::{Error, Result};

/// The size of a piece in bytes: large enough to stream at the speed of the disk, small enough for many streams.
pub(super) const PIECE: usize = 256 << 10;

/// A blob's bytes, in pieces.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// Bytes in memory, as a stream.
pub(crate) fn bytes_stream(bytes: Vec<u8>) -> ByteStream {
    Box::pin(stream::iter([Ok(Bytes::from(bytes))]))
}

/// At most `size` bytes of a file, from `offset` on.
pub(super) async fn file_stream(path: &Path, offset: u64, size: u64) -> Result<ByteStream> {
    let fail = {
        let path = path.to_owned();
        move |source| Error::BlobRead { path: path.clone(), source }
    };
    tokio::fs::metadata(path).await.and_then(|metadata| regular(&metadata)).map_err(&fail)?;
    let mut file = tokio::fs::File::open(path).await.map_err(&fail)?;
    if offset > 0 {
        file.seek(SeekFrom::Start(offset)).await.map_err(&fail)?;
    }
    let pieces = ReaderStream::with_capacity(file.take(size), PIECE);
    Ok(Box::pin(pieces.map(move |piece| piece.map_err(&fail))))
}

/// Fails unless the file is a regular file: opening a pipe blocks, and a device may have no end.
pub(super) fn regular(metadata: &std::fs::Metadata) -> io::Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// Appends a stream to a staged file.
pub(crate) async fn write_stream(
    staged: &Staged,
    mut bytes: ByteStream,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<()> {
    let mut file = tokio::fs::File::from_std(staged.handle()?);
    let mut written = 0;
    while let Some(piece) = bytes.next().await {
        let piece = piece?;
        file.write_all(&piece).await.map_err(|source| staged.failure(source))?;
        written += piece.len() as u64;
        progress(written);
    }
    file.flush().await.map_err(|source| staged.failure(source))
}
