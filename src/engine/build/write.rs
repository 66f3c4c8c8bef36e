//! Writes a tree as a layer in the cache.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::key;
use crate::engine::session::{Caching, Session};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{Layer, LayerKey};
use crate::layer::{self, WriteOptions, Written};
use crate::scan::{CodeCollector, WrittenCode};
use crate::source::hash_missing;
use crate::tree::{Content, EntryKind, FileTree};

/// Settings for writing a layer.
#[derive(Clone, Copy)]
pub(super) struct Writing<'w> {
    /// The time of its entries, in seconds since 1970.
    pub(super) epoch: u64,
    /// Its name in events.
    pub(super) name: &'w str,
    /// The number of threads that compress it.
    pub(super) threads: usize,
    /// Set when the caller no longer waits.
    pub(super) stop: &'w AtomicBool,
    /// Whether it is scanned afterwards.
    pub(super) is_scanned: bool,
}

/// A layer that was written.
pub(super) struct Made {
    pub(super) layer: Layer,
    /// Whether it was found before.
    pub(super) cached: bool,
    /// The code among its files from archives, if it is scanned afterwards.
    pub(super) code: Option<WrittenCode>,
}

/// The layer of a caller's tree, found by its key or written.
pub(in crate::engine) async fn layer_of_tree(
    session: &Arc<Session>,
    tree: FileTree,
    epoch: u64,
) -> Result<Layer> {
    let (layer, cached) = found_or_made(session, tree, epoch).await?;
    let (digest, size) = (layer.blob.digest, layer.blob.size);
    session.events.emit(Event::Layer { layer: "/".to_owned(), digest, size, cached });
    Ok(layer)
}

/// The layer of files that do not become part of the image.
pub(super) async fn layer_of_files(session: &Arc<Session>, tree: FileTree, epoch: u64) -> Result<Layer> {
    found_or_made(session, tree, epoch).await.map(|(layer, _)| layer)
}

/// The layer, and whether it was found.
async fn found_or_made(session: &Arc<Session>, mut tree: FileTree, epoch: u64) -> Result<(Layer, bool)> {
    let shared = session.clone();
    let done = session.threads.run(session.threads.all(), move |threads, stop| {
        let writing = Writing { epoch, name: "/", threads, stop, is_scanned: false };
        match held(&shared, &mut tree, epoch, threads)? {
            Some(found) if shared.caching.policy != Caching::Verify => Ok((found, true)),
            found => {
                let Made { layer, cached, .. } = make(&shared, &mut tree, &writing, None, found)?;
                Ok((layer, cached))
            }
        }
    });
    done.await
}

/// The layer of the tree, if the local cache has it.
pub(super) fn held(
    session: &Session,
    tree: &mut FileTree,
    epoch: u64,
    threads: usize,
) -> Result<Option<Layer>> {
    if session.caching.policy == Caching::Off {
        return Ok(None);
    }
    let mut key = key::of_content(tree, epoch);
    if key.is_none() && session.cache.knows_shape(key::of_shape(tree, epoch)) {
        hash_missing(tree, threads)?;
        key = key::of_content(tree, epoch);
    }
    Ok(key.and_then(|key| session.cache.layer(key)))
}

/// Writes the layer, and caches it under `key`, or else under the key of its files' content, and records their shape.
/// If a layer was `found`, both must have the same digests, and the found one is returned.
pub(super) fn make(
    session: &Session,
    tree: &mut FileTree,
    writing: &Writing<'_>,
    key: Option<LayerKey>,
    found: Option<Layer>,
) -> Result<Made> {
    let shape = key.is_none().then(|| key::of_shape(tree, writing.epoch));
    let (made, code) = write(session, tree, writing)?;
    if let Some(found) = &found
        && (made.blob.digest, made.diff_id) != (found.blob.digest, found.diff_id)
    {
        let (layer, cached, made) = (writing.name.to_owned(), found.blob.digest, made.blob.digest);
        return Err(Error::CacheMismatch { layer, cached, made });
    }
    let made = Layer { key: key.or_else(|| key::of_content(tree, writing.epoch)), ..made };
    if let Some(key) = made.key {
        session.cache.put_layer(key, &made)?;
        shape.map_or(Ok(()), |shape| session.cache.put_shape(shape))?;
    }
    let cached = found.is_some();
    Ok(Made { layer: found.unwrap_or(made), cached, code })
}

/// Writes the layer into the cache. Also returns the code among its files from archives, if it is scanned afterwards.
fn write(
    session: &Session,
    tree: &mut FileTree,
    writing: &Writing<'_>,
) -> Result<(Layer, Option<WrittenCode>)> {
    let Writing { epoch, name, threads, stop, is_scanned } = *writing;
    let mut staged = session.cache.stage()?;
    let progress = |bytes| {
        session.events.emit(Event::LayerProgress { layer: name.to_owned(), bytes });
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = WriteOptions { epoch, jobs: threads, progress: &progress };
    let mut code = CodeCollector::default();
    let written = match is_scanned {
        true => layer::write_seen(tree, &options, &mut staged, &mut code),
        false => layer::write(tree, &options, &mut staged),
    };
    let written = written.map_err(|error| match error {
        Error::LayerWrite { source } => staged.failure(source),
        other => other,
    })?;
    record(tree, &written);
    let blob = session.cache.keep(staged, written.digest, written.size)?;
    let code = is_scanned.then(|| code.finish());
    Ok((Layer { blob, diff_id: written.diff_id, key: None }, code))
}

/// Records the digests that the writer computed in the tree's files.
fn record(tree: &mut FileTree, written: &Written) {
    let mut digests = written.files.iter();
    for (path, entry) in tree.iter_mut() {
        if let EntryKind::File(content) = &mut entry.kind {
            if matches!(content, Content::Zip(_)) {
                continue;
            }
            let seen = digests.next().filter(|(seen, _)| seen == path);
            if let (Content::File(file), Some((_, digest))) = (content, seen) {
                file.sha256 = Some(*digest);
            }
        }
    }
}
