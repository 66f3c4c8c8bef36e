//! The image of a function, from a name or from a path.

use std::path::PathBuf;

use lbuild::image::{Arch, Digest, Platform};
use lbuild::recipe::{Add, Base, Recipe, Source, Step};
use lbuild::{Engine, Inspected, UnpackedImage};

use crate::cli::args::image::ImageArgs;
use crate::cli::args::registry::Registry;
use crate::cli::context::Context;
use crate::cli::engine;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::lower::named::named_image;
use crate::cli::lower::{edit, input, platform};
use crate::cli::output::exit::Failure;

/// Where the image of a function comes from. It can be built again.
pub struct Function {
    args: ImageArgs,
    engine: Engine,
    /// The name of a finished image.
    image: Option<String>,
}

/// A built image with its files.
pub struct Built {
    pub image: UnpackedImage,
    #[cfg_attr(not(feature = "check"), expect(dead_code, reason = "only the check builds it again"))]
    pub recipe: Recipe,
    /// The digest of its config, which stands for all of it.
    pub id: Digest,
    /// The files and directories of this machine that it was built from.
    pub sources: Vec<PathBuf>,
}

impl Function {
    /// The function that the arguments describe.
    pub fn of(mut args: ImageArgs, registry: &Registry, context: &Context) -> Result<Function, Failure> {
        // It decides how the function runs, too.
        let commands = args.dockerfile.commands.clone();
        args.dockerfile.commands.run_mode = None;
        let image = named_image(&args.path, args.making_files())?;
        let engine = match &image {
            Some(name) => {
                let base: Base = name.parse()?;
                let login: Vec<_> = engine::registry(&base).into_iter().collect();
                engine::builder(registry, &[], context, &login)?
            }
            None => {
                let config = ConfigFile::load(&args.path)?;
                if platform::given(&args)?.is_none() && config.arch.is_none() {
                    args.arch = std::env::consts::ARCH.parse().ok();
                }
                let input = input(&args, &context.report)?;
                engine::builder(registry, &input.config().insecure.0, context, &input.base_registries())?
            }
        };
        let engine = engine::commands(engine, &commands)?.build()?;
        Ok(Function { args, engine, image })
    }

    /// The engine that builds the image.
    #[cfg(feature = "check")]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Builds the image, as far as it has changed, and unpacks it.
    pub async fn build(&self, context: &Context) -> Result<Built, Failure> {
        let (recipe, mut sources) = match &self.image {
            Some(name) => (self.named(name).await?, Vec::new()),
            None => {
                let input = input(&self.args, &context.report)?;
                let recipe = input.lower(&self.args, &self.engine, &context.report).await?.recipe;
                let sources = sources(&recipe);
                (recipe, sources)
            }
        };
        sources.extend(self.named_files());
        sources.sort();
        sources.dedup();
        let built = self.engine.build(&recipe).await?;
        let image = self.engine.unpack(&built).await?;
        Ok(Built { image, recipe, id: built.config_blob().digest, sources })
    }

    /// The files and directories that the arguments name; none for a finished image.
    pub fn named_files(&self) -> Vec<PathBuf> {
        if self.image.is_some() {
            return Vec::new();
        }
        let ImageArgs { path, dockerfile, python, layers, .. } = &self.args;
        let options =
            [Some(path), dockerfile.dockerfile.as_ref(), python.requirements.as_ref(), python.lock.as_ref()];
        let named = options.into_iter().flatten().cloned();
        let texts = layers.layer.iter().chain(&layers.extension).chain(&layers.wrapper).map(PathBuf::from);
        named.chain(texts).filter(|file| file.exists()).collect()
    }

    /// A finished image, with the changes of its config that the arguments ask for.
    async fn named(&self, name: &str) -> Result<Recipe, Failure> {
        let base: Base = name.parse()?;
        let own = std::env::consts::ARCH.parse::<Arch>().ok();
        let given = platform::given(&self.args)?;
        let found = match self.engine.inspect(&base, given.map(Platform::linux).as_ref()).await? {
            Inspected::Image(found) => *found,
            Inspected::Index { index, .. } => {
                let platforms = index.platforms();
                let is_own = |platform: &&Platform| platform.architecture.parse::<Arch>().ok() == own;
                let Some(platform) = platforms.iter().find(is_own) else {
                    let offered: Vec<String> = platforms.iter().map(ToString::to_string).collect();
                    let message = format!("{name} is an index of images for {}", offered.join(", "));
                    return Err(Failure::usage(message, "select one with --arch"));
                };
                self.engine.resolve(&base, platform).await?
            }
        };
        let edit = edit::lower(&self.args, &ConfigFile::default())?;
        Ok(Recipe::new(found.config.platform(), found.base, vec![Step::Edit(edit)]))
    }
}

/// The files and directories that a recipe takes from this machine.
fn sources(recipe: &Recipe) -> Vec<PathBuf> {
    let steps = recipe.stages.iter().flat_map(|stage| &stage.steps);
    let paths = steps.filter_map(|step| match step {
        Step::Add(Add {
            source: Source::Directory { path, .. } | Source::Zip { path, .. } | Source::Program { path },
            ..
        }) => Some(path.clone()),
        _ => None,
    });
    paths.collect()
}
