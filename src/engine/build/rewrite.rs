//! Rewrites layers of stored images that Lambda refuses as they are: zstd and uncompressed ones as gzip, others with the
//! directories that they lack.
//!
//! The bytes decide about the compression, where they are known, and not the media type.

use std::io::BufRead;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::engine::compression;
use crate::engine::session::Session;
use crate::error::{Error, Kind, Result};
use crate::image::{Blob, Compression, Digest, Layer, LayerKey};
use crate::layer::{self, Completion, WriteOptions, Written};
use crate::store::{self, ByteStream, Staged};

/// Rewrites a layer from its bytes and their compression.
type Rewrite =
    dyn Fn(&mut dyn BufRead, Compression, &WriteOptions<'_>, &mut Staged) -> Result<Written> + Send + Sync;

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
    let rewrite =
        move |bytes: &mut dyn BufRead, compression, options: &WriteOptions<'_>, out: &mut Staged| {
            match compression {
                Compression::Zstd => layer::recompress(layer::zstd(bytes), options, out),
                Compression::None | Compression::Gzip => layer::recompress(bytes, options, out),
            }
        };
    let is_other = |compression| compression != Compression::Gzip;
    rewritten(session, image, blob, &key, is_other, Arc::new(rewrite)).await
}

/// A layer with its directories completed, or from the cache if that was done before.
pub(super) async fn completed(
    session: &Arc<Session>,
    image: &str,
    layer: &Layer,
    completion: Completion,
) -> Result<Layer> {
    let key = format!("complete {} {} {}", layer::WRITER_VERSION, completion.digest(), layer.blob.digest);
    let rewrite =
        move |bytes: &mut dyn BufRead, compression, options: &WriteOptions<'_>, out: &mut Staged| {
            layer::complete(bytes, compression, &completion, options, out)
        };
    let done = rewritten(session, image, &layer.blob, &key, |_| true, Arc::new(rewrite)).await?;
    Ok(done.unwrap_or_else(|| layer.clone()))
}

/// The rewritten layer, made or from the cache; `None` if its compression shows that it need not be.
async fn rewritten(
    session: &Arc<Session>,
    image: &str,
    blob: &Blob,
    key: &str,
    is_needed: impl Fn(Compression) -> bool,
    rewrite: Arc<Rewrite>,
) -> Result<Option<Layer>> {
    let key = LayerKey(Digest::of(key.as_bytes()));
    if let Some(layer) = session.cache.layer(key) {
        return Ok(Some(Layer { key: None, ..layer }));
    }
    let mut retry = session.registries.retry();
    let layer = loop {
        let (compression, bytes) = store::open_layer(&session.registries, blob).await?;
        // A stream that fails before its first bytes is opened again.
        let compression = compression.unwrap_or(Compression::None);
        if !is_needed(compression) {
            compression::keep(session, blob.digest, compression)?;
            return Ok(None);
        }
        match once(session, bytes, compression, rewrite.clone()).await {
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

/// Rewrites a layer once. Fails with the last error, and with the transfer's error if that is the cause.
async fn once(
    session: &Arc<Session>,
    bytes: ByteStream,
    compression: Compression,
    rewrite: Arc<Rewrite>,
) -> std::result::Result<Layer, (Error, Option<Error>)> {
    let (mut reader, cause) = store::blocking_reader(bytes);
    let worker = session.clone();
    let done = session.threads.run(session.threads.all(), move |threads, stop| {
        let progress =
            |_| if stop.load(Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let options = WriteOptions { epoch: 0, jobs: threads, progress: &progress };
        let mut staged = worker.cache.stage()?;
        let written = rewrite(&mut *reader, compression, &options, &mut staged);
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
