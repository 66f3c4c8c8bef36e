//! The bytes of a blob at any location.

use std::path::Path;

use futures_util::{StreamExt, stream};

use super::registry::{Registries, Repository};
use super::stream::{ByteStream, bytes_stream, file_stream};
use super::verify::{Origin, verified};
use crate::error::{Error, Result};
use crate::image::{Blob, Compression, Digest, Location};

/// The number of bytes that show a layer's compression.
const MAGIC: usize = 4;

/// The bytes of a blob at any location, verified against digest and size while they stream.
pub(crate) async fn open(registries: &Registries, blob: &Blob) -> Result<ByteStream> {
    open_of_size(registries, blob, Some(blob.size)).await
}

/// The bytes of a blob at any location, verified against the digest only: the size in a descriptor may be wrong. The
/// caller must read to the end of the stream.
pub(crate) async fn open_of_any_size(registries: &Registries, blob: &Blob) -> Result<ByteStream> {
    open_of_size(registries, blob, None).await
}

async fn open_of_size(registries: &Registries, blob: &Blob, size: Option<u64>) -> Result<ByteStream> {
    let (bytes, origin) = match &blob.location {
        Location::Memory(bytes) => return Ok(bytes_stream(bytes.to_vec())),
        Location::Registry(name) => return registries.source(name).blob(blob.digest, size).await,
        Location::File(path) => (file_stream(path, 0, u64::MAX).await?, Origin::File(path.clone())),
        // The archive's own index gives the size of a slice.
        Location::Slice { path, offset } => {
            (file_stream(path, *offset, blob.size).await?, Origin::File(path.clone()))
        }
    };
    Ok(verified(bytes, origin, blob.digest, size))
}

/// The bytes of a layer as [`open`] returns them, and the compression that its first bytes show; `None` if reading them
/// fails. The reader of the stream gets that failure, which may pass.
pub(crate) async fn open_layer(
    registries: &Registries,
    blob: &Blob,
) -> Result<(Option<Compression>, ByteStream)> {
    let mut bytes = open(registries, blob).await?.fuse();
    let (mut start, mut pieces, mut failed) = (Vec::new(), Vec::new(), false);
    while start.len() < MAGIC && !failed {
        let Some(piece) = bytes.next().await else { break };
        match &piece {
            Ok(bytes) => start.extend_from_slice(bytes),
            Err(_) => failed = true,
        }
        pieces.push(piece);
    }
    let compression = (!failed).then(|| Compression::sniff(&start));
    Ok((compression, Box::pin(stream::iter(pieces).chain(bytes))))
}

/// The bytes of a blob that is sent to a destination, read at the `nearest` place that has it. A layer of a registry may not
/// have been read by any tool before.
///
/// # Errors
/// [`Error::NotGzip`] for a layer from a registry that is not gzip, and those of [`open`].
pub(crate) async fn open_gzip(registries: &Registries, blob: &Blob, nearest: &Blob) -> Result<ByteStream> {
    let Location::Registry(_) = &blob.location else { return open(registries, nearest).await };
    let (compression, bytes) = open_layer(registries, nearest).await?;
    require_gzip(blob, compression.unwrap_or(Compression::Gzip)).map(|()| bytes)
}

/// The compression of a layer by its first bytes; nothing else is read. `None` if they cannot be read.
pub(crate) async fn sniff(registries: &Registries, blob: &Blob) -> Option<Compression> {
    let start = match &blob.location {
        Location::Memory(bytes) => bytes.to_vec(),
        Location::Registry(name) => registries.source(name).blob_start(blob.digest, MAGIC).await.ok()??,
        Location::File(path) => file_start(path, 0).await?,
        Location::Slice { path, offset } => file_start(path, *offset).await?,
    };
    compression(&start)
}

/// Whether a repository has a layer, and its compression as far as its first bytes can be read.
pub(crate) async fn find_layer(
    repository: &Repository,
    layer: Digest,
) -> Result<(bool, Option<Compression>)> {
    match repository.blob_start(layer, MAGIC).await {
        Ok(start) => Ok((start.is_some(), start.and_then(|start| compression(&start)))),
        // The caller may not read the repository, for example.
        Err(_) => Ok((repository.has_blob(layer).await?, None)),
    }
}

fn compression(start: &[u8]) -> Option<Compression> {
    (start.len() >= MAGIC).then(|| Compression::sniff(start))
}

async fn file_start(path: &Path, offset: u64) -> Option<Vec<u8>> {
    let mut start = file_stream(path, offset, MAGIC as u64).await.ok()?;
    start.next().await?.ok().map(|bytes| bytes.to_vec())
}

/// Fails for a layer of a registry that is not gzip.
///
/// # Errors
/// [`Error::NotGzip`].
pub(crate) fn require_gzip(blob: &Blob, compression: Compression) -> Result<()> {
    match (&blob.location, compression) {
        (Location::Registry(name), compression) if compression != Compression::Gzip => {
            Err(Error::NotGzip { image: name.repository_name(), digest: blob.digest, compression })
        }
        _ => Ok(()),
    }
}
