//! The bytes of a blob at any location.

use super::registry::Registries;
use super::stream::{ByteStream, bytes_stream, file_stream};
use super::verify::{Origin, verified};
use crate::error::Result;
use crate::image::{Blob, Location};

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
