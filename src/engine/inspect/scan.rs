//! Scans of an image's layers. Each layer is read once, and its scan is kept in the cache.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::engine::find::{self, StoredImage};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::image::{Blob, Compression, Descriptor, Digest, Layer, Location};
use crate::layer::MAX_LAYER;
use crate::scan::{self, Annotate, LayerScan, RecognizedFiles};
use crate::store;
use crate::threads::blocking;
use crate::tree::FileTree;

/// The maximum memory for the scans of all layers of an image, in bytes. Images that Lambda accepts need less than a
/// tenth.
const MAX_KEPT: usize = 1 << 30;

/// The scan of each layer; `None` for a foreign layer or one that is not a tar.
pub(in crate::engine) async fn of_image<A: Annotate>(
    session: &Arc<Session>,
    found: &StoredImage,
    annotator: Arc<A>,
) -> Result<Vec<Option<LayerScan<A::Fact>>>> {
    let (store, name) = find::store(session, &found.base).await?;
    let kept = Arc::new(AtomicUsize::new(0));
    let one = |layer: Descriptor| {
        let blob = session.cache.blob(layer.digest, layer.size);
        let blob = blob.unwrap_or_else(|| store.blob(layer.digest, layer.size));
        let (session, name, annotator) = (session.clone(), name.clone(), annotator.clone());
        let kept = kept.clone();
        async move {
            if Compression::of(&layer.media_type).is_none() {
                return Ok(None);
            }
            let digest = blob.digest;
            let scanned = of_layer(&session, &name, blob, annotator).await?;
            if kept.fetch_add(scanned.memory(), Relaxed) > MAX_KEPT {
                let source = std::io::Error::other("it and the layers below it have too many files");
                let source = Error::LayerRead { source }.into();
                return Err(Error::Scan { image: name, digest, source });
            }
            Ok(Some(scanned))
        }
    };
    let layers: Vec<_> = found.layers.iter().cloned().map(one).collect();
    stream::iter(layers).buffered(session.threads.all()).try_collect().await
}

/// The cached scan of a layer.
pub(in crate::engine) fn known<A: Annotate>(
    session: &Session,
    layer: Digest,
    annotator: &A,
) -> Option<LayerScan<A::Fact>> {
    session.cache.noted(key(annotator, layer)).and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// Scans the layer of a tree. The facts about its files are kept in the cache, because the next image has most of them
/// too.
pub(in crate::engine) async fn of_tree<A: Annotate>(
    session: &Arc<Session>,
    tree: Arc<FileTree>,
    layer: Layer,
    annotator: Arc<A>,
) -> Result<LayerScan<A::Fact>> {
    let cache = session.cache.clone();
    let scan = move |threads, _: &AtomicBool| {
        let diff_id = layer.diff_id;
        // The history of an image in a registry claims this digest for the layer; this machine has not verified it.
        if matches!(layer.blob.location, Location::Registry(_)) {
            return Ok(LayerScan::of_tree(&tree, diff_id, &*annotator, threads)?.0);
        }
        let key = tree_key(&*annotator, layer.blob.digest);
        let facts: Option<RecognizedFiles<A::Fact>> =
            cache.noted(key).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(facts) = facts {
            return LayerScan::of_known_tree(&tree, diff_id, &facts, threads);
        }
        let (scanned, facts) = LayerScan::of_tree(&tree, diff_id, &*annotator, threads)?;
        if let Some(Ok(bytes)) = facts.map(|facts| serde_json::to_vec(&facts)) {
            // A failure to write the cache only costs time.
            let _ = cache.note(key, &bytes);
        }
        Ok(scanned)
    };
    session.threads.run(session.threads.all(), scan).await
}

/// Scans a layer, unless it was scanned before. `image` names the image in errors.
pub(in crate::engine) async fn of_layer<A: Annotate>(
    session: &Arc<Session>,
    image: &str,
    blob: Blob,
    annotator: Arc<A>,
) -> Result<LayerScan<A::Fact>> {
    let key = key(&*annotator, blob.digest);
    if let Some(scan) = known(session, blob.digest, &*annotator) {
        return Ok(scan);
    }
    let mut retry = session.registries.retry();
    let scanned = loop {
        match read_layer(session, &blob, annotator.clone()).await {
            Ok(scanned) => break scanned,
            Err((_, Some(error))) => retry.after(error).await?,
            Err((error, None)) => return Err(of_cache(session, &blob, image, error).await),
        }
    };
    // A failure to write the cache only costs time.
    if let Ok(bytes) = serde_json::to_vec(&scanned) {
        let _ = session.cache.note(key, &bytes);
    }
    Ok(scanned)
}

/// The error for a layer that cannot be read. A missing or damaged blob of the cache is reported as such, because it
/// can be made again. This function verifies the blob, because damage may fail the scan before the digest is checked.
async fn of_cache(session: &Session, blob: &Blob, image: &str, error: Error) -> Error {
    let wrapped = |source: Error| {
        let (image, digest) = (image.to_owned(), blob.digest);
        Error::Scan { image, digest, source: source.into() }
    };
    let Location::File(path) = &blob.location else { return wrapped(error) };
    if !session.cache.holds(path) {
        return wrapped(error);
    }
    let (cache, digest) = (session.cache.clone(), blob.digest);
    match blocking(move |_| cache.check_blob(digest)).await {
        Ok(()) => wrapped(error),
        Err(fault) => fault,
    }
}

/// Scans a layer once. Fails with the last error, and with the transfer's error if that is the cause.
async fn read_layer<A: Annotate>(
    session: &Arc<Session>,
    blob: &Blob,
    annotator: Arc<A>,
) -> std::result::Result<LayerScan<A::Fact>, (Error, Option<Error>)> {
    // Waits for a thread before the request, because a registry closes a response that is not read.
    let lease = session.threads.lease(1).await.map_err(|error| (error, None))?;
    let bytes = store::open(&session.registries, blob).await.map_err(|error| (error, None))?;
    let (reader, cause) = store::blocking_reader(bytes);
    let done = blocking(move |stop| {
        let _lease = lease;
        let tick = |_| if stop.load(Relaxed) { Err(Error::Interrupted) } else { Ok(()) };
        let (reader, compression) = sniffed(reader)?;
        LayerScan::of(reader, compression, MAX_LAYER, &*annotator, tick)
    });
    done.await.map_err(|error| (error, cause.take()))
}

fn key(annotator: &impl Annotate, layer: Digest) -> Digest {
    Digest::of(format!("{} {} {layer}", scan::VERSION, annotator.name()).as_bytes())
}

/// The cache key for the facts about a layer's files. The rest of its scan is computed from the tree.
fn tree_key(annotator: &impl Annotate, layer: Digest) -> Digest {
    Digest::of(format!("files {} {} {layer}", scan::VERSION, annotator.name()).as_bytes())
}

/// The layer's compression, detected from its first bytes, regardless of its media type.
fn sniffed<R: BufRead>(mut layer: R) -> Result<(R, Compression)> {
    let start = layer.fill_buf().map_err(|source| Error::LayerRead { source })?;
    let compression = Compression::sniff(start);
    Ok((layer, compression))
}
