//! Makes a recipe exact.

use std::sync::Arc;

use super::build::{check_sources, target};
use super::find;
use super::session::Session;
use crate::error::Result;
use crate::image::{Config, Image};
use crate::recipe::{Base, Recipe, Step};
use crate::source;

/// The recipe with bases by digest, sources pinned, and the path of every `Add` explicit.
pub(super) async fn pin(session: &Arc<Session>, mut recipe: Recipe) -> Result<Recipe> {
    recipe.check()?;
    check_sources(&recipe)?;
    let mut configs: Vec<Config> = Vec::with_capacity(recipe.stages.len());
    for stage in &mut recipe.stages {
        let context = session.context(stage, &recipe.platform);
        let mut config = match &stage.base {
            Base::Stage(number) => configs[*number].clone(),
            Base::Scratch => Image::scratch(&recipe.platform).config().clone(),
            named => {
                let (_, _, found) = find::for_platform(session, named, &recipe.platform).await?;
                stage.base = found.base;
                found.config
            }
        };
        for step in &mut stage.steps {
            match step {
                Step::Edit(edit) => config = config.edit(edit),
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
