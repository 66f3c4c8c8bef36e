//! Recompresses zstd and uncompressed layers of a base to gzip, because Lambda accepts nothing else.
//!
//! The bytes decide, where they are known, and not the media type.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::engine::compression;
use crate::engine::session::Session;
use crate::error::{Error, Kind, Result};
use crate::image::{Blob, Compression, Digest, Layer, LayerKey};
use crate::layer::{self, WriteOptions};
use crate::store::{self, ByteStream};

/// A layer as gzip: `None` if it is gzip already, else recompressed, or from the cache if that was done before.
/// `expected` is the compression by its bytes, else by its media type. A layer of a registry that declares gzip is not
/// read before it is sent.
pub(super) async fn recompressed(
    session: &Arc<Session>,
    image: &str,
    blob: &Blob,
    expected: Compression,
) -> Result<Option<Layer>> {
    if expected == Compression::Gzip {
        return Ok(None);
    }
    let key = format!("recompress {} {expected:?} {}", layer::WRITER_VERSION, blob.digest);
    let key = LayerKey(Digest::of(key.as_bytes()));
    if let Some(layer) = session.cache.layer(key) {
        return Ok(Some(Layer { key: None, ..layer }));
    }
    let mut retry = session.registries.retry();
    let layer = loop {
        let (compression, bytes) = store::open_layer(&session.registries, blob).await?;
        if compression == Some(Compression::Gzip) {
            compression::keep(session, blob.digest, Compression::Gzip)?;
            return Ok(None);
        }
        match recompress(session, bytes, compression.unwrap_or(expected)).await {
            Ok(layer) => break layer,
            Err((_, Some(error))) => retry.after(error).await?,
            // A fault of this machine is not one of the layer.
            Err((error, None)) if error.kind() != Kind::Base => return Err(error),
            Err((error, None)) => {
                let (image, digest) = (image.to_owned(), blob.digest);
                return Err(Error::Recompress { image, digest, source: error.into() });
            }
        }
    };
    session.cache.put_layer(key, &layer)?;
    Ok(Some(layer))
}

/// Recompresses a layer once. Fails with the last error, and with the transfer's error if that is the cause.
async fn recompress(
    session: &Arc<Session>,
    bytes: ByteStream,
    compression: Compression,
) -> std::result::Result<Layer, (Error, Option<Error>)> {
    let (reader, cause) = store::blocking_reader(bytes);
    let worker = session.clone();
    let done = session.threads.run(session.threads.all(), move |threads, stop| {
        let progress =
            |_| if stop.load(Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let options = WriteOptions { epoch: 0, jobs: threads, progress: &progress };
        let mut staged = worker.cache.stage()?;
        let written = match compression {
            Compression::Zstd => layer::recompress(layer::zstd(reader), &options, &mut staged),
            Compression::None | Compression::Gzip => layer::recompress(reader, &options, &mut staged),
        };
        let written = written.map_err(|error| match error {
            Error::LayerWrite { source } => staged.failure(source),
            other => other,
        })?;
        let blob = worker.cache.keep(staged, written.digest, written.size)?;
        Ok(Layer { blob, diff_id: written.diff_id, key: None })
    });
    let done = done.await;
    done.map_err(|error| (error, cause.take()))
}
