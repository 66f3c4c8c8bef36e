//! One layer: found by its key, in the local cache or in an image that was pushed earlier, or else made.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::bridge::blocking;
use super::built::Trees;
use super::earlier::Earlier;
use super::{Caching, Shared, key};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::Layer;
use crate::layer::{self, WriteOptions, Written};
use crate::source::{self, Collected};
use crate::tree::{Content, EntryKind, FileTree};

impl Shared {
    /// The layer of the collected files under `to`.
    pub(super) async fn layer(
        self: &Arc<Self>,
        epoch: u64,
        mut files: Collected,
        to: &str,
        earlier: &Earlier,
        trees: Option<&Trees>,
    ) -> Result<Layer> {
        let name = to.trim_end_matches('/').to_owned();
        let (shared, to) = (self.clone(), to.to_owned());
        let (mut files, mut found) = blocking(move |_| {
            let warn = |warning: source::Warning| {
                shared.events.warn(warning.to_string(), Some(warning.hint()));
            };
            files.put_under(&to, warn)?;
            let found = shared.held(&mut files.tree, epoch)?;
            Ok((files, found))
        })
        .await?;
        if found.is_none() && earlier.has_layers().await {
            let shared = self.clone();
            let key;
            (files, key) = blocking(move |_| {
                source::hash_missing(&mut files.tree, shared.jobs)?;
                let key = key::of_content(&files.tree, epoch);
                Ok((files, key))
            })
            .await?;
            if let Some(key) = key {
                found = earlier.layer(key).await;
            }
        }
        let (shared, trees) = (self.clone(), trees.cloned());
        blocking(move |stop| {
            let layer = shared.found_or_made(found, &mut files.tree, epoch, &name, stop)?;
            files.remember();
            if let Some(trees) = trees {
                trees.keep(layer.blob.digest, files.tree);
            }
            Ok(layer)
        })
        .await
    }

    /// The layer of a tree that a caller has made.
    pub(super) async fn layer_of(self: &Arc<Self>, mut tree: FileTree, epoch: u64) -> Result<Layer> {
        let shared = self.clone();
        blocking(move |stop| {
            let found = shared.held(&mut tree, epoch)?;
            shared.found_or_made(found, &mut tree, epoch, "/", stop)
        })
        .await
    }

    /// The layer of the tree, when the local cache has it.
    fn held(&self, tree: &mut FileTree, epoch: u64) -> Result<Option<Layer>> {
        if self.caching.policy == Caching::Off {
            return Ok(None);
        }
        let mut key = key::of_content(tree, epoch);
        if key.is_none() && self.cache.knows_shape(key::of_shape(tree, epoch)) {
            source::hash_missing(tree, self.jobs)?;
            key = key::of_content(tree, epoch);
        }
        Ok(key.and_then(|key| self.cache.layer(key)))
    }

    fn found_or_made(
        &self,
        found: Option<Layer>,
        tree: &mut FileTree,
        epoch: u64,
        name: &str,
        stop: &AtomicBool,
    ) -> Result<Layer> {
        let cached = found.is_some();
        let layer = match found {
            Some(layer) if self.caching.policy == Caching::Verify => {
                same(name, layer, &self.make(tree, epoch, name, stop)?)?
            }
            Some(layer) => layer,
            None => self.make(tree, epoch, name, stop)?,
        };
        let (digest, size) = (layer.blob.digest, layer.blob.size);
        self.events.emit(Event::Layer { layer: name.to_owned(), digest, size, cached });
        Ok(layer)
    }

    /// Packs the tree, and remembers by which key.
    fn make(&self, tree: &mut FileTree, epoch: u64, name: &str, stop: &AtomicBool) -> Result<Layer> {
        let shape = key::of_shape(tree, epoch);
        let layer = self.write(tree, epoch, name, self.jobs, stop)?;
        if let Some(key) = layer.key {
            self.cache.put_layer(key, &layer)?;
            self.cache.put_shape(shape)?;
        }
        Ok(layer)
    }

    /// Packs the tree with so many threads.
    pub(super) fn write(
        &self,
        tree: &mut FileTree,
        epoch: u64,
        name: &str,
        jobs: usize,
        stop: &AtomicBool,
    ) -> Result<Layer> {
        let mut staged = self.cache.stage()?;
        let progress = |bytes| {
            self.events.emit(Event::LayerProgress { layer: name.to_owned(), bytes });
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let options = WriteOptions { epoch, jobs, progress: &progress };
        let written = layer::write(tree, &options, &mut staged);
        let written = written.map_err(|error| match error {
            Error::LayerWrite { source } => staged.failure(source),
            other => other,
        })?;
        record(tree, &written);
        let key = key::of_content(tree, epoch);
        let blob = self.cache.keep(staged, written.digest, written.size)?;
        Ok(Layer { blob, diff_id: written.diff_id, key })
    }
}

/// The cached layer, when it is what was made of its files just now.
pub(super) fn same(name: &str, cached: Layer, made: &Layer) -> Result<Layer> {
    if made.blob.digest != cached.blob.digest || made.diff_id != cached.diff_id {
        let (layer, cached, made) = (name.to_owned(), cached.blob.digest, made.blob.digest);
        return Err(Error::CacheMismatch { layer, cached, made });
    }
    Ok(cached)
}

/// What the writer saw of each file is what its content is known by from now on.
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
