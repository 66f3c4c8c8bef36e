//! Lowers arguments and lbuild.toml to a recipe.

pub mod base;
#[cfg(feature = "aws")]
pub mod cdk;
pub mod config_file;
pub mod date;
pub mod dockerfile;
pub mod edit;
pub mod layer_image;
pub mod layers;
mod lowered;
pub mod named;
pub mod node;
pub mod platform;
pub mod python;
mod runtime_client;
pub mod sam;
pub mod steps;
pub mod terraform;
#[cfg(any(feature = "aws", target_os = "linux"))]
pub mod variables;

use lbuild::image::Platform;
use lbuild::lambda::is_lambda_base;
use lbuild::{Engine, Recipe};

use self::config_file::ConfigFile;
use self::dockerfile::ParsedDockerfile;
pub use self::lowered::Lowered;
use self::steps::Packages;
use super::args::image::ImageArgs;
use super::output::exit::Failure;
use super::output::report::Report;
use crate::cli::engine;

/// The arguments, completed from lbuild.toml, before anything is fetched.
pub enum Input {
    /// A function on a base: its recipe is complete.
    Function(Box<Lowered>),
    /// A Dockerfile, whose recipe depends on its bases.
    Dockerfile(Box<ParsedDockerfile>),
}

/// Whether the arguments or lbuild.toml name a base, or a Dockerfile is used.
#[cfg(feature = "aws")]
pub fn is_described(args: &ImageArgs, config: &ConfigFile) -> bool {
    let bases = [&args.base, &args.runtime, &config.base, &config.runtime];
    bases.iter().any(|name| name.is_some()) || dockerfile::is_used(args, config)
}

/// Reads the files that the arguments name.
pub fn input(args: &ImageArgs, report: &Report) -> Result<Input, Failure> {
    input_with(args, ConfigFile::load(&args.path)?, report)
}

/// As [`input`], with these settings instead of those of lbuild.toml.
pub fn input_with(args: &ImageArgs, config: ConfigFile, report: &Report) -> Result<Input, Failure> {
    let own = runtime_client::dockerfile(args, &config, report)?;
    let file = if own.is_some() { own } else { dockerfile::chosen(args, &config, report)? };
    Ok(match file {
        Some(file) => Input::Dockerfile(Box::new(ParsedDockerfile::new(&file, args, config)?)),
        None => Input::Function(Box::new(function(args, config, report)?)),
    })
}

impl Input {
    pub fn config(&self) -> &ConfigFile {
        match self {
            Input::Function(lowered) => &lowered.config,
            Input::Dockerfile(parsed) => &parsed.config,
        }
    }

    /// The registries of the bases.
    pub fn base_registries(&self) -> Vec<&str> {
        match self {
            Input::Function(lowered) => engine::base_registry(&lowered.recipe).into_iter().collect(),
            Input::Dockerfile(parsed) => parsed.base_registries(),
        }
    }

    /// The recipe.
    pub async fn lower(self, args: &ImageArgs, engine: &Engine, report: &Report) -> Result<Lowered, Failure> {
        match self {
            Input::Function(lowered) => Ok(*lowered),
            Input::Dockerfile(parsed) => parsed.lower(args, engine, report).await,
        }
    }
}

/// The recipe of a function on a base.
fn function(args: &ImageArgs, config: ConfigFile, report: &Report) -> Result<Lowered, Failure> {
    let arch = platform::lower(args, &config)?;
    let (base, base_name) = base::lower(args, &config, report)?;
    let python = python::packages(args, &config, base_name.as_deref())?;
    if python.is_none() {
        python::warn_unused(args, &config, report);
    }
    let npm = node::packages(args, &config, report)?;
    let edit = edit::lower(args, &config)?;
    let own_entrypoint = edit.entrypoint.is_some();
    if edit.cmd.is_none() && args.runtime.as_ref().or(config.runtime.as_ref()).is_some() {
        report.warn(
            "no handler is given",
            Some("add --handler, or set the command in the function's settings"),
        );
    }
    let handler = args.handler.clone().or(config.handler.clone().filter(|_| args.cmd.is_none()));
    let steps = steps::of_function(args, &config, edit, Packages { python, npm }, base_name.as_deref())?;
    let recipe = Recipe { epoch: date::epoch()?, ..Recipe::new(Platform::linux(arch), base, steps) };
    let for_lambda = handler.is_some() || base_name.as_deref().is_some_and(is_lambda_base);
    Ok(Lowered {
        recipe,
        config,
        remarks: Vec::new(),
        handler: handler.zip(base_name),
        own_entrypoint,
        for_lambda,
    })
}
