//! Builds a stage step by step: parts of sources become layers, edits change the config.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::add::{Added, Adding, Planned};
use super::base;
use super::cached::Cached;
use crate::engine::contents::Trees;
use crate::engine::inspect::Scanner;
use crate::engine::publish::Push;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::image::{Config, Image};
use crate::recipe::{Add, Base, Recipe, Run, Stage, Step};
use crate::source::{self, Part, SourceImage};

/// The function's directory if the config has neither `LAMBDA_TASK_ROOT` nor a working directory.
const TASK_ROOT: &str = "/var/task";

/// What to do instead of a command.
const RUN_HINT: &str =
    "COPY files that are already made; --lock, --requirements and --npm add packages without a command";

/// Builds the stages that the recipe's last stage needs, then the last stage. Its layers are passed to `pushes` as soon
/// as they exist, and their contents are kept in `trees`. `scanner` scans layers of the base on their way to a registry.
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
    check_commands(recipe)?;
    let last = recipe.stages.len() - 1;
    let mut images: Vec<Option<Image>> = vec![None; recipe.stages.len()];
    for number in recipe.needed_stages() {
        let pushes = if number == last { pushes } else { &[] };
        let building = Building { session, recipe, cached, pushes, trees, scanner };
        images[number] = Some(building.stage(&recipe.stages[number], &images).await?);
    }
    images.pop().flatten().ok_or(Error::RecipeStage { stage: 0, fault: "it has no stages" })
}

/// The error for a stage that is not an earlier one; a checked recipe never causes it.
fn not_earlier(stage: usize) -> Error {
    Error::RecipeStage { stage, fault: "it is not an earlier stage" }
}

/// The build of one stage.
struct Building<'b> {
    session: &'b Arc<Session>,
    recipe: &'b Recipe,
    cached: &'b Cached,
    pushes: &'b [Push],
    trees: &'b Trees,
    scanner: Option<&'b Scanner>,
}

impl Building<'_> {
    async fn stage(&self, stage: &Stage, images: &[Option<Image>]) -> Result<Image> {
        let source_images = self.source_images(stage, images).await?;
        let platform = stage.platform.as_ref().unwrap_or(&self.recipe.platform);
        let context = self.session.context(stage, platform, source_images);
        let plans = stage
            .adds()
            .map(async |add| source::provider(&add.source).plan(add.to.is_none(), &context).await);
        let (base, plans) = tokio::try_join!(self.base(stage, images), try_join_all(plans))?;
        let planned = planned(stage, base.config(), plans);
        let counts: Vec<usize> = planned.iter().map(Vec::len).collect();
        let adding = Adding {
            session: self.session,
            epoch: self.recipe.epoch,
            context: &context,
            cached: self.cached,
            pushes: self.pushes,
            trees: self.trees,
        };
        let mut layers =
            adding.layers(planned.into_iter().flatten().collect(), base.layers()).await?.into_iter();
        let mut counts = counts.into_iter();
        let image = stage.steps.iter().fold(base, |image, step| match step {
            Step::Edit(edit) => image.edit(edit),
            // Refused before the build.
            Step::Run(_) => image,
            Step::Add(_) => {
                let own = layers.by_ref().take(counts.next().unwrap_or_default());
                own.fold(image, |image, Added { layer, key, created_by }| match layer {
                    Some(layer) => image.append(layer, &created_by),
                    None => image.unchanged(key, &created_by),
                })
            }
        });
        Ok(image)
    }

    async fn base(&self, stage: &Stage, images: &[Option<Image>]) -> Result<Image> {
        let image = match stage.base {
            Base::Stage(number) => images[number].clone().ok_or_else(|| not_earlier(number))?,
            _ => base::stored(self.session, stage, self.recipe).await?,
        };
        let edits = stage.steps.iter().filter_map(|step| match step {
            Step::Edit(edit) => Some(edit),
            Step::Add(_) | Step::Run(_) => None,
        });
        let scanner = self.scanner.filter(|_| !self.pushes.is_empty());
        let passing = scanner.map(|scanner| {
            // Layers that are appended do not change what is looked for.
            scanner(&edits.fold(image.config().clone(), |config, edit| config.edit(edit)))
        });
        for layer in image.layers() {
            self.pushes.iter().for_each(|push| match layer.key {
                None => push.published_layer(layer, passing.as_ref()),
                // An earlier stage built the layer, perhaps from the user's own files, so it waits for the check.
                Some(_) => push.layer(layer),
            });
        }
        Ok(image)
    }

    /// The images of the stage's sources.
    async fn source_images(&self, stage: &Stage, images: &[Option<Image>]) -> Result<Vec<SourceImage>> {
        let platform = stage.platform.as_ref().unwrap_or(&self.recipe.platform);
        let mut found: Vec<SourceImage> = Vec::new();
        for add in stage.adds() {
            for named in source::provider(&add.source).images() {
                if found.iter().any(|image| image.named == *named) {
                    continue;
                }
                let layers = match named {
                    Base::Scratch => Vec::new(),
                    Base::Stage(number) => {
                        images[*number].as_ref().ok_or_else(|| not_earlier(*number))?.layers().to_vec()
                    }
                    named => {
                        found.push(base::source_image(self.session, named, platform).await?);
                        continue;
                    }
                };
                found.push(SourceImage { named: named.clone(), exact: named.clone(), layers });
            }
        }
        Ok(found)
    }
}

/// The parts of each `Add`, with their paths in the image.
fn planned(stage: &Stage, base: &Config, plans: Vec<Vec<Box<dyn Part>>>) -> Vec<Vec<Planned>> {
    let mut config = base.clone();
    let mut plans = plans.into_iter();
    let mut all = Vec::with_capacity(plans.len());
    for step in &stage.steps {
        match step {
            Step::Edit(edit) => config = config.edit(edit),
            Step::Run(_) => {}
            Step::Add(add) => {
                let to = target(add, &config);
                let parts = plans.next().unwrap_or_default();
                all.push(parts.into_iter().map(|part| Planned::new(part, to.clone(), &config)).collect());
            }
        }
    }
    all
}

/// Fails if a stage that is built runs a command.
fn check_commands(recipe: &Recipe) -> Result<()> {
    let stages = recipe.needed_stages().into_iter().map(|number| &recipe.stages[number]);
    for step in stages.flat_map(|stage| &stage.steps) {
        if let Step::Run(Run { origin, .. }) = step {
            return Err(origin.failed("commands cannot be run yet", Some(RUN_HINT.to_owned())));
        }
    }
    Ok(())
}

/// Fails if a source does not exist, before a base is requested.
pub(in crate::engine) fn check_sources(recipe: &Recipe) -> Result<()> {
    let mut adds = recipe.stages.iter().flat_map(Stage::adds);
    adds.try_for_each(|add| source::provider(&add.source).check())
}

/// The path of an `Add` in an image with this config.
pub(in crate::engine) fn target(add: &Add, config: &Config) -> String {
    let default = || config.var("LAMBDA_TASK_ROOT").filter(|root| root.starts_with('/')).or(config.workdir());
    match &add.to {
        Some(to) => to.clone(),
        // The trailing slash means that a file, or a directory's content, goes into this directory.
        None => format!("{}/", default().unwrap_or(TASK_ROOT).trim_end_matches('/')),
    }
}

/// Whether one of the recipe's sources adds a file at `path` of the image, relative to the function's directory unless
/// absolute.
pub(in crate::engine) fn provides(recipe: &Recipe, path: &str) -> Result<bool> {
    let path = Path::new(TASK_ROOT).join(path);
    for add in recipe.stages.last().into_iter().flat_map(Stage::adds) {
        if source::provider(&add.source).provides(add.to.as_deref().unwrap_or(TASK_ROOT), &path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a file on this machine is among the recipe's files, or would be if it existed.
pub(in crate::engine) fn packs(recipe: &Recipe, path: &Path) -> Result<bool> {
    for add in recipe.stages.iter().flat_map(Stage::adds) {
        if source::provider(&add.source).packs(path)? {
            return Ok(true);
        }
    }
    Ok(false)
}
