//! Turns a planned layer into a layer: found by its key, or else made.
//!
//! All parts of a stage are looked up at once, to save round trips. Missing parts are fetched ahead, and several are
//! written at once, because splicing a wheel uses one thread.

use std::cmp::Reverse;
use std::sync::Arc;

use futures_util::future::{try_join, try_join_all};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::ahead::{Ahead, Stages};
use super::beneath::{Beneath, covers};
use super::cached::{Cached, Known};
use super::mounts::LineMounts;
use super::packages::PlannedPackages;
use super::placed::has_directory;
use super::planned::{Planned, PlannedLayer, PlannedPart, Work};
use super::reads::Structures;
use super::roots::Roots;
use crate::engine::contents::Trees;
use crate::engine::publish::Push;
use crate::engine::session::{Caching, Session};
use crate::error::Result;
use crate::event::Event;
use crate::image::{Layer, LayerKey};
use crate::recipe::Base;
use crate::source::{Context, Part, Placing};

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
    /// The record that its history entry has for later builds.
    pub(super) note: Option<String>,
}

/// The result of looking up a layer.
pub(super) struct Lookup {
    /// The key for the layer if this machine makes it.
    pub(super) key: Option<LayerKey>,
    pub(super) found: Option<Known>,
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

/// Steps that do not depend on the layers below, with their numbers among them.
#[derive(Default)]
struct Apart {
    layers: Vec<(usize, PlannedLayer)>,
    packages: Vec<(usize, PlannedPackages)>,
}

impl Apart {
    fn count(&self) -> usize {
        self.layers.len() + self.packages.len()
    }
}

/// The layers of one stage.
pub(super) struct Adding<'a> {
    pub(super) session: &'a Arc<Session>,
    /// Whether this stage uses layers of earlier builds.
    pub(super) caching: Caching,
    pub(super) epoch: u64,
    pub(super) context: &'a Context,
    pub(super) cached: &'a Cached,
    pub(super) pushes: &'a [Push],
    pub(super) trees: &'a Trees,
    pub(super) stages: &'a dyn Stages,
    pub(super) structures: Structures,
    pub(super) roots: &'a Roots,
    pub(super) ahead: Ahead,
}

impl Adding<'_> {
    /// The layers of each step, in their order. `base` are the layers below them.
    pub(super) async fn layers(&self, planned: Vec<Planned>, base: &[Layer]) -> Result<Vec<Vec<Added>>> {
        let adding = async {
            let done = self.in_order(planned, base).await;
            self.ahead.ended();
            done
        };
        try_join(adding, self.ahead.build(self.stages)).await.map(|(done, ())| done)
    }

    async fn in_order(&self, planned: Vec<Planned>, base: &[Layer]) -> Result<Vec<Vec<Added>>> {
        let mut done: Vec<Vec<Added>> = Vec::with_capacity(planned.len());
        // Directories that a `WORKDIR` makes, and their layers.
        let mut made = Vec::new();
        let mut planned = planned.into_iter();
        loop {
            let mut apart = Apart::default();
            let next = loop {
                match planned.next() {
                    Some(Planned::Layer(layer)) if layer.beneath == Beneath::Nothing => {
                        apart.layers.push((apart.count(), *layer));
                    }
                    Some(Planned::Packages(packages)) if packages.beneath == Beneath::Nothing => {
                        apart.packages.push((apart.count(), packages));
                    }
                    next => break next,
                }
            };
            done.extend(self.apart(apart).await?);
            let Some(next) = next else { break };
            let own = || done.iter().flatten().filter_map(|added| added.layer.as_ref());
            let added = match next {
                Planned::Line(line) => {
                    let (redirects, below) = (line.may_redirect(), Beneath::All.layers(base, own()));
                    let (added, is_whole) = self.line(line, &below).await?;
                    // A command can put a link anywhere.
                    if redirects || is_whole {
                        made.clear();
                    }
                    added
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
                    self.ahead.reach(&layer);
                    let added = self.above(*layer, &below).await?;
                    made.extend(workdir.zip(added.layer.clone()));
                    vec![added]
                }
            };
            done.push(added);
        }
        Ok(done)
    }

    /// The layers of steps that do not depend on the layers below, all at once: the code does not wait for its packages.
    async fn apart(&self, apart: Apart) -> Result<Vec<Vec<Added>>> {
        let (numbers, layers): (Vec<usize>, Vec<PlannedLayer>) = apart.layers.into_iter().unzip();
        let packages = apart.packages.into_iter();
        let packages =
            packages.map(async |(number, packages)| Ok((number, self.packages_added(packages, &[]).await?)));
        let (layers, packages) = try_join(self.at_once(layers), try_join_all(packages)).await?;
        let layers = numbers.into_iter().zip(layers.into_iter().map(|added| vec![added]));
        let mut all: Vec<(usize, Vec<Added>)> = layers.chain(packages).collect();
        all.sort_by_key(|(number, _)| *number);
        Ok(all.into_iter().map(|(_, added)| added).collect())
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
    pub(super) async fn find(&self, planned: &PlannedLayer, below: &[Layer]) -> Result<Lookup> {
        let mounted = match planned.mounts() {
            Some(mounts) => mounts.identities(self.session, self.context, self.epoch).await?,
            None => Vec::new(),
        };
        let keys = planned.keys(self.epoch, below, &mounted);
        let caching = self.caching_of(planned);
        let mut found = match caching {
            Caching::Off => None,
            Caching::On | Caching::Verify => keys.iter().find_map(|&key| Known::of(&self.session.cache, key)),
        };
        for &key in &keys {
            if found.is_none() && caching != Caching::Off {
                found = self.cached.layer(key).await;
            }
        }
        Ok(Lookup { key: keys.first().copied(), found })
    }

    /// Whether a layer of earlier builds is used. The key of a stage does not tell that it is made again.
    fn caching_of(&self, planned: &PlannedLayer) -> Caching {
        let stages = match &planned.work {
            Work::Files(part) => part.part.stages(),
            Work::Operations(_) | Work::Command(_) => {
                planned.mounts().map(LineMounts::stages).unwrap_or_default()
            }
        };
        match stages.iter().any(|&stage| self.stages.is_made_again(stage)) {
            true => Caching::Off,
            false => self.caching,
        }
    }

    /// The layer with this key, from the cache of this machine or an image.
    pub(super) async fn known(&self, key: LayerKey) -> Option<Known> {
        match Known::of(&self.session.cache, key) {
            Some(known) => Some(known),
            None => self.cached.layer(key).await,
        }
    }

    pub(super) async fn layer(
        &self,
        planned: PlannedLayer,
        lookup: Lookup,
        below: &[Layer],
        threads: usize,
    ) -> Result<Added> {
        let verify = self.caching == Caching::Verify;
        let is_published = planned.is_published();
        // Another build of this engine may be making the same layer.
        let turn = match (&lookup, self.caching_of(&planned)) {
            (Lookup { key: Some(key), found: None }, Caching::On) => Some(self.session.making.of(*key).await),
            _ => None,
        };
        let lookup = match &turn {
            Some(_) => {
                Lookup { found: lookup.key.and_then(|key| Known::of(&self.session.cache, key)), ..lookup }
            }
            None => lookup,
        };
        let PlannedLayer { work, name, created_by, beneath } = planned;
        let making = Making { name: &name, beneath, below, threads };
        if beneath == Beneath::All && (verify || lookup.found.is_none()) {
            self.ahead.missed();
        }
        let (key, known, cached) = match (lookup, work) {
            (Lookup { key, found: Some(found) }, _) if !verify => (key, found, true),
            (lookup, Work::Files(part)) => self.fetched(part, lookup, &making).await?,
            (Lookup { key, found }, Work::Operations(planned)) => {
                self.operated(planned, key, found, &making).await?
            }
            (Lookup { key, found }, Work::Command(planned)) => self.ran(planned, key, found, &making).await?,
        };
        drop(turn);
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
}
