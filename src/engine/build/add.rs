//! From a part of a source to a layer: found by its key, or else fetched and written.
//!
//! All parts of a stage are looked for at once, as that is a matter of round trips. Missing ones are fetched ahead, and
//! several are written at once: to splice a wheel takes one thread.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::cached::Cached;
use super::key;
use crate::engine::publish::Push;
use crate::engine::session::{Caching, Session};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{Digest, Layer, LayerKey};
use crate::layer::{self, WriteOptions, Written};
use crate::source::{Context, Fetched, Part, hash_missing};
use crate::tree::{Content, EntryKind, FileTree};

/// How many parts are fetched while others are written.
const AHEAD: usize = 8;

/// The files of layers that were built, by the layers' digests.
#[derive(Clone, Default)]
pub(in crate::engine) struct Trees(Arc<Mutex<HashMap<Digest, Arc<FileTree>>>>);

impl Trees {
    fn keep(&self, layer: Digest, tree: FileTree) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(layer, tree.into());
    }

    pub(in crate::engine) fn get(&self, layer: Digest) -> Option<Arc<FileTree>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&layer).cloned()
    }
}

/// A part and its place in the image.
pub(super) struct Planned {
    part: Box<dyn Part>,
    to: String,
    /// The layer's name in events.
    name: String,
    /// The line of the image's history.
    created_by: String,
    /// Whether the files themselves decide the layer.
    by_content: bool,
}

impl Planned {
    pub(super) fn new(part: Box<dyn Part>, to: String) -> Planned {
        let dir = to.trim_end_matches('/');
        let own = part.name();
        let created_by = format!("lbuild: {} in {dir}", own.as_deref().unwrap_or("files"));
        let by_content = own.is_none();
        Planned { name: own.unwrap_or_else(|| dir.to_owned()), part, created_by, by_content, to }
    }
}

/// A layer that was looked for.
struct Lookup {
    /// The key under which this machine makes it.
    key: Option<LayerKey>,
    found: Option<Layer>,
}

/// The layers of one stage.
pub(super) struct Adding<'a> {
    pub(super) session: &'a Arc<Session>,
    pub(super) epoch: u64,
    pub(super) context: &'a Context,
    pub(super) cached: &'a Cached,
    pub(super) pushes: &'a [Push],
    pub(super) trees: &'a Trees,
}

impl Adding<'_> {
    /// The layers of the parts, in their order, with their lines of history.
    pub(super) async fn layers(&self, parts: Vec<Planned>) -> Result<Vec<(Layer, String)>> {
        let found = join_all(parts.iter().map(|planned| self.find(planned))).await;
        let all = self.session.threads.all();
        let missing = parts
            .iter()
            .zip(&found)
            .filter(|(planned, lookup)| !planned.by_content && lookup.found.is_none());
        // The threads are divided among the packages; files are compressed by as many as are free.
        let share = all / missing.count().clamp(1, all);
        let making = parts.into_iter().zip(found).map(|(planned, lookup)| async move {
            let threads = if planned.by_content { all } else { share };
            let created_by = planned.created_by.clone();
            let layer = self.layer(planned, lookup, threads).await?;
            self.pushes.iter().for_each(|push| push.layer(&layer));
            Ok((layer, created_by))
        });
        stream::iter(making.collect::<Vec<_>>()).buffered(all + AHEAD).try_collect().await
    }

    /// Looks for a part whose key is known before its files are.
    async fn find(&self, planned: &Planned) -> Lookup {
        let identities = planned.part.identities();
        let keys: Vec<_> =
            identities.iter().map(|&identity| key::of_part(identity, &planned.to, self.epoch)).collect();
        let mut found = match self.session.caching.policy {
            Caching::Off => None,
            Caching::On | Caching::Verify => keys.iter().find_map(|&key| self.session.cache.layer(key)),
        };
        for &key in &keys {
            if found.is_none() {
                found = self.cached.layer(key).await;
            }
        }
        Lookup { key: keys.first().copied(), found }
    }

    async fn layer(&self, planned: Planned, lookup: Lookup, threads: usize) -> Result<Layer> {
        let Planned { part, to, name, by_content, .. } = planned;
        let verify = self.session.caching.policy == Caching::Verify;
        let (layer, cached) = match lookup {
            Lookup { found: Some(found), .. } if !verify => (found, true),
            Lookup { key, found } if !by_content => {
                let made = self.write(part.fetch(&to, self.context).await?, key, &name, threads).await?;
                checked(&name, found, made)?
            }
            Lookup { .. } => {
                let fetched = part.fetch(&to, self.context).await?;
                match self.find_by_content(fetched).await? {
                    (fetched, Some(found)) if !verify => {
                        let tree = self.session.threads.run(1, move |_, _| Ok(fetched.finish())).await?;
                        self.trees.keep(found.blob.digest, tree);
                        (found, true)
                    }
                    (fetched, found) => {
                        checked(&name, found, self.write(fetched, None, &name, threads).await?)?
                    }
                }
            }
        };
        let (digest, size) = (layer.blob.digest, layer.blob.size);
        self.session.events.emit(Event::Layer { layer: name, digest, size, cached });
        Ok(layer)
    }

    /// Looks for the layer of files that decide it themselves. They are read only when some layer may be found: when
    /// one was made of files that looked the same, or an earlier image has any.
    async fn find_by_content(&self, fetched: Fetched) -> Result<(Fetched, Option<Layer>)> {
        let (session, epoch) = (self.session.clone(), self.epoch);
        let run = self.session.threads.run(session.threads.all(), move |threads, _| {
            let mut fetched = fetched;
            let found = held(&session, &mut fetched.tree, epoch, threads)?;
            Ok((fetched, found))
        });
        let (fetched, found) = run.await?;
        if found.is_some() || !self.cached.has_layers().await {
            return Ok((fetched, found));
        }
        let run = self.session.threads.run(self.session.threads.all(), move |threads, _| {
            let mut fetched = fetched;
            hash_missing(&mut fetched.tree, threads)?;
            let key = key::of_content(&fetched.tree, epoch);
            Ok((fetched, key))
        });
        let (fetched, key) = run.await?;
        let found = match key {
            Some(key) => self.cached.layer(key).await,
            None => None,
        };
        Ok((fetched, found))
    }

    /// Writes the layer, and keeps it under `key`, or else under the key of its content.
    async fn write(
        &self,
        fetched: Fetched,
        key: Option<LayerKey>,
        name: &str,
        threads: usize,
    ) -> Result<Layer> {
        let (session, epoch, name) = (self.session.clone(), self.epoch, name.to_owned());
        let written = self.session.threads.run(threads, move |threads, stop| {
            let mut fetched = fetched;
            let layer = match key {
                Some(key) => {
                    let layer = write(&session, &mut fetched.tree, epoch, &name, threads, stop)?;
                    let layer = Layer { key: Some(key), ..layer };
                    session.cache.put_layer(key, &layer)?;
                    layer
                }
                None => make(&session, &mut fetched.tree, epoch, &name, threads, stop)?,
            };
            Ok((layer, fetched.finish()))
        });
        let (layer, tree) = written.await?;
        // Packages were looked at when they were chosen and installed.
        if key.is_none() {
            self.trees.keep(layer.blob.digest, tree);
        }
        Ok(layer)
    }
}

/// The layer of a tree that a caller has made, found by its key or written.
pub(in crate::engine) async fn layer_of_tree(
    session: &Arc<Session>,
    mut tree: FileTree,
    epoch: u64,
) -> Result<Layer> {
    let shared = session.clone();
    let done = session.threads.run(session.threads.all(), move |threads, stop| {
        let found = held(&shared, &mut tree, epoch, threads)?;
        match found {
            Some(found) if shared.caching.policy != Caching::Verify => Ok((found, true)),
            found => checked("/", found, make(&shared, &mut tree, epoch, "/", threads, stop)?),
        }
    });
    let (layer, cached) = done.await?;
    let (digest, size) = (layer.blob.digest, layer.blob.size);
    session.events.emit(Event::Layer { layer: "/".to_owned(), digest, size, cached });
    Ok(layer)
}

/// The layer of the tree, when the local cache has it.
fn held(session: &Session, tree: &mut FileTree, epoch: u64, threads: usize) -> Result<Option<Layer>> {
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

/// The layer to take, and whether it was found: one that was made again must be the same.
fn checked(name: &str, found: Option<Layer>, made: Layer) -> Result<(Layer, bool)> {
    let Some(cached) = found else { return Ok((made, false)) };
    if made.blob.digest != cached.blob.digest || made.diff_id != cached.diff_id {
        let (layer, cached, made) = (name.to_owned(), cached.blob.digest, made.blob.digest);
        return Err(Error::CacheMismatch { layer, cached, made });
    }
    Ok((cached, true))
}

/// Writes the layer, and remembers by which content and which shape.
fn make(
    session: &Session,
    tree: &mut FileTree,
    epoch: u64,
    name: &str,
    threads: usize,
    stop: &AtomicBool,
) -> Result<Layer> {
    let shape = key::of_shape(tree, epoch);
    let layer = write(session, tree, epoch, name, threads, stop)?;
    if let Some(key) = layer.key {
        session.cache.put_layer(key, &layer)?;
        session.cache.put_shape(shape)?;
    }
    Ok(layer)
}

fn write(
    session: &Session,
    tree: &mut FileTree,
    epoch: u64,
    name: &str,
    threads: usize,
    stop: &AtomicBool,
) -> Result<Layer> {
    let mut staged = session.cache.stage()?;
    let progress = |bytes| {
        session.events.emit(Event::LayerProgress { layer: name.to_owned(), bytes });
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = WriteOptions { epoch, jobs: threads, progress: &progress };
    let written = layer::write(tree, &options, &mut staged);
    let written = written.map_err(|error| match error {
        Error::LayerWrite { source } => staged.failure(source),
        other => other,
    })?;
    record(tree, &written);
    let key = key::of_content(tree, epoch);
    let blob = session.cache.keep(staged, written.digest, written.size)?;
    Ok(Layer { blob, diff_id: written.diff_id, key })
}

/// Files are known from now on by the digests that the writer saw.
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
