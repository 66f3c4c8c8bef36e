//! Where blobs and manifests live: registries, OCI layouts, Docker archives, the cache.
//!
//! The same verbs in each: `manifest`, `blob`, `has_blob`, `put_blob`, `put_manifest`. What is read is
//! checked as it streams; what is written appears whole.

mod archive;
mod cache;
mod credentials;
mod destination;
mod docker_config;
mod download;
pub(crate) mod fingerprint;
mod http;
mod layout;
mod registry;
mod staged;
mod verify;
mod workplace;

use std::io::{self, Read, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

pub(crate) use archive::{Archive, write as write_archive};
pub use cache::{Cache, Usage};
pub use credentials::{Credential, Credentials, Later, Password, Secret};
pub use destination::Destination;
pub use docker_config::DockerConfig;
pub(crate) use download::{Download, Downloads, Login, Logins};
pub(crate) use fingerprint::Fingerprints;
pub(crate) use layout::Layout;
pub(crate) use registry::{Addresses, Registries, Repository, Upload};
pub(crate) use staged::Staged;
pub(crate) use verify::ByteStream;
use verify::{Origin, verified};
pub(crate) use workplace::Workplace;

use crate::error::{Error, Result};
use crate::image::{Blob, Location};

/// Large enough that a blob streams at the speed of the disk, small enough for many at once.
const PIECE: usize = 256 << 10;

/// A blob's bytes, wherever they are, checked as they come.
pub(crate) async fn open(registries: &Registries, blob: &Blob) -> Result<ByteStream> {
    let (bytes, origin) = match &blob.location {
        Location::Memory(bytes) => return Ok(bytes_stream(bytes.to_vec())),
        Location::Registry(name) => return registries.source(name).blob(blob.digest, blob.size).await,
        Location::File(path) => (file(path, 0, u64::MAX).await?, Origin::File(path.clone())),
        Location::Slice { path, offset } => {
            (file(path, *offset, blob.size).await?, Origin::File(path.clone()))
        }
    };
    Ok(verified(bytes, origin, blob.digest, blob.size))
}

/// No manifest or config of an image needs more; a registry that sends more is not heard out.
const SMALL: u64 = 4 << 20;

/// The bytes of a file that is read into memory, when it is no larger than that.
fn read_small(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    regular(&std::fs::metadata(path)?)?;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than any of its kind")),
        false => Ok(bytes),
    }
}

/// A pipe is waited for, and a device may have no end.
fn regular(metadata: &std::fs::Metadata) -> io::Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// At most so many bytes of a file from `offset` on.
async fn file(path: &Path, offset: u64, size: u64) -> Result<ByteStream> {
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

/// Bytes that are at hand, as a stream.
pub(crate) fn bytes_stream(bytes: Vec<u8>) -> ByteStream {
    Box::pin(stream::iter([Ok(Bytes::from(bytes))]))
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
