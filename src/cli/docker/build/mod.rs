//! `docker build`.

pub mod args;
mod flags;
mod metadata;
mod outputs;

use std::path::{Path, PathBuf};

use lbuild::image::{Location, Reference};
use lbuild::recipe::{Recipe, Step};
use lbuild::{Credentials, DockerConfig, Engine, Published};

use self::args::Build;
use self::flags::About;
use self::outputs::Outputs;
use super::push::in_dockers_words;
use super::refused::asked;
use super::{bundling, engine, platform};
use crate::cli::args::dockerfile::{CommandArgs, DockerfileArgs, STDIN};
use crate::cli::args::image::ImageArgs;
use crate::cli::args::push::{CachingArgs, Push};
#[cfg(feature = "check")]
use crate::cli::commands::push::tool;
use crate::cli::commands::push::{Caller, results, send_input};
use crate::cli::context::{Context, Logins};
use crate::cli::lower;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::lower::dockerfile::in_dir;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// Builds an image. Standard output stays empty, unless `--quiet` asks for the id.
pub async fn run(args: Build, context: &Context) -> Result<(), Failure> {
    let report = &context.report;
    if bundling::record(&args, context)? {
        return Ok(());
    }
    metadata::clear(&args);
    let Outputs { to, names, pushes } = outputs::of(&args)?;
    notes(&args, report);
    let is_stdin = args.path == STDIN || args.file.as_ref().is_some_and(|file| file.as_os_str() == STDIN);
    let stdin = if is_stdin { Some(read_dockerfile()?) } else { None };
    let empty;
    let path = match args.path.as_str() {
        STDIN => {
            let root = lbuild::Cache::default_root().ok_or(lbuild::Error::NoCacheRoot)?;
            empty = lbuild::Cache::at(root).workplace()?;
            empty.path().to_owned()
        }
        path => directory(path)?,
    };
    let push = push_args(&args, path, stdin, pushes, context)?;
    let input = lower::input_with(&push.image, ConfigFile::default(), report)?;
    let unserved = unserved(&args);
    let refuse = move |recipe: &Recipe| match unserved.as_ref().filter(|_| starts_commands(recipe)) {
        Some(flag) => Err(asked(
            format!("{flag} would change how commands of the Dockerfile run, and lbuild cannot do it"),
            "leave it out",
        )),
        None => Ok(()),
    };
    let builder = engine::builder(context)?.local_images(!args.pull);
    let sent = send_input(&push, input, &to, builder, Caller::Tool(&refuse), context).await;
    let sent = sent.map_err(|failure| match pushes {
        true => in_dockers_words(failure, &names.iter().map(Reference::registry).collect::<Vec<_>>()),
        false => failure,
    })?;
    if !sent.failures.is_empty() {
        return results::print(sent, report);
    }
    let engine = engine::new(context)?;
    if let (Some(published), Logins::Stored { config: Some(dir) }) = (sent.published.first(), &context.logins)
    {
        keep_private(&engine, published, dir).await?;
    }
    metadata::tell(&args, &engine.images(), sent.published)
}

/// Copies layers of a base to this machine which only the logins of this call can read: the push may have others.
async fn keep_private(engine: &Engine, published: &Published, dir: &Path) -> Result<(), Failure> {
    let Some(image) = engine.images().find(&published.config.to_string())? else { return Ok(()) };
    let logins = DockerConfig::in_dir(dir);
    let mut is_private = false;
    for layer in image.image().layers() {
        if let Location::Registry(name) = &layer.blob.location {
            is_private |= logins.get_for(name.registry(), name.repository(), false).await?.is_some();
        }
    }
    if is_private { Ok(engine.hold(&image).await?) } else { Ok(()) }
}

/// The arguments of the push that the build is.
#[cfg_attr(not(feature = "check"), expect(unused_variables, reason = "only the check asks for it"))]
fn push_args(
    args: &Build,
    path: PathBuf,
    stdin: Option<Vec<u8>>,
    pushes: bool,
    context: &Context,
) -> Result<Push, Failure> {
    let arch = platform::chosen(&args.platform, &context.report)?;
    let dockerfile = match (&args.file, &stdin) {
        (_, Some(_)) => PathBuf::from(STDIN),
        (Some(file), None) => file.clone(),
        (None, None) => in_dir(&path).unwrap_or_else(|| path.join("Dockerfile")),
    };
    let image = ImageArgs {
        path,
        arch: Some(arch),
        label: args.label.clone(),
        dockerfile: DockerfileArgs {
            dockerfile: Some(dockerfile),
            target: args.target.clone(),
            build_arg: args.build_arg.clone(),
            build_context: args.build_context.clone(),
            commands: CommandArgs {
                secret: args.secret.clone(),
                ssh: args.ssh.clone(),
                ..CommandArgs::default()
            },
            pull: args.pull,
            stdin,
            only_dockers_ignore_file: true,
        },
        ..ImageArgs::default()
    };
    Ok(Push {
        image,
        caching: CachingArgs {
            cache_from: cache_sources(&args.cache_from, &context.report),
            no_cache: args.no_cache,
            no_cache_filter: args.no_cache_filter.clone(),
            verify_cache: false,
        },
        #[cfg(feature = "check")]
        check: tool::check_args(pushes),
        ..Push::default()
    })
}

/// The images of `--cache-from`. Other caches are not needed: the layers' keys are in the image that a tag names.
fn cache_sources(given: &[String], report: &Report) -> Vec<String> {
    let mut images = Vec::new();
    for text in given
        .iter()
        .flat_map(|text| if text.contains('=') { vec![&**text] } else { text.split(',').collect() })
    {
        let pairs: Vec<_> = text.split(',').map(|pair| pair.split_once('=')).collect();
        let value =
            |name: &str| pairs.iter().flatten().find(|(key, _)| *key == name).map(|(_, value)| *value);
        match (value("type"), value("ref")) {
            (None, _) => images.push(text.to_owned()),
            (Some("registry"), Some(image)) => images.push(image.to_owned()),
            (Some(kind), _) => {
                report.note(&format!("--cache-from type={kind} is not needed: an image is its own cache"))
            }
        }
    }
    images
}

/// Says which flags have no meaning here.
fn notes(args: &Build, report: &Report) {
    for (flag, about) in &args.without_meaning.given {
        match about {
            About::Daemon => report.note(&format!("--{flag} has no meaning without a daemon")),
            About::Attestations => {
                report.note(&format!("--{flag}: Lambda takes no attestations, so there are none"))
            }
            About::Commands | About::Nothing => {}
        }
    }
}

/// The first flag that would change what commands see.
fn unserved(args: &Build) -> Option<String> {
    let network = args.network.as_deref().filter(|network| !matches!(*network, "default" | "host"));
    let given = args.without_meaning.given.iter().find(|(_, about)| *about == About::Commands);
    network.map(|network| format!("--network {network}")).or(given.map(|(flag, _)| format!("--{flag}")))
}

fn starts_commands(recipe: &Recipe) -> bool {
    let mut steps = recipe.stages.iter().flat_map(|stage| &stage.steps);
    steps.any(|step| matches!(step, Step::Run(run) if run.translation.is_none()))
}

/// The directory of the context.
fn directory(path: &str) -> Result<PathBuf, Failure> {
    let is_remote = path.contains("://") || path.starts_with("git@") || path.starts_with("github.com/");
    match is_remote {
        true => Err(asked(
            format!("lbuild does not fetch the build context {path}"),
            "fetch it first, and give its directory",
        )),
        false if Path::new(path).is_dir() => Ok(path.into()),
        false => Err(Failure::docker(
            1,
            format!("there is no directory {path}"),
            "PATH is the directory of the build context",
        )),
    }
}

fn read_dockerfile() -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let what = "the Dockerfile from standard input".to_owned();
    std::io::stdin().read_to_end(&mut bytes).map_err(|source| Failure::Read { what, source })?;
    // A tar names its format at this place.
    let is_tar = bytes.get(257..262) == Some(b"ustar") || bytes.starts_with(&[0x1f, 0x8b]);
    match is_tar {
        true => Err(asked(
            "lbuild does not read a build context from standard input",
            "unpack it, and give its directory",
        )),
        false => Ok(bytes),
    }
}
