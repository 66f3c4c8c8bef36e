//! Lowers arguments and lbuild.toml to a recipe.

pub mod base;
pub mod config_file;
pub mod date;
mod edit;
pub mod node;
pub mod python;
mod steps;

use lbuild::Recipe;
use lbuild::image::{Arch, Platform};
use lbuild::lambda::is_lambda_base;

use self::config_file::ConfigFile;
use super::args::image::ImageArgs;
use super::output::exit::Failure;
use super::output::report::Report;

/// A recipe, and facts about the image that the recipe does not contain.
pub struct Lowered {
    pub recipe: Recipe,
    pub config: ConfigFile,
    /// The handler, and the runtime or base image whose rules decide the path of the handler's file.
    pub handler: Option<(String, String)>,
    /// Whether the image starts the user's entrypoint, not the base's.
    pub own_entrypoint: bool,
    /// Whether the image is for Lambda, judged by handler and base: other container engines accept more.
    pub for_lambda: bool,
}

/// The recipe for the arguments, completed from lbuild.toml.
pub fn recipe(args: &ImageArgs, report: &Report) -> Result<Lowered, Failure> {
    let config = ConfigFile::load(&args.path)?;
    let arch = arch(args, &config)?;
    let (base, base_name) = base::lower(args, &config, report)?;
    let python = python::packages(args, &config, base_name.as_deref())?;
    if python.is_none() {
        python::warn_unused(args, &config, report);
    }
    let node = node::packages(args, &config, report)?;
    let edit = edit::lower(args, &config)?;
    let own_entrypoint = edit.entrypoint.is_some();
    if edit.cmd.is_none() && args.runtime.as_ref().or(config.runtime.as_ref()).is_some() {
        report.warn(
            "no handler is given",
            Some("add --handler, or set the command in the function's settings"),
        );
    }
    let handler = args.handler.clone().or(config.handler.clone().filter(|_| args.cmd.is_none()));
    let steps = steps::lower(args, &config, edit, python, node)?;
    let recipe = Recipe { epoch: date::epoch()?, ..Recipe::new(Platform::linux(arch), base, steps) };
    let for_lambda = handler.is_some() || base_name.as_deref().is_some_and(is_lambda_base);
    Ok(Lowered { recipe, config, handler: handler.zip(base_name), own_entrypoint, for_lambda })
}

fn arch(args: &ImageArgs, config: &ConfigFile) -> Result<Arch, Failure> {
    match (args.arch, &config.arch) {
        (Some(arch), _) => Ok(arch),
        (None, Some(name)) => Ok(name.parse()?),
        (None, None) => Err(Failure::usage("no architecture is given", "add --arch arm64 or --arch amd64")),
    }
}
