//! A recipe made exact.

use std::sync::Arc;

use super::{Shared, base, stage};
use crate::error::Result;
use crate::image::{Config, Image};
use crate::recipe::{Base, Recipe, Requirements, Source, Step};
use crate::source::python;

/// Bases by digest, and the path of every `Add` spelled out.
pub(super) async fn pin(shared: &Arc<Shared>, mut recipe: Recipe) -> Result<Recipe> {
    recipe.check()?;
    super::stage::check_sources(&recipe)?;
    let mut configs: Vec<Config> = Vec::with_capacity(recipe.stages.len());
    for stage in &mut recipe.stages {
        let mut config = match &stage.base {
            Base::Stage(number) => configs[*number].clone(),
            Base::Scratch => Image::scratch(&recipe.platform).config().clone(),
            named => {
                let (_, _, found) = base::for_platform(shared, named, &recipe.platform).await?;
                stage.base = found.base;
                found.config
            }
        };
        for step in &mut stage.steps {
            match step {
                Step::Edit(edit) => config = config.edit(edit),
                Step::Add(add) => {
                    add.to = Some(stage::target(add, &config));
                    if let Source::Python(python) = &mut add.source {
                        let wheels = python::resolve(python, &recipe.platform, &shared.context()).await?;
                        python.requirements = Requirements::Pinned(wheels);
                    }
                }
            }
        }
        configs.push(config);
    }
    Ok(recipe)
}
