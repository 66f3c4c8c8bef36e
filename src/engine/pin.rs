//! A recipe made exact.

use std::sync::Arc;

use super::{Shared, base, stage};
use crate::error::Result;
use crate::image::Image;
use crate::recipe::{Base, Recipe, Step};

/// Bases by digest, and the path of every `Add` spelled out.
pub(super) async fn pin(shared: &Arc<Shared>, mut recipe: Recipe) -> Result<Recipe> {
    recipe.check()?;
    let mut images: Vec<Image> = Vec::with_capacity(recipe.stages.len());
    for stage in &mut recipe.stages {
        let mut image = match stage.base {
            Base::Stage(number) => images[number].clone(),
            _ => {
                let resolved = base::resolve(shared, &stage.base, &recipe.platform).await?;
                stage.base = resolved.pinned;
                resolved.image
            }
        };
        for step in &mut stage.steps {
            match step {
                Step::Edit(edit) => image = image.edit(edit),
                Step::Add(add) => add.to = Some(stage::target(add, &image)),
            }
        }
        images.push(image);
    }
    Ok(recipe)
}
