//! Faults of a recipe that can be found without reading any file.

use super::base::Base;
use super::source::Source;
use super::stages::Recipe;
use super::step::{Add, Step};
use crate::error::{Error, Result};

impl Recipe {
    /// Checks the recipe without reading any file.
    ///
    /// # Errors
    /// [`Error::Recipe`] or [`Error::RecipeStage`], which name the faulty stage and step.
    pub fn check(&self) -> Result<()> {
        if self.stages.is_empty() {
            return Err(Error::RecipeStage { stage: 0, fault: "it has no stages" });
        }
        for (number, stage) in self.stages.iter().enumerate() {
            if matches!(stage.base, Base::Stage(base) if base >= number) {
                return Err(Error::RecipeStage { stage: number, fault: "its base is not an earlier stage" });
            }
            for (step_number, step) in stage.steps.iter().enumerate() {
                if step.source_stages().any(|source| source >= number) {
                    let fault = "the image of its source is not an earlier stage";
                    return Err(Error::Recipe { stage: number, step: step_number, fault });
                }
                if let Some(fault) = fault(step) {
                    return Err(Error::Recipe { stage: number, step: step_number, fault });
                }
            }
        }
        Ok(())
    }
}

fn fault(step: &Step) -> Option<&'static str> {
    match step {
        Step::Add(Add { source: Source::Image(files), .. }) if !files.path.starts_with('/') => {
            Some("the path in the image of its source is not absolute")
        }
        Step::Add(add) => {
            let to = add.to.as_deref()?;
            let climbs = to.split('/').any(|part| part == "..");
            if !to.starts_with('/') {
                Some("the path in the image is not absolute")
            } else if climbs {
                Some("the path in the image contains a `..`")
            } else {
                None
            }
        }
        Step::Run(run) => {
            (!run.directory.starts_with('/')).then_some("the directory of the command is not absolute")
        }
        Step::Edit(edit) => {
            let name = |name: &str| name.is_empty() || name.contains(['=', '\0']);
            if edit.env.iter().any(|(key, _)| name(key)) {
                Some("a variable's name is empty or contains a `=`")
            } else if edit.workdir.as_deref().is_some_and(|dir| !dir.starts_with('/')) {
                Some("the working directory is not absolute")
            } else if edit.labels.contains_key("") {
                Some("a label's name is empty")
            } else {
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Arch, ConfigEdit, Platform};
    use crate::recipe::{Add, Source};

    fn recipe(base: Base, step: Step) -> Recipe {
        Recipe::new(Platform::linux(Arch::Arm64), base, vec![step])
    }

    fn add(to: &str) -> Step {
        let source = Source::Directory { path: ".".into(), ignore: true, without: Vec::new() };
        Step::Add(Add { source, to: Some(to.to_owned()) })
    }

    #[test]
    fn a_recipe_that_cannot_be_built_is_refused() {
        let env =
            |name: &str| ConfigEdit { env: vec![(name.to_owned(), String::new())], ..Default::default() };
        for bad in [
            recipe(Base::Stage(0), add("/var/task")),
            recipe(Base::Scratch, add("var/task")),
            recipe(Base::Scratch, add("/var/../etc")),
            recipe(Base::Scratch, Step::Edit(env("A=B"))),
            recipe(Base::Scratch, Step::Edit(ConfigEdit { workdir: Some("x".into()), ..Default::default() })),
            Recipe { stages: Vec::new(), ..recipe(Base::Scratch, add("/x")) },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        assert!(recipe(Base::Scratch, add("/var/task")).check().is_ok());
    }

    #[test]
    fn a_recipe_is_written_and_read_as_json() {
        let recipe = recipe(Base::Registry("r.example/a:b".parse().unwrap()), add("/var/task"));
        let json = serde_json::to_string(&recipe).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
    }
}
