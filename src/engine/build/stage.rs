//! Builds a stage step by step: parts of sources and operations become layers, edits change the config.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use tokio::sync::OnceCell;

use super::add::{Added, Adding};
use super::ahead::{Ahead, Stages};
use super::base;
use super::beneath::is_of_aws;
use super::cached::Cached;
use super::mend;
use super::mounts;
use super::packages::PlannedPackages;
use super::planned::{Planned, PlannedLayer};
use super::planned_run::may_redirect;
use super::reads::Structures;
use super::roots::Roots;
use super::sources::{check_commands, check_secrets, check_sources, target};
use crate::engine::contents::Trees;
use crate::engine::inspect::Scanner;
use crate::engine::publish::Push;
use crate::engine::session::{Caching, Session};
use crate::error::{Error, Result};
use crate::image::{Config, ConfigEdit, Digest, Image, Layer, Platform};
use crate::recipe::{Add, Base, Recipe, Run, Source, Stage, Step};
use crate::source::{self, Context, SourceImage, SourcePlan};

/// Builds the recipe's last stage, and the stages whose layers it needs. Its layers are passed to `pushes` as soon as
/// they exist, and their contents are kept in `trees`. `scanner` scans layers of the base on their way to a registry.
pub(in crate::engine) async fn build(
    session: &Arc<Session>,
    recipe: &Recipe,
    pushes: &[Push],
    cached: &Cached,
    trees: &Trees,
    scanner: Option<&Scanner>,
) -> Result<Image> {
    recipe.check()?;
    check_sources(recipe)?;
    check_commands(recipe, session.running.mode)?;
    check_secrets(recipe, &session.secrets)?;
    warn_of_stages(recipe, session);
    // Also when this build makes nothing, and needs no workplace.
    let cache = session.cache.clone();
    crate::threads::blocking(move |_| {
        cache.remove_leftovers();
        Ok(())
    })
    .await?;
    let last = recipe.stages.len() - 1;
    let stages = || recipe.stages.iter();
    let building = Building {
        session,
        recipe,
        cached,
        pushes,
        trees,
        scanner,
        bases: stages().map(|_| OnceCell::new()).collect(),
        keys: stages().map(|_| OnceCell::new()).collect(),
        images: stages().map(|_| OnceCell::new()).collect(),
        roots: Roots::default(),
    };
    building.image(last).await.cloned()
}

/// Warns of stages that are to be made again and that the build does not have.
fn warn_of_stages(recipe: &Recipe, session: &Session) {
    let names: Vec<&str> = recipe.stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
    for wanted in &session.caching.without {
        if !names.iter().any(|name| name.eq_ignore_ascii_case(wanted)) {
            let hint = match names.is_empty() {
                true => "no stage of it has a name".to_owned(),
                false => format!("its stages are {}", names.join(", ")),
            };
            let message = format!("no stage named {wanted} is made again: the build has none");
            session.events.warn(message, Some(&hint));
        }
    }
}

/// The error for a stage that is not an earlier one; a checked recipe never causes it.
fn not_earlier(stage: usize) -> Error {
    Error::RecipeStage { stage, fault: "it is not an earlier stage" }
}

/// The stages of a recipe, each with what is known of it so far.
struct Building<'b> {
    session: &'b Arc<Session>,
    recipe: &'b Recipe,
    cached: &'b Cached,
    pushes: &'b [Push],
    trees: &'b Trees,
    scanner: Option<&'b Scanner>,
    /// The bases that are not stages.
    bases: Vec<OnceCell<Image>>,
    keys: Vec<OnceCell<Option<Digest>>>,
    images: Vec<OnceCell<Image>>,
    roots: Roots,
}

impl Stages for Building<'_> {
    fn layers(&self, stage: usize) -> BoxFuture<'_, Result<Vec<Layer>>> {
        async move { Ok(self.image(stage).await?.layers().to_vec()) }.boxed()
    }

    fn is_made_again(&self, number: usize) -> bool {
        let Some(stage) = self.recipe.stages.get(number) else { return false };
        let is_named = self.session.caching.of_stage(stage.name.as_deref()) == Caching::Off;
        let is_stage = |base: &Base| matches!(base, Base::Stage(other) if self.is_made_again(*other));
        let reads = || {
            sources_of(stage).iter().any(|source| source::provider(source).images().into_iter().any(is_stage))
        };
        is_named || is_stage(&stage.base) || reads()
    }
}

impl Building<'_> {
    /// The image of a stage, built when it is needed first.
    fn image(&self, number: usize) -> BoxFuture<'_, Result<&Image>> {
        async move {
            let image = self.images.get(number).ok_or_else(|| not_earlier(number))?;
            image.get_or_try_init(|| self.build(number)).await
        }
        .boxed()
    }

    async fn build(&self, number: usize) -> Result<Image> {
        let stage = &self.recipe.stages[number];
        let is_last = number + 1 == self.recipe.stages.len();
        let pushes = if is_last { self.pushes } else { &[] };
        let context = self.context(stage).await?;
        let (base, plans) = tokio::try_join!(self.base(number, pushes), plans(stage, &context))?;
        let planned = self.planned(number, base.config(), plans);
        let counts: Vec<usize> = planned.iter().map(Vec::len).collect();
        let planned: Vec<Planned> = planned.into_iter().flatten().collect();
        let adding = Adding {
            session: self.session,
            caching: self.session.caching.of_stage(stage.name.as_deref()),
            epoch: self.recipe.epoch,
            context: &context,
            cached: self.cached,
            pushes,
            trees: self.trees,
            stages: self,
            structures: Structures::default(),
            roots: &self.roots,
            ahead: Ahead::of(&planned),
        };
        let mut layers = adding.layers(planned, base.layers()).await?.into_iter();
        let mut counts = counts.into_iter();
        let image = stage.steps.iter().fold(base, |image, step| match step {
            Step::Edit(edit) => image.edit(edit),
            Step::Run(_) | Step::Add(_) => {
                let own = layers.by_ref().take(counts.next().unwrap_or_default()).flatten();
                own.fold(image, |image, Added { layer, key, created_by, layers, note }| match (layer, key) {
                    (Some(layer), _) => image.append(layer, &created_by),
                    (None, Some(key)) if layers > 0 => image.step(key, layers, note.as_deref(), &created_by),
                    (None, key) => image.unchanged(key, &created_by),
                })
            }
        });
        Ok(image)
    }

    /// A digest over all that decides the files of a stage, computed without building it; `None` if that is not
    /// possible.
    fn key(&self, number: usize) -> BoxFuture<'_, Result<Option<Digest>>> {
        async move {
            let key = self.keys.get(number).ok_or_else(|| not_earlier(number))?;
            key.get_or_try_init(|| self.compute_key(number)).await.copied()
        }
        .boxed()
    }

    async fn compute_key(&self, number: usize) -> Result<Option<Digest>> {
        let stage = &self.recipe.stages[number];
        let is_copied = |add: &Add| {
            matches!(add.source, Source::Copy(_) | Source::EmptyDirectory { .. } | Source::Image(_))
        };
        if !stage.adds().all(is_copied) {
            return Ok(None);
        }
        let below = match stage.base {
            Base::Stage(other) => self.key(other).await?.map(|key| key.to_string()),
            _ => {
                let layers = self.stored(number).await?.layers().iter();
                Some(layers.map(|layer| layer.diff_id.to_string()).collect::<Vec<_>>().join(" "))
            }
        };
        let Some(below) = below else { return Ok(None) };
        let (context, config) = (self.context(stage).await?, self.base_config(number).await?);
        let planned = self.planned(number, &config, plans(stage, &context).await?);
        let epoch = self.recipe.epoch;
        let parts = planned.into_iter().flatten().map(|part| part.identity(self.session, &context, epoch));
        let Some(keys) = try_join_all(parts).await?.into_iter().collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let keys: Vec<String> = keys.into_iter().map(|key| key.0.to_string()).collect();
        Ok(Some(Digest::of(format!("stage-1 {below} {}", keys.join(" ")).as_bytes())))
    }

    /// Whether the chain of stages starts with one of AWS's bases, and none before this one may have made links in it.
    fn is_of_aws(&self, number: usize) -> bool {
        match &self.recipe.stages[number].base {
            Base::Stage(other) => {
                self.is_of_aws(*other) && !self.recipe.stages[*other].steps.iter().any(redirects)
            }
            base => is_of_aws(base),
        }
    }

    /// The layers of each step that gives some, in their order.
    fn planned(&self, number: usize, base: &Config, plans: Vec<SourcePlan>) -> Vec<Vec<Planned>> {
        let (mut config, mut is_of_aws) = (base.clone(), self.is_of_aws(number));
        let mut plans = plans.into_iter();
        let mut all = Vec::new();
        for step in &self.recipe.stages[number].steps {
            match step {
                Step::Edit(edit) => config = config.edit(edit),
                Step::Run(run) => {
                    let keeps_noise = self.session.running.keeps_noise;
                    all.push(Planned::run(run, &config, self.recipe.epoch, keeps_noise));
                    is_of_aws &= !redirects(step);
                }
                Step::Add(add) => {
                    let to = target(add, &config);
                    let part = |part| PlannedLayer::part(part, to.clone(), &config, is_of_aws);
                    all.push(match plans.next() {
                        None => Vec::new(),
                        Some(SourcePlan::Parts(parts)) => {
                            parts.into_iter().map(|own| Planned::Layer(Box::new(part(own)))).collect()
                        }
                        Some(SourcePlan::Install(install)) => {
                            let packages = PlannedPackages::of(install, to, &config, is_of_aws);
                            vec![Planned::Packages(packages)]
                        }
                    });
                }
            }
        }
        all
    }

    async fn context(&self, stage: &Stage) -> Result<Context> {
        let platform = stage.platform.as_ref().unwrap_or(&self.recipe.platform);
        let images = self.source_images(stage, platform).await?;
        Ok(self.session.context(stage, platform, images))
    }

    /// The base of a stage that is not a stage itself.
    async fn stored(&self, number: usize) -> Result<&Image> {
        let stage = &self.recipe.stages[number];
        self.bases[number]
            .get_or_try_init(|| base::stored(self.session, stage, self.recipe, self.scanner))
            .await
    }

    /// The config that a stage starts with.
    fn base_config(&self, number: usize) -> BoxFuture<'_, Result<Config>> {
        async move {
            match self.recipe.stages[number].base {
                Base::Stage(other) => {
                    let config = self.base_config(other).await?;
                    Ok(edits(&self.recipe.stages[other]).fold(config, |config, edit| config.edit(edit)))
                }
                _ => Ok(self.stored(number).await?.config().clone()),
            }
        }
        .boxed()
    }

    async fn base(&self, number: usize, pushes: &[Push]) -> Result<Image> {
        let stage = &self.recipe.stages[number];
        let image = match stage.base {
            Base::Stage(other) => self.image(other).await?.clone(),
            _ => self.stored(number).await?.clone(),
        };
        let scanner = self.scanner.filter(|_| !pushes.is_empty());
        let passing = scanner.map(|scanner| {
            // Layers that are appended do not change what is looked for.
            scanner(&edits(stage).fold(image.config().clone(), |config, edit| config.edit(edit)))
        });
        for layer in image.layers() {
            // Any layer of a finished image may have the user's own files.
            let is_of_base = !stage.finished || mend::is_of_base(&stage.base, image.config(), layer);
            pushes.iter().for_each(|push| match layer.key {
                None if is_of_base => push.published_layer(layer, passing.as_ref()),
                None => push.layer(layer),
                // An earlier stage built the layer, perhaps from the user's own files, so it waits for the check.
                Some(_) => push.layer(layer),
            });
        }
        Ok(image)
    }

    /// The images of the stage's sources. Stages among them are built later, if their layers are needed.
    async fn source_images(&self, stage: &Stage, platform: &Platform) -> Result<Vec<SourceImage>> {
        let mut found: Vec<SourceImage> = Vec::new();
        for source in &sources_of(stage) {
            for named in source::provider(source).images() {
                if found.iter().any(|image| image.named == *named) {
                    continue;
                }
                found.push(match named {
                    Base::Scratch => SourceImage::of(Base::Scratch, Base::Scratch, Vec::new()),
                    Base::Stage(number) => match self.key(*number).await? {
                        Some(key) => SourceImage::stage(named.clone(), key),
                        None => {
                            let layers = self.image(*number).await?.layers().to_vec();
                            SourceImage::of(named.clone(), named.clone(), layers)
                        }
                    },
                    named => {
                        let image = base::source_image(self.session, named, platform).await;
                        image.map_err(|error| not_found(source, named, error))?
                    }
                });
            }
        }
        Ok(found)
    }
}

/// The error for an image that files are taken from and that cannot be read.
fn not_found(source: &Source, named: &Base, error: Error) -> Error {
    match source {
        Source::Copy(files) => {
            let fault = format!("no stage has the name of the image {named}, and it cannot be read");
            files.origin.caused("--from", fault, None, error)
        }
        _ => error,
    }
}

/// The sources of a stage's files: those that it adds, and those that its commands read.
pub(in crate::engine) fn sources_of(stage: &Stage) -> Vec<Source> {
    let of_step = |step: &Step| match step {
        Step::Add(Add { source, .. }) => vec![source.clone()],
        Step::Run(run) => mounts::sources(run).collect(),
        Step::Edit(_) => Vec::new(),
    };
    stage.steps.iter().flat_map(of_step).collect()
}

fn edits(stage: &Stage) -> impl Iterator<Item = &ConfigEdit> {
    stage.steps.iter().filter_map(|step| match step {
        Step::Edit(edit) => Some(edit),
        Step::Add(_) | Step::Run(_) => None,
    })
}

/// What becomes of the source of each `Add`.
async fn plans(stage: &Stage, context: &Context) -> Result<Vec<SourcePlan>> {
    let plans =
        stage.adds().map(async |add| source::provider(&add.source).plan(add.to.is_none(), context).await);
    try_join_all(plans).await
}

/// Whether a command may put links into the place of directories.
fn redirects(step: &Step) -> bool {
    match step {
        Step::Run(Run { translation, .. }) => translation.as_ref().is_none_or(may_redirect),
        Step::Add(_) | Step::Edit(_) => false,
    }
}
