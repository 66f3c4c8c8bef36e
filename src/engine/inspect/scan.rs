//! Scans of an image's layers. Each layer is read once, and its scan is kept in the cache.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::verified;
use crate::engine::contents::{Contents, ContentsKind};
use crate::engine::find::{self, ImageStore, StoredImage};
use crate::engine::session::Session;
use crate::error::{Error, Kind, Result};
use crate::image::{Blob, Compression, Descriptor, Digest, Layer, Location};
use crate::layer::MAX_LAYER;
use crate::scan::{
    self, Annotate, ENTRIES_PER_THREAD, LayerScan, MemoryBudget, NoFact, RecognizedFiles, Scans,
};
use crate::store;
use crate::threads::blocking;
use crate::tree::{Content, EntryKind, FileTree};

/// Upper bound on the layers of an image that are scanned at the same time: each takes some megabytes while it is read.
const AT_ONCE: usize = 8;

/// The budget of the scans with this annotator.
pub(in crate::engine) fn budget<A: Annotate>(annotator: &Arc<A>) -> MemoryBudget<A::Fact> {
    let annotator = annotator.clone();
    MemoryBudget::of_command(move |member| annotator.memory_beside(member, member.code().is_some()))
}

/// The scan of each layer; `None` for a foreign layer or one that is not a tar. A layer that was scanned before is not
/// read, but its store must still have it.
pub(in crate::engine) async fn of_image<A: Annotate>(
    session: &Arc<Session>,
    found: &StoredImage,
    annotator: Arc<A>,
) -> Result<Scans<A::Fact>> {
    let (store, name) = find::store(session, &found.base).await?;
    let budget = budget(&annotator);
    let one = |layer: Descriptor| {
        let (store, session, name, annotator) = (&store, session.clone(), name.clone(), annotator.clone());
        let budget = budget.clone();
        async move {
            if Compression::of(&layer.media_type).is_none() {
                return Ok(None);
            }
            if let ImageStore::Registry(repository) = store
                && is_known(&session, layer.digest, &*annotator)
                && !repository.has_blob(layer.digest).await?
            {
                return Err(Error::LostBlob { image: name, digest: layer.digest });
            }
            of_stored_layer(&session, store, &name, &layer, annotator, &budget).await.map(Some)
        }
    };
    let layers: Vec<_> = found.layers.iter().cloned().map(one).collect();
    Scans::of(stream::iter(layers).buffered(at_once(session, &found.layers)).collect().await)
}

/// The number of these layers that are scanned at the same time.
pub(in crate::engine) fn at_once(session: &Session, layers: &[Descriptor]) -> usize {
    // A zstd decoder may hold more than a hundred megabytes, so that two of them may exceed the budget.
    let is_zstd = |layer: &Descriptor| Compression::of(&layer.media_type) == Some(Compression::Zstd);
    if layers.iter().any(is_zstd) { 1 } else { session.threads.all().min(AT_ONCE) }
}

/// The cached scan of a layer.
///
/// # Errors
/// [`Error::TooManyFiles`] for a scan that exceeds the budget.
pub(in crate::engine) fn known<A: Annotate>(
    session: &Session,
    layer: Digest,
    annotator: &A,
    budget: &MemoryBudget<A::Fact>,
) -> Result<Option<LayerScan<A::Fact>>> {
    noted(session, key(annotator, layer), budget)
}

/// The cached scan of a layer, which may have been made from the tree of the layer. The digests of files in archives are
/// not known then.
///
/// # Errors
/// As [`known`].
pub(in crate::engine) fn known_or_made<A: Annotate>(
    session: &Session,
    layer: Digest,
    annotator: &A,
    budget: &MemoryBudget<A::Fact>,
) -> Result<Option<LayerScan<A::Fact>>> {
    if let Some(scan) = known(session, layer, annotator, budget)? {
        return Ok(Some(scan));
    }
    let scan = noted(session, made_key(annotator, layer), budget)?;
    Ok(scan.map(|scan| LayerScan { from_tree: true, ..scan }))
}

fn noted<F: Serialize + DeserializeOwned>(
    session: &Session,
    key: Digest,
    budget: &MemoryBudget<F>,
) -> Result<Option<LayerScan<F>>> {
    let Some(record) = session.cache.noted_pieces(key) else { return Ok(None) };
    LayerScan::read(record, budget)
}

/// Whether the cache has an undamaged scan of a layer. What relies on it must not find later that the scan is missing.
pub(in crate::engine) fn is_known(session: &Session, layer: Digest, annotator: &impl Annotate) -> bool {
    [key(annotator, layer), made_key(annotator, layer)].into_iter().any(|key| session.cache.has_note(key))
}

/// Scans a layer of `size` bytes from pieces that were verified before the last one arrived.
pub(super) fn of_passing<A: Annotate>(
    session: &Session,
    layer: Digest,
    size: u64,
    mut pieces: impl BufRead,
    annotator: &A,
    budget: &MemoryBudget<A::Fact>,
) -> Result<()> {
    let compression = sniffed(&mut pieces)?;
    let scanned = LayerScan::of(pieces, compression, MAX_LAYER, annotator, budget, |_| Ok(()))?;
    // The last piece is missing if the transfer broke off.
    if scanned.stored == size {
        keep(session, key(annotator, layer), &scanned);
    }
    budget.release(&scanned.members);
    Ok(())
}

/// Keeps a scan in the cache. A failure only costs time.
fn keep<F: Serialize>(session: &Session, key: Digest, scan: &LayerScan<F>) {
    let _ = session.cache.note_pieces(key, |out| scan.write(out));
}

/// Whether a layer could not be scanned, although it has its digest. Reading it gives the error again.
pub(in crate::engine) fn is_unreadable(session: &Session, layer: Digest) -> bool {
    session.cache.has_note(unreadable_key(layer))
}

fn unreadable_key(layer: Digest) -> Digest {
    Digest::of(format!("unreadable {} {layer}", scan::VERSION).as_bytes())
}

/// Whether the digest of each file in a tree is known, so that its scan has what a scan of the layer has.
pub(in crate::engine) fn has_digests(tree: &FileTree) -> bool {
    tree.iter().all(|(_, entry)| match &entry.kind {
        EntryKind::File(Content::File(file)) => file.sha256.is_some(),
        EntryKind::File(Content::Zip(_)) => false,
        _ => true,
    })
}

/// Scans the layer of a tree. The facts about its files are kept in the cache, because the next image has most of them
/// too; of packages the whole scan, because the next build finds the layer without its tree.
pub(in crate::engine) async fn of_tree<A: Annotate>(
    session: &Arc<Session>,
    contents: Contents,
    layer: Layer,
    annotator: Arc<A>,
    budget: &MemoryBudget<A::Fact>,
) -> Result<LayerScan<A::Fact>> {
    let Contents { tree, code, kind } = contents;
    let entries = tree.iter().count();
    let (cache, blob, of_tree) = (session.cache.clone(), layer.blob.clone(), annotator.clone());
    // The history of an image in a registry claims this digest for the layer; this machine has not verified it.
    let is_claimed = matches!(layer.blob.location, Location::Registry(_));
    let within = budget.clone();
    let scan = move |threads, _: &AtomicBool| {
        if is_claimed {
            let code = code.as_deref();
            return Ok(Some(LayerScan::of_tree(&tree, &layer, code, &*of_tree, &within, threads)?.0));
        }
        let key = tree_key(&*of_tree, layer.blob.digest);
        let facts: Option<RecognizedFiles<A::Fact>> =
            cache.noted(key).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(facts) = facts {
            return LayerScan::of_known_tree(&tree, &layer, &facts, &within, threads).map(Some);
        }
        let (scanned, facts) =
            LayerScan::of_tree(&tree, &layer, code.as_deref(), &*of_tree, &within, threads)?;
        // The files have changed since the layer was written.
        let Some(facts) = facts else {
            within.release(&scanned.members);
            return Ok(None);
        };
        // A failure to write the cache only costs time.
        if matches!(kind, ContentsKind::Keyed) {
            let _ = cache.note_pieces(made_key(&*of_tree, layer.blob.digest), |out| scanned.write(out));
        } else if let Ok(facts) = serde_json::to_vec(&facts) {
            let _ = cache.note(key, &facts);
        }
        Ok(Some(scanned))
    };
    // Fewer threads let several layers be scanned at once.
    let threads = entries.div_ceil(ENTRIES_PER_THREAD).clamp(1, session.threads.all());
    let digest = blob.digest;
    let scanned = session.threads.run(threads, scan).await;
    let scanned = scanned.map_err(|error| match error {
        Error::TooManyFiles { .. } => in_layer("the image", digest, error),
        error => error,
    });
    match scanned? {
        Some(scan) => Ok(scan),
        None => of_layer(session, "the image", blob, annotator, budget).await,
    }
}

/// Scans a layer of an image, unless it was scanned before. If the cache has a copy that turns out to be missing or
/// damaged, the layer is read from the image's own store.
pub(super) async fn of_stored_layer<A: Annotate>(
    session: &Arc<Session>,
    store: &ImageStore,
    image: &str,
    layer: &Descriptor,
    annotator: Arc<A>,
    budget: &MemoryBudget<A::Fact>,
) -> Result<LayerScan<A::Fact>> {
    match of_layer(session, image, store.layer(session, layer), annotator.clone(), budget).await {
        Err(error) if session.cache.lost(&error) => {
            of_layer(session, image, store.blob(layer.digest, layer.size), annotator, budget).await
        }
        scanned => scanned,
    }
}

/// The scan of a layer without what the annotator has found. A layer of a registry that was not scanned before is fetched
/// into the cache: it is read again when it is sent.
pub(in crate::engine) async fn listed<A: Annotate>(
    session: &Arc<Session>,
    image: &str,
    blob: &Blob,
    annotator: Arc<A>,
    budget: &MemoryBudget<A::Fact>,
) -> Result<LayerScan<NoFact>> {
    let nearest = session.nearest(blob);
    let is_remote = matches!(nearest.location, Location::Registry(_));
    let scanned = match is_remote && !session.cache.has_note(key(&*annotator, blob.digest)) {
        true => of_fetched(session, nearest, annotator, budget).await,
        false => of_layer(session, image, nearest, annotator, budget).await,
    };
    scanned.map(LayerScan::without_facts)
}

/// Fetches a layer into the cache, where its next reader finds it, and scans it there.
pub(in crate::engine) async fn of_fetched<A: Annotate>(
    session: &Arc<Session>,
    blob: Blob,
    annotator: Arc<A>,
    budget: &MemoryBudget<A::Fact>,
) -> Result<LayerScan<A::Fact>> {
    let mut retry = session.registries.retry();
    let fetched = loop {
        let bytes = store::open_of_any_size(&session.registries, &session.nearest(&blob)).await?;
        let mut staged = session.cache.stage()?;
        match store::write_stream(&staged, bytes, &|_| ()).await {
            Err(error) => retry.after(error).await?,
            Ok(()) => {
                let size = staged.position()?;
                break session.cache.keep(staged, blob.digest, size)?;
            }
        }
    };
    of_layer(session, "the image", fetched, annotator, budget).await
}

/// The error for a layer that cannot be scanned. A fault of this machine or of the network is not one of the layer.
pub(in crate::engine) fn in_layer(image: &str, digest: Digest, source: Error) -> Error {
    match source.kind() {
        Kind::Base => Error::Scan { image: image.to_owned(), digest, source: source.into() },
        _ => source,
    }
}

/// Scans a layer, unless it was scanned before. `image` names the image in errors.
pub(in crate::engine) async fn of_layer<A: Annotate>(
    session: &Arc<Session>,
    image: &str,
    blob: Blob,
    annotator: Arc<A>,
    budget: &MemoryBudget<A::Fact>,
) -> Result<LayerScan<A::Fact>> {
    let key = key(&*annotator, blob.digest);
    let scanned = known(session, blob.digest, &*annotator, budget);
    if let Some(scan) = scanned.map_err(|error| in_layer(image, blob.digest, error))? {
        if verified::is_still(session, &blob).await {
            return Ok(scan);
        }
        budget.release(&scan.members);
    }
    let mut retry = session.registries.retry();
    let scanned = loop {
        let read = read_layer(session, &blob, annotator.clone(), budget.clone());
        match verified::noting(session, &blob, read).await {
            Ok(scanned) => break scanned,
            Err((_, Some(error))) => retry.after(error).await?,
            Err((error @ Error::TooManyFiles { .. }, None)) => {
                return Err(in_layer(image, blob.digest, error));
            }
            Err((error, None)) => {
                let error = of_cache(session, &blob, image, error).await;
                if matches!(&error, Error::Scan { source, .. } if matches!(**source, Error::LayerRead { .. }))
                {
                    let _ = session.cache.note(unreadable_key(blob.digest), b"unreadable");
                }
                return Err(error);
            }
        }
    };
    keep(session, key, &scanned);
    Ok(scanned)
}

/// The error for a layer that cannot be read. A missing or damaged blob of the cache is reported as such, because it
/// can be made again. This function verifies the blob, because damage may fail the scan before the digest is checked.
async fn of_cache(session: &Session, blob: &Blob, image: &str, error: Error) -> Error {
    let wrapped = |source: Error| in_layer(image, blob.digest, source);
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
    budget: MemoryBudget<A::Fact>,
) -> std::result::Result<LayerScan<A::Fact>, (Error, Option<Error>)> {
    // Waits for a thread before the request, because a registry closes a response that is not read.
    let lease = session.threads.lease(1).await.map_err(|error| (error, None))?;
    let bytes = store::open_of_any_size(&session.registries, blob).await.map_err(|error| (error, None))?;
    let (mut reader, cause) = store::blocking_reader(bytes);
    let done = blocking(move |stop| {
        let _lease = lease;
        let tick = |_| if stop.load(Relaxed) { Err(Error::Interrupted) } else { Ok(()) };
        let scanned = sniffed(&mut reader).and_then(|compression| {
            LayerScan::of(&mut reader, compression, MAX_LAYER, &*annotator, &budget, tick)
        });
        if scanned.is_err() && !stop.load(Relaxed) {
            // The digest is checked at the end of the stream, and damaged bytes may fail the scan before.
            let _ = io::copy(&mut reader.take(MAX_LAYER), &mut io::sink());
        }
        scanned
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

/// The cache key for the scan that was made from a layer's tree.
fn made_key(annotator: &impl Annotate, layer: Digest) -> Digest {
    Digest::of(format!("made {} {} {layer}", scan::VERSION, annotator.name()).as_bytes())
}

/// The layer's compression, detected from its first bytes, regardless of its media type.
fn sniffed(layer: &mut impl BufRead) -> Result<Compression> {
    let start = layer.fill_buf().map_err(|source| Error::LayerRead { source })?;
    Ok(Compression::sniff(start))
}
