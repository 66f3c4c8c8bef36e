//! The entry points.

use super::arguments::{Arguments, BaseImage, Configs};
use super::lower::plan::Plan;
use super::lower::recipe;
use super::stages::ParsedFile;
use super::warning::Warnings;
use crate::error::{Error, Remark, Result};
use crate::frontend::fault::Fault;
use crate::frontend::source_text::SourceText;
use crate::recipe::Recipe;

/// A Dockerfile without syntax errors.
#[derive(Clone, Debug)]
pub struct Dockerfile(ParsedFile);

/// A lowered Dockerfile.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Lowered {
    /// The recipe: the target and the stages that it needs.
    pub recipe: Recipe,
    /// Warnings about the text, in its order.
    pub warnings: Vec<Remark>,
}

impl Dockerfile {
    /// Parses the text of a Dockerfile; `name` is its name in messages.
    ///
    /// # Errors
    /// [`Error::Dockerfile`], for errors in any stage.
    pub fn parse(name: &str, text: &str) -> Result<Dockerfile> {
        ParsedFile::parse(SourceText::new(name, text)).map(Dockerfile)
    }

    /// The names of the stages that have one, in their order.
    pub fn stage_names(&self) -> impl Iterator<Item = &str> {
        self.0.stages.iter().filter_map(|stage| Some(&*stage.base.name.as_ref()?.text))
    }

    /// The base images whose configs are needed and are not in `configs`. A config may have triggers that need more
    /// images, so call it with the configs of its results until it returns none.
    ///
    /// # Errors
    /// [`Error::Dockerfile`]: a stage, a base or a variable in a `FROM` that is wrong.
    pub fn bases(&self, arguments: &Arguments, configs: &Configs) -> Result<Vec<BaseImage>> {
        let plan = Plan::new(&self.0, arguments, configs, &mut Warnings::default());
        Ok(plan.map_err(|fault| self.error(fault))?.missing)
    }

    /// The error for a base image that cannot be read: `cause`, with the place of its `FROM`.
    pub fn unreadable(
        &self,
        base: &BaseImage,
        arguments: &Arguments,
        configs: &Configs,
        cause: Error,
    ) -> Error {
        let plan = Plan::new(&self.0, arguments, configs, &mut Warnings::default());
        match plan.ok().and_then(|plan| plan.unreadable(base)) {
            Some(fault) => Error::DockerfileBase {
                remark: Box::new(self.0.source.remark(fault)),
                source: Box::new(cause),
            },
            None => cause,
        }
    }

    /// The recipe for these arguments. `configs` has the configs of all [`bases`](Dockerfile::bases).
    ///
    /// # Errors
    /// [`Error::Dockerfile`], for errors in the stages that are built.
    pub fn lower(&self, arguments: &Arguments, configs: &Configs) -> Result<Lowered> {
        let mut found = Warnings::new(&self.0.check);
        found.extend(self.0.warnings.clone());
        let recipe = recipe::lower(&self.0, arguments, configs, &mut found);
        let recipe = recipe.map_err(|fault| self.error(fault))?;
        let warnings = found.finish().map_err(|fault| self.error(fault))?;
        let warnings = warnings.into_iter().map(|fault| self.0.source.remark(fault)).collect();
        Ok(Lowered { recipe, warnings })
    }

    fn error(&self, fault: Fault) -> Error {
        Error::Dockerfile(Box::new(self.0.source.remark(fault)))
    }
}
