//! The bundling of CDK's `PythonFunction`, which builds an image with pip and runs it over the source directory: lbuild
//! records the image instead of building it, and does the one command line that CDK runs in it, with wheels and without a
//! container.
//!
//! <https://github.com/aws/aws-cdk/tree/main/packages/%40aws-cdk/aws-lambda-python-alpha>

mod command;
mod files;

use std::path::Path;

use lbuild::image::{Arch, Digest, Platform};
use lbuild::recipe::{Add, Base, Recipe, Step};
use lbuild::{Cache, Destination, Engine, Sent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::command::{Bundle, Packages};
use super::build::args::Build;
use super::{engine, platform};
use crate::cli::args::image::Python as PythonArgs;
use crate::cli::context::Context;
use crate::cli::lower::python;
use crate::cli::output::exit::Failure;

pub use self::command::image_of;

/// The package whose image is recorded.
const PACKAGE: &str = "aws-lambda-python-alpha";
/// The image on which that one is built, for a version of Python.
const RUNTIME: &str = "/sam/build-python";
/// Where the packages are in the image from which they are taken.
const PLACE: &str = "/packages";
/// The build arguments that choose the index of packages.
const INDEX: [&str; 3] = ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX"];

/// An image that was recorded.
#[derive(Serialize, Deserialize)]
pub struct Recorded {
    /// The version of Python.
    version: String,
    arch: Arch,
}

/// Records the image of a build, if it is the one of CDK for Python.
pub fn record(args: &Build, context: &Context) -> Result<bool, Failure> {
    let Some((name, version)) = known(args) else { return Ok(false) };
    let index = args.build_arg.iter().filter_map(|argument| argument.split_once('='));
    let index = index.filter(|(name, _)| INDEX.contains(name));
    if let Some((name, _)) =
        index.clone().find(|(name, value)| std::env::var(name).ok().as_deref() != Some(*value))
    {
        let message =
            format!("the packages would come from the {name} of a build argument, which is not set here");
        return Err(super::refused::asked(
            message,
            "set the variable in the environment, with the same value",
        ));
    }
    let arch = platform::chosen(&args.platform, &context.report)?;
    let recorded = serde_json::to_vec(&Recorded { version: version.to_owned(), arch });
    let recorded = recorded.map_err(|error| Failure::Read { what: name.to_owned(), source: error.into() })?;
    cache()?.remember(&key(name), &recorded)?;
    context.report.note(&format!(
        "{name} is not built: lbuild bundles Python {version} functions with wheels, and needs no container"
    ));
    Ok(true)
}

/// The name of the image, and the version of Python, of a build by CDK.
fn known(args: &Build) -> Option<(&str, &str)> {
    let is_of_package = Path::new(&args.path).components().any(|part| part.as_os_str() == PACKAGE);
    let [name] = &args.tag[..] else { return None };
    let image = args.build_arg.iter().find_map(|argument| argument.strip_prefix("IMAGE="))?;
    let version = image.split_once(RUNTIME)?.1.split([':', '@']).next()?;
    (is_of_package && name.starts_with("cdk-")).then_some((name, version))
}

fn key(name: &str) -> String {
    format!("bundling-1 {name}")
}

fn cache() -> Result<Cache, Failure> {
    Ok(Cache::at(Cache::default_root().ok_or(lbuild::Error::NoCacheRoot)?))
}

/// The image that was recorded under this name.
pub fn recorded(name: &str) -> Option<Recorded> {
    serde_json::from_slice(&cache().ok()?.remembered(&key(name))?).ok()
}

impl Recorded {
    /// What `docker inspect` prints of it.
    pub fn document(&self, name: &str) -> Value {
        json!({
            "Id": Digest::of(name.as_bytes()), "RepoTags": [format!("{name}:latest")], "RepoDigests": [],
            "Architecture": self.arch.to_string(), "Os": "linux",
        })
    }
}

/// Does a call of `docker run` with a recorded image.
pub async fn run(words: &[String], recorded: &Recorded, context: &Context) -> Result<(), Failure> {
    let bundle = Bundle::parse(words)?;
    files::copy(&bundle.from, &bundle.to, &bundle.exclude)?;
    let listed = |name: &str| Some(bundle.to.join(name));
    let mut flags = PythonArgs { python_version: Some(recorded.version.clone()), ..PythonArgs::default() };
    match bundle.packages {
        Packages::None => return Ok(()),
        Packages::Requirements => flags.requirements = listed("requirements.txt"),
        Packages::Lock(name) => flags.lock = listed(name),
    }
    let Some(source) = python::of_layer(&flags, Some(&bundle.to))? else { return Ok(()) };
    let add = Step::Add(Add { source, to: Some(format!("{PLACE}/")) });
    let recipe = Recipe::new(Platform::linux(recorded.arch), Base::Scratch, vec![add]);
    let engine = engine::new(context)?;
    let place = engine.cache().workplace()?;
    // not the directory itself: it is locked, and so is a layout that is written
    let layout = place.path().join("layout");
    packages(&engine, &recipe, &layout).await?;
    files::unpack(&layout, PLACE, &bundle.to)
}

/// Writes the layers of the packages to a directory.
async fn packages(engine: &Engine, recipe: &Recipe, place: &Path) -> Result<(), Failure> {
    let to = Destination::Layout { path: place.to_owned(), tags: Vec::new() };
    let format = to.usual_format();
    let Sent { failures, .. } = engine.push_each(recipe, &[(to, format)]).await?;
    failures.into_iter().next().map_or(Ok(()), |failure| Err(failure.into()))
}
