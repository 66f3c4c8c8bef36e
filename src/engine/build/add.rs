//! Turns a part of a source into a layer: found by its key, or else fetched and written.
//!
//! All parts of a stage are looked up at once, to save round trips. Missing parts are fetched ahead, and several are
//! written at once, because splicing a wheel uses one thread.

use std::cmp::Reverse;
use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::cached::Cached;
use super::follow::{follow, may_lead_elsewhere};
use super::key;
use super::write::{Made, Writing, held, make};
use crate::engine::contents::{Contents, ContentsKind, Trees};
use crate::engine::inspect::scan;
use crate::engine::publish::Push;
use crate::engine::session::{Caching, Session};
use crate::error::Result;
use crate::event::Event;
use crate::image::{Config, Digest, Layer, LayerKey};
use crate::scan::{NoAnnotator, view};
use crate::source::{Context, Fetched, Part, hash_missing};
use crate::tree::FileTree;

/// The number of parts that are fetched while others are written.
const AHEAD: usize = 8;

/// A part and its path in the image.
pub(super) struct Planned {
    part: Box<dyn Part>,
    to: String,
    /// The layer's name in events.
    name: String,
    /// The `created_by` of its history entry.
    created_by: String,
    /// Whether the content of its files decides the layer's key.
    by_content: bool,
    /// Whether links of the image may change its path.
    follows: bool,
}

impl Planned {
    /// A part for the path `to` in an image with this config.
    pub(super) fn new(part: Box<dyn Part>, to: String, config: &Config) -> Planned {
        let dir = to.trim_end_matches('/');
        let own = part.name();
        let created_by = format!("lbuild: {} in {dir}", own.as_deref().unwrap_or("files"));
        let by_content = own.is_none();
        let (name, follows) = (own.unwrap_or_else(|| dir.to_owned()), may_lead_elsewhere(&to, config));
        Planned { part, to, name, created_by, by_content, follows }
    }
}

/// The result of looking up a layer.
struct Lookup {
    /// The key for the layer if this machine makes it.
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
    /// The layers of the parts, in their order, each with the `created_by` of its history entry. `base` are the layers
    /// below them.
    pub(super) async fn layers(&self, parts: Vec<Planned>, base: &[Layer]) -> Result<Vec<(Layer, String)>> {
        let mut layers: Vec<(Layer, String)> = Vec::with_capacity(parts.len());
        let mut parts = parts.into_iter().peekable();
        while parts.peek().is_some() {
            let apart: Vec<Planned> = std::iter::from_fn(|| parts.next_if(|part| !part.follows)).collect();
            layers.extend(self.at_once(apart).await?);
            if let Some(part) = parts.next() {
                let below: Vec<Layer> =
                    base.iter().chain(layers.iter().map(|(layer, _)| layer)).cloned().collect();
                layers.push(self.above(part, &below).await?);
            }
        }
        Ok(layers)
    }

    /// The layers of parts that do not depend on the layers below.
    async fn at_once(&self, parts: Vec<Planned>) -> Result<Vec<(Layer, String)>> {
        let found = join_all(parts.iter().map(|planned| self.find(planned, &[]))).await;
        let all = self.session.threads.all();
        let is_missing =
            |(planned, lookup): &(&Planned, &Lookup)| !planned.by_content && lookup.found.is_none();
        let missing = parts.iter().zip(&found).filter(is_missing).count();
        // The threads are divided among the packages. Files are compressed by all free threads.
        let share = all / missing.clamp(1, all);
        let mut order: Vec<_> = parts.into_iter().zip(found).enumerate().collect();
        order.sort_by_key(|(_, (planned, _))| Reverse(planned.part.size()));
        let making = order.into_iter().map(|(number, (planned, lookup))| async move {
            let threads = if planned.by_content { all } else { share };
            Ok((number, self.layer(planned, lookup, &[], threads).await?))
        });
        let making = stream::iter(making.collect::<Vec<_>>()).buffer_unordered(all + AHEAD);
        let mut layers: Vec<_> = making.try_collect().await?;
        layers.sort_by_key(|(number, _)| *number);
        Ok(layers.into_iter().map(|(_, layer)| layer).collect())
    }

    /// The layer of a part whose path follows links of the layers below.
    async fn above(&self, planned: Planned, below: &[Layer]) -> Result<(Layer, String)> {
        let lookup = self.find(&planned, below).await;
        self.layer(planned, lookup, below, self.session.threads.all()).await
    }

    /// Looks up a part whose key does not depend on its files.
    async fn find(&self, planned: &Planned, below: &[Layer]) -> Lookup {
        let identities = planned.part.identities();
        let key = |&identity: &Digest| {
            let key = key::of_part(identity, &planned.to, self.epoch);
            if planned.follows { key::above(below, key) } else { key }
        };
        let keys: Vec<_> = identities.iter().map(key).collect();
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

    async fn layer(
        &self,
        planned: Planned,
        lookup: Lookup,
        below: &[Layer],
        threads: usize,
    ) -> Result<(Layer, String)> {
        let Planned { part, to, name, created_by, by_content, follows } = planned;
        let (is_published, is_package) = (part.is_published(), part.is_package());
        let verify = self.session.caching.policy == Caching::Verify;
        let (layer, cached) = match lookup {
            Lookup { found: Some(found), .. } if !verify => (found, true),
            lookup => {
                let fetched = part.fetch(&to, self.context).await?;
                let (mut fetched, Lookup { key, found }) = match (by_content, follows) {
                    (false, _) => (fetched, lookup),
                    (true, false) => self.find_by_content(fetched).await?,
                    (true, true) => self.find_above(fetched, below).await?,
                };
                match found {
                    Some(found) if !verify => {
                        let tree = self.session.threads.run(1, move |_, _| Ok(fetched.finish())).await?;
                        let kind = if follows { ContentsKind::Unplaced } else { ContentsKind::Files };
                        self.trees.keep(found.blob.digest, Contents { tree: tree.into(), code: None, kind });
                        (found, true)
                    }
                    found => {
                        if follows {
                            fetched.tree = placed(self.session, self.trees, fetched.tree, below).await?;
                        }
                        let lookup = Lookup { key, found };
                        let (made, tree) = self.make(fetched, lookup, &name, threads).await?;
                        let Made { layer, cached, code } = made;
                        let kind = if is_package { ContentsKind::Packages } else { ContentsKind::Files };
                        let (tree, code) = (tree.into(), code.map(Arc::new));
                        self.trees.keep(layer.blob.digest, Contents { tree, code, kind });
                        (layer, cached)
                    }
                }
            }
        };
        let (digest, size) = (layer.blob.digest, layer.blob.size);
        self.session.events.emit(Event::Layer { layer: name, digest, size, cached });
        for push in self.pushes {
            if !cached {
                push.made(&layer);
            }
            match is_published {
                true => push.published_layer(&layer, None),
                false => push.layer(&layer),
            }
        }
        Ok((layer, created_by))
    }

    /// Looks up the layer of a part by the content of its files. The files are read only if a layer may be found: if
    /// the cache has an entry for their shape, or an earlier image has any layers.
    async fn find_by_content(&self, fetched: Fetched) -> Result<(Fetched, Lookup)> {
        let (session, epoch) = (self.session.clone(), self.epoch);
        let run = self.session.threads.run(session.threads.all(), move |threads, _| {
            let mut fetched = fetched;
            let found = held(&session, &mut fetched.tree, epoch, threads)?;
            Ok((fetched, found))
        });
        let (fetched, found) = run.await?;
        if found.is_some() || !self.cached.has_layers().await {
            return Ok((fetched, Lookup { key: None, found }));
        }
        let (fetched, key) = self.content_key(fetched).await?;
        let found = match key {
            Some(key) => self.cached.layer(key).await,
            None => None,
        };
        Ok((fetched, Lookup { key: None, found }))
    }

    /// Like `find_by_content`, for a key that also depends on the layers below.
    async fn find_above(&self, fetched: Fetched, below: &[Layer]) -> Result<(Fetched, Lookup)> {
        let (fetched, key) = self.content_key(fetched).await?;
        let key = key.map(|key| key::above(below, key));
        let mut found = match (key, self.session.caching.policy) {
            (None, _) | (_, Caching::Off) => None,
            (Some(key), _) => self.session.cache.layer(key),
        };
        if let (Some(key), None) = (key, &found) {
            found = self.cached.layer(key).await;
        }
        Ok((fetched, Lookup { key, found }))
    }

    /// Computes the key from the contents of the files. Files without a known digest are read.
    async fn content_key(&self, fetched: Fetched) -> Result<(Fetched, Option<LayerKey>)> {
        let epoch = self.epoch;
        let run = self.session.threads.run(self.session.threads.all(), move |threads, _| {
            let mut fetched = fetched;
            hash_missing(&mut fetched.tree, threads)?;
            let key = key::of_content(&fetched.tree, epoch);
            Ok((fetched, key))
        });
        run.await
    }

    /// Writes the layer, and compares it with the one that was found, if any. Also returns the files.
    async fn make(
        &self,
        fetched: Fetched,
        lookup: Lookup,
        name: &str,
        threads: usize,
    ) -> Result<(Made, FileTree)> {
        let (session, epoch, name) = (self.session.clone(), self.epoch, name.to_owned());
        let is_scanned = self.trees.is_scanned();
        let made = self.session.threads.run(threads, move |threads, stop| {
            let mut fetched = fetched;
            let writing = Writing { epoch, name: &name, threads, stop, is_scanned };
            let Lookup { key, found } = lookup;
            let made = make(&session, &mut fetched.tree, &writing, key, found)?;
            Ok((made, fetched.finish()))
        });
        made.await
    }
}

/// The tree with its paths resolved in the layers below. Scans these layers.
pub(in crate::engine) async fn placed(
    session: &Arc<Session>,
    trees: &Trees,
    tree: FileTree,
    below: &[Layer],
) -> Result<FileTree> {
    let budget = &scan::budget(&Arc::new(NoAnnotator));
    let scans = below.iter().map(async |layer| {
        let annotator = Arc::new(NoAnnotator);
        match trees.get(layer.blob.digest) {
            Some(Contents { tree, code, kind }) if kind != ContentsKind::Unplaced => {
                let of = Contents { tree, code, kind: ContentsKind::Files };
                scan::of_tree(session, of, layer.clone(), annotator, budget).await
            }
            _ => scan::of_layer(session, "the image", layer.blob.clone(), annotator, budget).await,
        }
    });
    let scans: Vec<_> = try_join_all(scans).await?.into_iter().map(Some).collect();
    session.threads.run(1, move |_, _| follow(tree, &view(&scans))).await
}
