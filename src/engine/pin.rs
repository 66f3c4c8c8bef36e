//! Pins the bases and the sources of a recipe.

use std::sync::Arc;

use super::build::{check_sources, sources_of, target};
use super::find;
use super::session::Session;
use crate::error::Result;
use crate::image::{Config, Image};
use crate::recipe::{Base, Recipe, Source, Step};
use crate::source::{self, SourceImage};

/// The recipe with bases by digest, sources pinned, and the path of every `Add` explicit.
pub(super) async fn pin(session: &Arc<Session>, mut recipe: Recipe) -> Result<Recipe> {
    recipe.check()?;
    check_sources(&recipe)?;
    let mut configs: Vec<Config> = Vec::with_capacity(recipe.stages.len());
    for stage in &mut recipe.stages {
        let platform = stage.platform.clone().unwrap_or_else(|| recipe.platform.clone());
        let mut images: Vec<SourceImage> = Vec::new();
        for named in sources_of(stage).iter().flat_map(named_images) {
            if images.iter().any(|image| image.named == named) {
                continue;
            }
            let exact = match &named {
                Base::Scratch | Base::Stage(_) => named.clone(),
                stored => find::for_platform(session, stored, &platform).await?.2.base,
            };
            images.push(SourceImage::of(named, exact, Vec::new()));
        }
        let context = session.context(stage, &platform, images);
        let mut config = match &stage.base {
            Base::Stage(number) => configs[*number].clone(),
            Base::Scratch => Image::scratch(&platform).config().clone(),
            named => {
                let (_, _, found) = find::for_platform(session, named, &platform).await?;
                stage.base = found.base;
                found.config
            }
        };
        for step in &mut stage.steps {
            match step {
                Step::Edit(edit) => config = config.edit(edit),
                Step::Run(run) => {
                    for named in run.images_read_mut() {
                        if let Some(image) = context.images.iter().find(|image| image.named == *named) {
                            *named = image.exact.clone();
                        }
                    }
                }
                Step::Add(add) => {
                    add.to = Some(target(add, &config));
                    let exact = source::provider(&add.source).pin(&context).await?;
                    add.source = exact;
                }
            }
        }
        configs.push(config);
    }
    Ok(recipe)
}

/// The images of a source.
fn named_images(source: &Source) -> Vec<Base> {
    source::provider(source).images().into_iter().cloned().collect()
}
