//! The arguments of a build for the image of a function.

use std::path::{Path, PathBuf};

use clap::{CommandFactory, FromArgMatches, Parser};
use lbuild::frontend::dockerfile::Dockerfile;
use lbuild::frontend::sam::{DockerBuild, Field, ImageFunction, ImageSource, Template};

use crate::cli::args::dockerfile::DockerfileArgs;
use crate::cli::args::image::ImageArgs;
use crate::cli::args::sam::SamArgs;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::output::exit::Failure;

/// The arguments of a build, as `lbuild push` has them.
pub struct ImageInput {
    pub args: ImageArgs,
    pub config: ConfigFile,
}

/// The flags of `docker build` that `DockerBuildExtraParams` may have.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Extra {
    #[arg(long)]
    target: Option<String>,
    #[arg(long)]
    build_arg: Vec<String>,
    #[arg(long)]
    build_context: Vec<String>,
    #[arg(long)]
    secret: Vec<String>,
    #[arg(long)]
    ssh: Vec<String>,
}

impl ImageInput {
    /// The arguments for a function of a template; its paths are relative to `dir`.
    pub fn of(
        template: &Template,
        function: &ImageFunction,
        dir: &Path,
        given: &SamArgs,
    ) -> Result<ImageInput, Failure> {
        let arch = Some(function.arch);
        match &function.image {
            ImageSource::Dockerfile(build) => {
                let (path, dockerfile) =
                    (within(dir, &build.context.value), docker(template, build, dir, given)?);
                let args = ImageArgs { path, arch, dockerfile, ..ImageArgs::default() };
                Ok(ImageInput { args, config: ConfigFile::default() })
            }
            ImageSource::Keys(keys) => {
                let config: ConfigFile = template.keys(keys)?;
                refuse_destinations(function, &config)?;
                // Contexts have a meaning for a Dockerfile only.
                let contexts = config.dockerfile.as_ref().map(|_| given.build_context.clone());
                let dockerfile = DockerfileArgs {
                    commands: given.commands.clone(),
                    build_context: contexts.unwrap_or_default(),
                    ..DockerfileArgs::default()
                };
                let path = if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir.to_owned() };
                Ok(ImageInput { args: ImageArgs { path, arch, dockerfile, ..ImageArgs::default() }, config })
            }
        }
    }
}

/// A path of the template.
fn within(dir: &Path, path: &str) -> PathBuf {
    match path {
        "." if dir.as_os_str().is_empty() => PathBuf::from("."),
        "." => dir.to_owned(),
        path => dir.join(path),
    }
}

fn docker(
    template: &Template,
    build: &DockerBuild,
    dir: &Path,
    given: &SamArgs,
) -> Result<DockerfileArgs, Failure> {
    let context = within(dir, &build.context.value);
    if !context.is_dir() {
        let message = format!("there is no directory {}", context.display());
        let hint = "DockerContext is relative to the template, or to --base-dir".to_owned();
        return Err(template.error(&build.context, message, Some(hint)).into());
    }
    let base = if context == Path::new(".") { Path::new("") } else { &context };
    let file = base.join(&build.dockerfile.value);
    if !file.is_file() {
        let message = format!("there is no Dockerfile {}", file.display());
        let hint = "Dockerfile is relative to DockerContext".to_owned();
        return Err(template.error(&build.dockerfile, message, Some(hint)).into());
    }
    if let Some(target) = &build.target {
        check_target(template, target, &file)?;
    }
    let mut args = DockerfileArgs {
        dockerfile: Some(file),
        target: build.target.as_ref().map(|target| target.value.clone()),
        build_arg: build.build_args.iter().map(|(name, field)| format!("{name}={}", field.value)).collect(),
        build_context: given.build_context.clone(),
        commands: given.commands.clone(),
        ..DockerfileArgs::default()
    };
    // Last, as in the command line that SAM makes.
    let Some(extra) = extra(template, &build.extra)? else { return Ok(args) };
    args.target = extra.target.or(args.target);
    args.build_arg.extend(extra.build_arg);
    args.build_context.extend(extra.build_context);
    args.commands.secret.extend(extra.secret);
    args.commands.ssh.extend(extra.ssh);
    Ok(args)
}

/// Refuses a stage that the Dockerfile does not have.
fn check_target(template: &Template, target: &Field, file: &Path) -> Result<(), Failure> {
    let name = file.display().to_string();
    let dockerfile = Dockerfile::parse(&name, &lbuild::text::read(file)?)?;
    if dockerfile.stage_names().any(|stage| stage.eq_ignore_ascii_case(&target.value)) {
        return Ok(());
    }
    let names: Vec<_> = dockerfile.stage_names().collect();
    let hint = match names.is_empty() {
        true => "no stage has a name; write FROM IMAGE AS NAME".to_owned(),
        false => format!("the stages are {}", names.join(", ")),
    };
    let message = format!("{name} has no stage `{}`", target.value);
    Err(template.error(target, message, Some(hint)).into())
}

/// The flags of `DockerBuildExtraParams`.
fn extra(template: &Template, flags: &[Field]) -> Result<Option<Extra>, Failure> {
    let Some(first) = flags.first() else { return Ok(None) };
    let values = flags.iter().map(|flag| flag.value.as_str());
    let matches = Extra::command().try_get_matches_from(values);
    match matches.and_then(|matches| Extra::from_arg_matches(&matches)) {
        Ok(extra) => Ok(Some(extra)),
        Err(error) => {
            let text = error.render().to_string();
            let fault = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let named = flags.iter().find(|flag| text.contains(&format!("'{}", flag.value)));
            let hint = "--secret, --ssh, --build-arg, --build-context and --target have a meaning for lbuild"
                .to_owned();
            Err(template.error(named.unwrap_or(first), fault, Some(hint)).into())
        }
    }
}

/// Refuses keys that say where to push: the template's images have their repositories from elsewhere.
fn refuse_destinations(function: &ImageFunction, config: &ConfigFile) -> Result<(), Failure> {
    let own = [
        ("to", !config.to.0.is_empty()),
        ("tag", !config.tag.0.is_empty()),
        ("format", config.format.is_some()),
        ("arch", config.arch.is_some()),
    ];
    #[cfg(feature = "aws")]
    let of_aws = [
        ("repo", config.repo.is_some()),
        ("create-repo", config.create_repo),
        ("allow-lambda", config.allow_lambda),
    ];
    #[cfg(not(feature = "aws"))]
    let of_aws: [(&str, bool); 0] = [];
    match own.into_iter().chain(of_aws).find_map(|(key, is_given)| is_given.then_some(key)) {
        Some(key) => {
            let message = format!("{}: the key `{key}` has no meaning in Metadata", function.logical_id);
            let hint =
                "flags of lbuild say where to push, and Architectures of the function for which machine";
            Err(Failure::usage(message, hint))
        }
        None => Ok(()),
    }
}
