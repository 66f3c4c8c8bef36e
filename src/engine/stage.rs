//! A stage, step by step: files become layers, edits change the config.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;

use super::bridge::blocking;
use super::built::Trees;
use super::earlier::Earlier;
use super::publish::Push;
use super::{Shared, base};
use crate::error::{Error, Result};
use crate::image::{Config, ConfigEdit, Image, Platform};
use crate::recipe::{Add, Base, Recipe, Source, Stage, Step};
use crate::source::{self, Bundle, Collected};

/// Where a function's files go when neither `LAMBDA_TASK_ROOT` nor a working directory says otherwise.
const TASK_ROOT: &str = "/var/task";

/// What an `Add` brings.
enum Part {
    Files(Collected),
    Bundles(Vec<Bundle>),
}

impl Shared {
    /// Builds the recipe's last stage; its layers set off to `pushes` as they come, and their files stay in `trees`.
    pub(super) async fn build(
        self: &Arc<Self>,
        recipe: &Recipe,
        pushes: &[Push],
        earlier: &Earlier,
        trees: Option<&Trees>,
    ) -> Result<Image> {
        recipe.check()?;
        check_sources(recipe)?;
        let mut images: Vec<Image> = Vec::with_capacity(recipe.stages.len());
        for (number, stage) in recipe.stages.iter().enumerate() {
            let last = number + 1 == recipe.stages.len();
            let pushes = if last { pushes } else { &[] };
            images.push(self.build_stage(recipe, stage, &images, earlier, pushes, trees).await?);
        }
        images.pop().ok_or(Error::RecipeStage { stage: 0, fault: "there is no stage" })
    }

    async fn build_stage(
        self: &Arc<Self>,
        recipe: &Recipe,
        stage: &Stage,
        images: &[Image],
        earlier: &Earlier,
        pushes: &[Push],
        trees: Option<&Trees>,
    ) -> Result<Image> {
        // The base is a matter of the network, the sources one of the disk: neither waits for the other.
        let (base, collected) = tokio::try_join!(
            self.base(recipe, stage, images, pushes),
            try_join_all(adds(stage).map(|add| self.gather(add, stage, &recipe.platform)))
        )?;
        let mut collected = collected.into_iter();
        let mut image = base;
        for step in &stage.steps {
            image = match step {
                Step::Edit(edit) => image.edit(edit),
                Step::Add(add) => {
                    let part = collected.next().unwrap_or_else(|| unreachable!("one was collected for each"));
                    let to = target(add, image.config());
                    let dir = to.trim_end_matches('/');
                    match part {
                        Part::Files(files) => {
                            let layer = self.layer(recipe.epoch, files, &to, earlier, trees).await?;
                            pushes.iter().for_each(|push| push.layer(&layer));
                            image.append(layer, &format!("lbuild: files in {dir}"))
                        }
                        Part::Bundles(bundles) => {
                            let layers = self.bundle_layers(recipe.epoch, &bundles, &to, earlier).await;
                            let mut layers = pin!(layers);
                            while let Some((name, layer)) = layers.try_next().await? {
                                pushes.iter().for_each(|push| push.layer(&layer));
                                image = image.append(layer, &format!("lbuild: {name} in {dir}"));
                            }
                            image
                        }
                    }
                }
            };
        }
        Ok(image)
    }

    async fn base(
        self: &Arc<Self>,
        recipe: &Recipe,
        stage: &Stage,
        earlier: &[Image],
        pushes: &[Push],
    ) -> Result<Image> {
        let image = match stage.base {
            Base::Stage(number) => earlier[number].clone(),
            _ => {
                let resolved = base::resolve(self, &stage.base, &recipe.platform).await?;
                resolved.image.edit(&origin(&stage.base, resolved.digest, recipe.epoch))
            }
        };
        for layer in image.layers() {
            pushes.iter().for_each(|push| push.layer(layer));
        }
        Ok(image)
    }

    async fn gather(self: &Arc<Self>, add: &Add, stage: &Stage, platform: &Platform) -> Result<Part> {
        match &add.source {
            Source::Python(_) | Source::Npm(_) => {
                source::bundles(&add.source, platform, &self.context()).await.map(Part::Bundles)
            }
            Source::Directory { .. } | Source::Zip { .. } => self.collect(add, stage).await.map(Part::Files),
        }
    }

    async fn collect(self: &Arc<Self>, add: &Add, stage: &Stage) -> Result<Collected> {
        let (shared, add) = (self.clone(), add.clone());
        let named: Vec<_> = adds(stage).flat_map(|add| source::asking(&add.source)).collect();
        blocking(move |_| {
            let began = SystemTime::now();
            let files = source::collect(&add.source, shared.cache.stat_dir(), began, shared.jobs)?;
            if is_code(&add) {
                files.refuse_logins(&named)?;
            }
            Ok(files)
        })
        .await
    }
}

/// Fails when a source is not there: better before a base is asked for than after.
pub(super) fn check_sources(recipe: &Recipe) -> Result<()> {
    recipe.stages.iter().flat_map(adds).try_for_each(|add| source::check(&add.source))
}

/// Whether it is what the user writes, rather than what is installed from elsewhere.
fn is_code(add: &Add) -> bool {
    match &add.source {
        Source::Directory { ignore, .. } => *ignore,
        Source::Zip { .. } => add.to.is_none(),
        Source::Python(_) | Source::Npm(_) => false,
    }
}

/// Where an `Add` goes in an image whose config is known.
pub(super) fn target(add: &Add, config: &Config) -> String {
    let default = || config.var("LAMBDA_TASK_ROOT").filter(|root| root.starts_with('/')).or(config.workdir());
    match &add.to {
        Some(to) => to.clone(),
        // A file goes into the function's directory, a directory's content becomes it; for both a slash is right.
        None => format!("{}/", default().unwrap_or(TASK_ROOT).trim_end_matches('/')),
    }
}

/// Labels that tell what the image stands on, under the names that the image spec has for annotations.
///
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
fn origin(base: &Base, digest: Option<crate::image::Digest>, epoch: u64) -> ConfigEdit {
    let mut edit = ConfigEdit { created: Some(epoch), ..ConfigEdit::default() };
    if let Some(digest) = digest {
        edit.labels.insert("org.opencontainers.image.base.digest".into(), digest.to_string());
    }
    if let Base::Registry(name) = base {
        let name = name.tag().and_then(|tag| name.with_tag(tag).ok()).map(|name| name.to_string());
        edit.labels.extend(name.map(|name| ("org.opencontainers.image.base.name".to_owned(), name)));
    }
    edit
}

fn adds(stage: &Stage) -> impl Iterator<Item = &Add> {
    stage.steps.iter().filter_map(|step| match step {
        Step::Add(add) => Some(add),
        Step::Edit(_) => None,
    })
}

/// Whether one of the recipe's sources puts something at `path` of the image, below the function's directory
/// unless it is absolute.
pub(super) fn provides(recipe: &Recipe, path: &str) -> Result<bool> {
    let Some(stage) = recipe.stages.last() else { return Ok(false) };
    for add in adds(stage) {
        let to = add.to.as_deref().unwrap_or(TASK_ROOT);
        let path = Path::new(TASK_ROOT).join(path);
        if source::provides(&add.source, to, &path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a file of this machine is, or would be, among the recipe's files.
pub(super) fn packs(recipe: &Recipe, path: &Path) -> Result<bool> {
    for add in recipe.stages.iter().flat_map(adds) {
        if source::packs(&add.source, path)? {
            return Ok(true);
        }
    }
    Ok(false)
}
