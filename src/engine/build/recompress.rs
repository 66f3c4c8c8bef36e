//! Layers of a base that are zstd or not compressed at all, as gzip: Lambda takes nothing else.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::image::{Blob, Compression, Digest, Layer, LayerKey};
use crate::layer::{self, WriteOptions};
use crate::store::{self, ByteStream};

/// A zstd or plain layer as gzip, from the cache when it was made before.
pub(super) async fn recompressed(
    session: &Arc<Session>,
    image: &str,
    blob: Blob,
    compression: Compression,
) -> Result<Layer> {
    let key = format!("recompress {} {compression:?} {}", layer::WRITER_VERSION, blob.digest);
    let key = LayerKey(Digest::of(key.as_bytes()));
    if let Some(layer) = session.cache.layer(key) {
        return Ok(Layer { key: None, ..layer });
    }
    let mut retry = session.registries.retry();
    let layer = loop {
        let bytes = store::open(&session.registries, &blob).await?;
        match recompress(session, bytes, compression).await {
            Ok(layer) => break layer,
            Err((_, Some(error))) => retry.after(error).await?,
            Err((error, None)) => {
                let (image, digest) = (image.to_owned(), blob.digest);
                return Err(Error::Recompress { image, digest, source: error.into() });
            }
        }
    };
    session.cache.put_layer(key, &layer)?;
    Ok(layer)
}

/// Fails with what went wrong in the end, and with what went wrong on the way to here, when that was the cause.
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
