//! The arguments of a build for an image asset with a Dockerfile.

use std::path::{Path, PathBuf};

use lbuild::Engine;
use lbuild::frontend::cdk::{BuildOutput, CacheOption, DockerBuild};
use lbuild::image::{Arch, Format};
use lbuild::recipe::{Network, Recipe, Step};

use super::{Asset, secrets};
use crate::cli::args::cdk::Publish;
use crate::cli::args::dockerfile::{CommandArgs, DockerfileArgs};
use crate::cli::args::image::ImageArgs;
use crate::cli::lower::config_file::{ConfigFile, Many};
use crate::cli::lower::{self, Input, Lowered};
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// The platform of builds that name none, as the command line of Docker has it.
const DEFAULT_PLATFORM: &str = "DOCKER_DEFAULT_PLATFORM";

/// A build, as `lbuild push` has it.
pub struct AssetBuild {
    args: ImageArgs,
    input: Input,
    pub format: Option<Format>,
    /// Whether every layer is made again.
    pub without_cache: bool,
    /// The network of commands that name none.
    network: Network,
}

impl AssetBuild {
    /// How its commands run, and what they may use.
    pub fn commands(&self) -> &CommandArgs {
        &self.args.dockerfile.commands
    }

    /// The images whose layers it may reuse.
    pub fn cache_from(&self) -> &[String] {
        &self.input.config().cache_from.0
    }

    /// Reads the files of the asset, before anything is fetched.
    pub fn of(
        asset: &Asset,
        build: &DockerBuild,
        given: &Publish,
        report: &Report,
    ) -> Result<AssetBuild, Failure> {
        if let Some(field) = build.unknown.keys().next() {
            return Err(asset.fault(
                field,
                "lbuild does not know this setting, which may change the image",
                "a newer lbuild may know it",
            ));
        }
        let dir = directory(asset, build)?;
        let dockerfile = dockerfile(asset, build, &dir)?;
        let mut commands = given.commands.clone();
        let own = &build.docker_build_secrets;
        commands.secret.extend(own.iter().map(|(id, value)| secrets::secret(id, value, &dir)));
        commands.ssh.extend(build.docker_build_ssh.iter().map(|value| secrets::agent(value, &dir)));
        let args = ImageArgs {
            path: dir,
            platform: vec![platform(asset, build, report)?],
            dockerfile: DockerfileArgs {
                dockerfile: Some(dockerfile),
                target: build.docker_build_target.clone(),
                commands,
                ..DockerfileArgs::default()
            },
            ..ImageArgs::default()
        };
        let config = ConfigFile {
            build_arg: build.docker_build_args.clone(),
            // Relative to the directory, as there.
            build_context: build.docker_build_contexts.clone(),
            cache_from: Many(caches(asset, &build.cache_from, report)?),
            ..ConfigFile::default()
        };
        Ok(AssetBuild {
            network: network(asset, build)?,
            format: format(asset, build)?,
            without_cache: build.cache_disabled,
            input: lower::input_with(&args, config, report)?,
            args,
        })
    }

    /// The recipe, for which the configs of the bases are fetched.
    pub async fn lower(self, engine: &Engine, report: &Report) -> Result<Lowered, Failure> {
        let mut lowered = self.input.lower(&self.args, engine, report).await?;
        connect(&mut lowered.recipe, self.network);
        Ok(lowered)
    }
}

/// Gives this network to the commands of a recipe that name none.
fn connect(recipe: &mut Recipe, network: Network) {
    for step in recipe.stages.iter_mut().flat_map(|stage| &mut stage.steps) {
        match step {
            Step::Run(run) if run.network == Network::Default => run.network = network,
            Step::Run(_) | Step::Add(_) | Step::Edit(_) => {}
        }
    }
}

/// The build context.
fn directory(asset: &Asset, build: &DockerBuild) -> Result<PathBuf, Failure> {
    let dir = asset.dir.join(&build.directory);
    match dir.is_dir() {
        true => Ok(dir),
        false => Err(asset.fault(
            "directory",
            &format!("there is no directory {}", dir.display()),
            "run `cdk synth` again: it copies the files of assets there",
        )),
    }
}

fn dockerfile(asset: &Asset, build: &DockerBuild, dir: &Path) -> Result<PathBuf, Failure> {
    let file = dir.join(build.docker_file.as_deref().unwrap_or("Dockerfile"));
    match file.is_file() {
        true => Ok(file),
        false => Err(asset.fault(
            "dockerFile",
            &format!("there is no Dockerfile {}", file.display()),
            "it is relative to the directory of the asset; an ignore file may keep it out",
        )),
    }
}

/// The platform of the asset, else Docker's default, else that of this machine.
fn platform(asset: &Asset, build: &DockerBuild, report: &Report) -> Result<String, Failure> {
    if let Some(platform) = &build.platform {
        return Ok(platform.clone());
    }
    let (platform, whose) = match std::env::var(DEFAULT_PLATFORM).ok().filter(|value| !value.is_empty()) {
        Some(platform) => (platform, DEFAULT_PLATFORM),
        None => (format!("linux/{}", std::env::consts::ARCH.parse::<Arch>()?), "this machine"),
    };
    report.note(&format!("{} names no platform: building for {platform}, that of {whose}", asset.label()));
    Ok(platform)
}

fn network(asset: &Asset, build: &DockerBuild) -> Result<Network, Failure> {
    match build.network_mode.as_deref() {
        // Commands have the network of the machine. A name for it would only give the layers other keys.
        None | Some("default" | "host") => Ok(Network::Default),
        Some("none") => Ok(Network::None),
        Some(other) => Err(asset.fault(
            "networkMode",
            &format!("`{other}` is a network of Docker's daemon, which lbuild does not have"),
            "use host, none or default",
        )),
    }
}

/// The format of the manifest that the outputs name; the usual one without outputs.
fn format(asset: &Asset, build: &DockerBuild) -> Result<Option<Format>, Failure> {
    let mut format = None;
    for text in &build.docker_outputs {
        let output = BuildOutput::parse(text).map_err(|fault| {
            asset.fault("dockerOutputs", &format!("`{text}`: {fault}"), "use type=docker, or leave it out")
        })?;
        format = output.oci.then_some(Format::Oci).or(format);
    }
    Ok(format)
}

/// The images whose layers may be reused. Other caches do not change the image, and are not read.
fn caches(asset: &Asset, caches: &[CacheOption], report: &Report) -> Result<Vec<String>, Failure> {
    let mut images = Vec::new();
    for cache in caches {
        match (&*cache.r#type, cache.params.get("ref")) {
            ("registry", Some(image)) => images.push(image.clone()),
            ("registry", None) => {
                return Err(asset.fault("cacheFrom", "it has the type registry, and no ref", None));
            }
            (other, _) => report.note(&format!(
                "{}: cacheFrom: lbuild does not read caches of the type {other}",
                asset.label()
            )),
        }
    }
    Ok(images)
}
