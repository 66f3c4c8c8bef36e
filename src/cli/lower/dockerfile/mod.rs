//! Lowers a Dockerfile, with the flags applied on top of its last stage.

pub mod agents;
mod arguments;
mod choice;
pub mod secrets;
mod translated;

use futures_util::future::try_join_all;
use lbuild::frontend::dockerfile::{Arguments, BaseImage, Configs, Dockerfile, Lowered as LoweredDockerfile};
use lbuild::lambda::is_lambda_base;
use lbuild::recipe::{Base, Recipe};
use lbuild::{Engine, StoredImage};

#[cfg(feature = "aws")]
pub use self::choice::is_used;
pub use self::choice::{DockerfileText, chosen, in_dir};
use super::config_file::ConfigFile;
use super::lowered::Lowered;
use super::steps::Packages;
use super::{edit, node, python, steps};
use crate::cli::args::image::ImageArgs;
use crate::cli::engine;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// A parsed Dockerfile and its arguments.
pub struct ParsedDockerfile {
    dockerfile: Dockerfile,
    arguments: Arguments,
    pub config: ConfigFile,
    /// The base images that the text names.
    bases: Vec<BaseImage>,
    /// The name of the base, if the text is lbuild's own and does not add the code.
    own: Option<String>,
}

impl ParsedDockerfile {
    /// Parses the text, and finds its bases. Nothing is fetched.
    pub fn new(
        file: &DockerfileText,
        args: &ImageArgs,
        config: ConfigFile,
    ) -> Result<ParsedDockerfile, Failure> {
        let arguments = arguments::lower(args, &config, file)?;
        let dockerfile = Dockerfile::parse(&file.name, &file.text)?;
        let bases = dockerfile.bases(&arguments, &Configs::default())?;
        let own = file.base.as_ref().map(ToString::to_string);
        Ok(ParsedDockerfile { dockerfile, arguments, config, bases, own })
    }

    /// The registries of its bases.
    pub fn base_registries(&self) -> Vec<&str> {
        self.bases.iter().filter_map(|image| engine::registry(&image.base)).collect()
    }

    /// The recipe, for which the configs of the bases are fetched.
    pub async fn lower(self, args: &ImageArgs, engine: &Engine, report: &Report) -> Result<Lowered, Failure> {
        let ParsedDockerfile { dockerfile, arguments, config, mut bases, own } = self;
        let mut configs = Configs::default();
        let mut resolved: Vec<(BaseImage, Base)> = Vec::new();
        // The triggers of a base may name more images.
        while !bases.is_empty() {
            let found = bases.iter().map(async |image| {
                let found = engine.resolve(&image.base, &image.platform).await;
                found.map_err(|error| dockerfile.unreadable(image, &arguments, &configs, error))
            });
            for (image, found) in bases.iter().zip(try_join_all(found).await?) {
                let StoredImage { base, config, .. } = found;
                configs.insert(image, config);
                resolved.push((image.clone(), base));
            }
            bases = dockerfile.bases(&arguments, &configs)?;
        }
        let mut lowered = dockerfile.lower(&arguments, &configs)?;
        lowered
            .warnings
            .iter()
            .for_each(|warning| report.warn(&warning.to_string(), warning.hint.as_deref()));
        let bytecode = args.python.compile_bytecode.or(config.compile_bytecode);
        translated::compile(&mut lowered.recipe, bytecode);
        translated::notes(&lowered.recipe).iter().for_each(|note| report.note(note));
        on_top(lowered, &resolved, args, config, own)
    }
}

/// Applies the flags on top of the last stage, and pins the bases: a tag that moves meanwhile would otherwise lead to
/// another image than that whose config the recipe was made for.
fn on_top(
    lowered: LoweredDockerfile,
    resolved: &[(BaseImage, Base)],
    args: &ImageArgs,
    config: ConfigFile,
    own: Option<String>,
) -> Result<Lowered, Failure> {
    let LoweredDockerfile { mut recipe, warnings: remarks, .. } = lowered;
    let base = own.clone().or_else(|| first_base(&recipe).map(ToString::to_string));
    let packages = Packages {
        python: python::packages(args, &config, base.as_deref())?,
        npm: node::requested(args, &config)?,
    };
    let edit = edit::lower(args, &config)?;
    let steps = match &own {
        Some(_) => steps::of_function(args, &config, edit, packages, base.as_deref())?,
        None => steps::on_dockerfile(args, &config, edit, packages, base.as_deref())?,
    };
    let has_handler = args.handler.is_some() || config.handler.is_some() && args.cmd.is_none();
    let for_lambda = has_handler || base.as_deref().is_some_and(is_lambda_base);
    if let Some(stage) = recipe.stages.last_mut() {
        stage.steps.extend(steps);
    }
    for stage in &mut recipe.stages {
        let platform = stage.platform.as_ref().unwrap_or(&recipe.platform);
        let exact =
            resolved.iter().find(|(image, _)| image.base == stage.base && image.platform == *platform);
        if let Some((_, exact)) = exact {
            stage.base = exact.clone();
        }
    }
    // A Dockerfile puts the code where it wants to.
    let handler = args.handler.clone().or(config.handler.clone().filter(|_| args.cmd.is_none()));
    let handler = handler.zip(own);
    Ok(Lowered { recipe, config, remarks, handler, own_entrypoint: false, for_lambda })
}

/// The base at the beginning of the chain of stages that ends in the last one.
fn first_base(recipe: &Recipe) -> Option<&Base> {
    let mut base = &recipe.stages.last()?.base;
    while let Base::Stage(number) = base {
        base = &recipe.stages.get(*number)?.base;
    }
    Some(base)
}
