//! Turns a planned layer into a layer: found by its key, or else made.
//!
//! All parts of a stage are looked up at once, to save round trips. Missing parts are fetched ahead, and several are
//! written at once, because splicing a wheel uses one thread.

use std::cmp::Reverse;
use std::sync::Arc;

use futures_util::future::{BoxFuture, try_join_all};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::beneath::{Beneath, covers};
use super::cached::{Cached, Known};
use super::content::content_key;
use super::placed::{Below, has_directory, is_bare, placed};
use super::planned::{Planned, PlannedLayer, PlannedPart, Work};
use super::reads::Structures;
use super::write::{Made, Writing, held, make};
use crate::engine::contents::{Contents, ContentsKind, Trees};
use crate::engine::publish::Push;
use crate::engine::session::{Caching, Session};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{Digest, Layer, LayerKey};
use crate::recipe::Base;
use crate::source::{Context, Fetched, Part, Placing};
use crate::tree::FileTree;

/// The number of parts that are fetched while others are written.
const AHEAD: usize = 8;

/// The result of adding a part to the image.
pub(super) struct Added {
    /// `None` if it changes nothing in the image.
    pub(super) layer: Option<Layer>,
    /// The key under which an earlier build may have it.
    pub(super) key: Option<LayerKey>,
    /// The `created_by` of its history entry.
    pub(super) created_by: String,
    /// For a command that makes several layers: their number. They follow.
    pub(super) layers: usize,
    /// What its history entry notes for later builds.
    pub(super) note: Option<String>,
}

/// The result of looking up a layer.
struct Lookup {
    /// The key for the layer if this machine makes it.
    key: Option<LayerKey>,
    found: Option<Known>,
}

/// The input for making a layer.
#[derive(Clone, Copy)]
pub(super) struct Making<'m> {
    /// Its name in events.
    pub(super) name: &'m str,
    pub(super) beneath: Beneath,
    /// The layers below that matter.
    pub(super) below: &'m [Layer],
    /// The number of threads that it may use.
    pub(super) threads: usize,
}

/// The key of a layer, the layer, and whether it was found rather than made.
pub(super) type Outcome = (Option<LayerKey>, Known, bool);

/// The layers of one stage.
pub(super) struct Adding<'a> {
    pub(super) session: &'a Arc<Session>,
    pub(super) epoch: u64,
    pub(super) context: &'a Context,
    pub(super) cached: &'a Cached,
    pub(super) pushes: &'a [Push],
    pub(super) trees: &'a Trees,
    pub(super) stages: &'a dyn Stages,
    pub(super) structures: Structures,
}

/// The stages that parts take files from; each is built when its layers are needed first.
pub(super) trait Stages: Sync {
    fn layers(&self, stage: usize) -> BoxFuture<'_, Result<Vec<Layer>>>;
}

impl Adding<'_> {
    /// The layers of each step, in their order. `base` are the layers below them.
    pub(super) async fn layers(&self, planned: Vec<Planned>, base: &[Layer]) -> Result<Vec<Vec<Added>>> {
        let mut done: Vec<Vec<Added>> = Vec::with_capacity(planned.len());
        // Directories that a `WORKDIR` makes, and their layers.
        let mut made = Vec::new();
        let mut planned = planned.into_iter().peekable();
        loop {
            let is_apart = |next: &Planned| match next {
                Planned::Layer(layer) => layer.beneath == Beneath::Nothing,
                Planned::Install(_) | Planned::Packages(_) => false,
            };
            let apart = std::iter::from_fn(|| match planned.next_if(is_apart)? {
                Planned::Layer(layer) => Some(*layer),
                Planned::Install(_) | Planned::Packages(_) => None,
            });
            let apart: Vec<PlannedLayer> = apart.collect();
            done.extend(self.at_once(apart).await?.into_iter().map(|added| vec![added]));
            let Some(next) = planned.next() else { break };
            let own = || done.iter().flatten().filter_map(|added| added.layer.as_ref());
            let added = match next {
                Planned::Install(install) => {
                    let below = Beneath::All.layers(base, own());
                    self.installed(&install, &below).await?
                }
                Planned::Packages(packages) => {
                    let below = packages.beneath.layers(base, own());
                    self.packages_added(packages, &below).await?
                }
                Planned::Layer(mut layer) => {
                    let mut workdir = None;
                    if let Work::Files(part) = &layer.work {
                        if layer.beneath == Beneath::All && self.is_made(part, &made).await? {
                            layer.beneath = Beneath::Made;
                        }
                        let is_workdir = part.placing.as_ref().is_some_and(|placing| placing.is_workdir);
                        workdir = is_workdir.then(|| part.to.clone());
                    }
                    if layer.may_redirect() {
                        made.clear();
                    }
                    let below = layer.beneath.layers(base, own());
                    let added = self.above(*layer, &below).await?;
                    made.extend(workdir.zip(added.layer.clone()));
                    vec![added]
                }
            };
            done.push(added);
        }
        Ok(done)
    }

    /// Whether the part goes below a directory that this build makes for a `WORKDIR`, so that no layer of the base
    /// matters.
    async fn is_made(&self, part: &PlannedPart, made: &[(String, Layer)]) -> Result<bool> {
        if part.placing.as_ref().is_none_or(Placing::names_owner) {
            return Ok(false);
        }
        for (dir, layer) in made.iter().filter(|(dir, _)| covers(dir, &part.to)) {
            // A link may have led elsewhere.
            if has_directory(self.session, self.trees, layer, dir).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The layers of parts that do not depend on the layers below.
    pub(super) async fn at_once(&self, parts: Vec<PlannedLayer>) -> Result<Vec<Added>> {
        let found = try_join_all(parts.iter().map(|planned| self.find(planned, &[]))).await?;
        let all = self.session.threads.all();
        let is_missing =
            |(planned, lookup): &(&PlannedLayer, &Lookup)| !planned.is_by_content() && lookup.found.is_none();
        let missing = parts.iter().zip(&found).filter(is_missing).count();
        // The threads are divided among the packages. Files are compressed by all free threads.
        let share = all / missing.clamp(1, all);
        let mut order: Vec<_> = parts.into_iter().zip(found).enumerate().collect();
        order.sort_by_key(|(_, (planned, _))| Reverse(planned.size()));
        let making = order.into_iter().map(|(number, (planned, lookup))| async move {
            let threads = if planned.is_by_content() { all } else { share };
            Ok((number, self.layer(planned, lookup, &[], threads).await?))
        });
        let making = stream::iter(making.collect::<Vec<_>>()).buffer_unordered(all + AHEAD);
        let mut layers: Vec<_> = making.try_collect().await?;
        layers.sort_by_key(|(number, _)| *number);
        Ok(layers.into_iter().map(|(_, layer)| layer).collect())
    }

    /// A layer that depends on the layers below.
    pub(super) async fn above(&self, planned: PlannedLayer, below: &[Layer]) -> Result<Added> {
        let lookup = self.find(&planned, below).await?;
        self.layer(planned, lookup, below, self.session.threads.all()).await
    }

    /// Looks up a layer whose key does not depend on its files.
    async fn find(&self, planned: &PlannedLayer, below: &[Layer]) -> Result<Lookup> {
        let mounted = match planned.mounts() {
            Some(mounts) => mounts.identities(self.session, self.context, self.epoch).await?,
            None => Vec::new(),
        };
        let keys = planned.keys(self.epoch, below, &mounted);
        let mut found = match self.session.caching.policy {
            Caching::Off => None,
            Caching::On | Caching::Verify => keys.iter().find_map(|&key| Known::of(&self.session.cache, key)),
        };
        for &key in &keys {
            if found.is_none() {
                found = self.cached.layer(key).await;
            }
        }
        Ok(Lookup { key: keys.first().copied(), found })
    }

    async fn layer(
        &self,
        planned: PlannedLayer,
        lookup: Lookup,
        below: &[Layer],
        threads: usize,
    ) -> Result<Added> {
        let verify = self.session.caching.policy == Caching::Verify;
        let is_published = planned.is_published();
        let PlannedLayer { work, name, created_by, beneath } = planned;
        let making = Making { name: &name, beneath, below, threads };
        let (key, known, cached) = match (lookup, work) {
            (Lookup { key, found: Some(found) }, _) if !verify => (key, found, true),
            (lookup, Work::Files(part)) => self.fetched(part, lookup, &making).await?,
            (Lookup { key, found }, Work::Operations(planned)) => {
                self.operated(planned, key, found, &making).await?
            }
        };
        let Known(Some(layer)) = known else {
            return Ok(Added { layer: None, key, created_by, layers: 0, note: None });
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
        Ok(Added { key: layer.key, layer: Some(layer), created_by, layers: 0, note: None })
    }

    /// Builds the stages that a part reads.
    pub(super) async fn build_stages(&self, part: &dyn Part) -> Result<()> {
        for stage in part.stages() {
            let layers = self.stages.layers(stage).await?;
            let images = self.context.images.iter().filter(|image| image.named == Base::Stage(stage));
            images.for_each(|image| image.built(&layers));
        }
        Ok(())
    }

    /// Fetches the files. Their layer is found by their content, or made. Also returns its key, and whether it was
    /// found.
    async fn fetched(&self, planned: PlannedPart, lookup: Lookup, making: &Making<'_>) -> Result<Outcome> {
        let (outcome, structure) = self.fetched_layer(planned, lookup, making).await?;
        if let (Some(structure), (_, Known(Some(layer)), _)) = (structure, &outcome) {
            self.structures.note(layer, structure);
        }
        Ok(outcome)
    }

    /// Also returns the structure of files whose content decides the key.
    async fn fetched_layer(
        &self,
        planned: PlannedPart,
        lookup: Lookup,
        making: &Making<'_>,
    ) -> Result<(Outcome, Option<Digest>)> {
        let verify = self.session.caching.policy == Caching::Verify;
        let Making { name, beneath, below, threads } = *making;
        let PlannedPart { part, to, by_content, .. } = planned;
        let is_package = part.is_package();
        self.build_stages(&*part).await?;
        if let Some(key) = lookup.key
            && let Some(layer) = part.whole_layer(&to, self.context).await?
            && is_bare(self.session, self.trees, below, &to).await?
        {
            let layer = Layer { key: Some(key), ..layer };
            return Ok(((Some(key), Known(Some(layer)), true), None));
        }
        let fetched = part.fetch(&to, self.context).await?;
        let structure = by_content.then(|| Structures::of(&fetched));
        let depends = fetched.placing.is_some() || beneath != Beneath::Nothing;
        let (mut fetched, Lookup { key, found }) = match (by_content, depends) {
            (false, _) => (fetched, lookup),
            (true, false) => self.find_by_content(fetched).await?,
            (true, true) => self.find_above(fetched, beneath, below).await?,
        };
        let on_aws = beneath == Beneath::MadeOnAws;
        match found {
            Some(Known(None)) if !verify => Ok(((key, Known(None), true), structure)),
            Some(Known(Some(found))) if !verify => {
                let mut kind = ContentsKind::Files;
                if depends && self.trees.have(below) {
                    self.place(&mut fetched, below, on_aws).await?;
                } else if depends {
                    kind = ContentsKind::Unplaced(fetched.placing.clone().map(Arc::new));
                }
                let tree = self.session.threads.run(1, move |_, _| Ok(fetched.finish())).await?;
                // The files of packages are gone now.
                if !is_package {
                    self.trees.keep(found.blob.digest, Contents { tree: tree.into(), code: None, kind });
                }
                Ok(((key, Known(Some(found)), true), structure))
            }
            found => {
                if depends {
                    self.place(&mut fetched, below, on_aws).await?;
                }
                if fetched.placing.is_some() && fetched.tree.is_empty() {
                    if let Some(key) = key {
                        Known::keep_nothing(&self.session.cache, key)?;
                    }
                    return Ok(((key, Known(None), false), structure));
                }
                if let Some(Known(None)) = found {
                    return Err(Error::CacheRemade { layer: name.to_owned() });
                }
                let found = found.and_then(|found| found.0);
                let (made, tree) = self.make(fetched, key, found, name, threads).await?;
                let Made { layer, cached, code } = made;
                let kind = if is_package { ContentsKind::Keyed } else { ContentsKind::Files };
                let (tree, code) = (tree.into(), code.map(Arc::new));
                self.trees.keep(layer.blob.digest, Contents { tree, code, kind });
                Ok(((layer.key, Known(Some(layer)), cached), structure))
            }
        }
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
            return Ok((fetched, Lookup { key: None, found: found.map(|found| Known(Some(found))) }));
        }
        let (fetched, key) = self.content_key(fetched).await?;
        let found = match key {
            Some(key) => self.cached.layer(key).await,
            None => None,
        };
        Ok((fetched, Lookup { key: None, found }))
    }

    /// Like `find_by_content`, for a key that also depends on the layers below.
    async fn find_above(
        &self,
        fetched: Fetched,
        beneath: Beneath,
        below: &[Layer],
    ) -> Result<(Fetched, Lookup)> {
        let (fetched, key) = self.content_key(fetched).await?;
        let key = key.map(|key| beneath.key(key, fetched.placing.as_ref(), below));
        let mut found = match (key, self.session.caching.policy) {
            (None, _) | (_, Caching::Off) => None,
            (Some(key), _) => Known::of(&self.session.cache, key),
        };
        if let (Some(key), None) = (key, &found) {
            found = self.cached.layer(key).await;
        }
        Ok((fetched, Lookup { key, found }))
    }

    async fn content_key(&self, fetched: Fetched) -> Result<(Fetched, Option<LayerKey>)> {
        content_key(self.session, fetched, self.epoch).await
    }

    /// Puts the files where the image leads.
    async fn place(&self, fetched: &mut Fetched, below: &[Layer], on_aws: bool) -> Result<()> {
        let (tree, placing) = (std::mem::take(&mut fetched.tree), fetched.placing.clone());
        let below = Below { layers: below, on_aws };
        fetched.tree = placed(self.session, self.trees, tree, placing.map(Arc::new), below).await?;
        if let Some(placing) = &fetched.placing {
            self.warn_of_closed(&fetched.tree, placing);
        }
        Ok(())
    }

    /// An octal `--chmod` applies to directories too.
    fn warn_of_closed(&self, tree: &FileTree, placing: &Placing) {
        let Some(mode) = placing.mode.filter(|mode| mode & 0o111 == 0) else { return };
        if tree.iter().any(|(_, entry)| entry.is_directory() && entry.mode == mode) {
            let (file, line) = (&placing.origin.file, placing.origin.line);
            let message =
                format!("{file}:{line}: --chmod={mode:03o} closes directories too: only root can enter them");
            let hint = "write --chmod=u=rwX,go=rX: X is for directories and programs only";
            self.session.events.warn(message, Some(hint));
        }
    }

    /// Writes the layer, and compares it with the one that was found, if any. Also returns the files.
    async fn make(
        &self,
        fetched: Fetched,
        key: Option<LayerKey>,
        found: Option<Layer>,
        name: &str,
        threads: usize,
    ) -> Result<(Made, FileTree)> {
        let (session, epoch, name) = (self.session.clone(), self.epoch, name.to_owned());
        let is_scanned = self.trees.is_scanned();
        let made = self.session.threads.run(threads, move |threads, stop| {
            let mut fetched = fetched;
            let writing = Writing { epoch, name: &name, threads, stop, is_scanned };
            let made = make(&session, &mut fetched.tree, &writing, key, found)?;
            Ok((made, fetched.finish()))
        });
        made.await
    }
}
