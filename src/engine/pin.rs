//! Pins the bases and the sources of a recipe.

use std::sync::Arc;

use super::build::{check_sources, target};
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
        let mut images = Vec::new();
        for named in stage.adds().filter_map(|add| named_image(&add.source)) {
            let exact = match &named {
                Base::Scratch | Base::Stage(_) => named.clone(),
                stored => find::for_platform(session, stored, &recipe.platform).await?.2.base,
            };
            images.push(SourceImage { named, exact, layers: Vec::new() });
        }
        let platform = stage.platform.clone().unwrap_or_else(|| recipe.platform.clone());
        let context = session.context(stage, &recipe.platform, images);
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
                Step::Run(_) => {}
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

/// The image of a source, if it has one.
fn named_image(source: &Source) -> Option<Base> {
    source::provider(source).image().cloned()
}
