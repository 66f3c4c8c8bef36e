//! The bytes of a blob at any location.

use super::registry::Registries;
use super::stream::{ByteStream, bytes_stream, file_stream};
use super::verify::{Origin, verified};
use crate::error::Result;
use crate::image::{Blob, Location};

/// The bytes of a blob at any location, verified while they stream.
pub(crate) async fn open(registries: &Registries, blob: &Blob) -> Result<ByteStream> {
    let (bytes, origin) = match &blob.location {
        Location::Memory(bytes) => return Ok(bytes_stream(bytes.to_vec())),
        Location::Registry(name) => return registries.source(name).blob(blob.digest, blob.size).await,
        Location::File(path) => (file_stream(path, 0, u64::MAX).await?, Origin::File(path.clone())),
        Location::Slice { path, offset } => {
            (file_stream(path, *offset, blob.size).await?, Origin::File(path.clone()))
        }
    };
    Ok(verified(bytes, origin, blob.digest, blob.size))
}
