//! `docker build`.

pub mod args;
mod flags;
mod outputs;
pub mod platform;

use std::path::{Path, PathBuf};

use lbuild::Published;
use lbuild::image::Reference;
use lbuild::recipe::{Recipe, Step};

use self::args::Build;
use self::flags::About;
use self::outputs::Outputs;
use super::push::in_dockers_words;
use super::refused::asked;
use super::{check_args, engine_builder};
use crate::cli::args::dockerfile::{CommandArgs, DockerfileArgs, STDIN};
use crate::cli::args::image::ImageArgs;
use crate::cli::args::push::{CachingArgs, Push};
use crate::cli::commands::push::{results, send_input};
use crate::cli::context::Context;
use crate::cli::lower;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::lower::dockerfile::in_dir;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::{Report, print};

/// Builds an image. Standard output stays empty, unless `--quiet` asks for the id.
pub async fn run(args: Build, context: &Context) -> Result<(), Failure> {
    let report = &context.report;
    let names: Vec<Reference> = args.tag.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let Outputs { to, pushes } = outputs::of(&args, &names)?;
    notes(&args, report);
    let empty;
    let (path, stdin) = match args.path.as_str() {
        STDIN => {
            empty = lbuild::Cache::default_root()
                .map(lbuild::Cache::at)
                .ok_or(lbuild::Error::NoCacheRoot)?
                .workplace()?;
            (empty.path().to_owned(), Some(read_dockerfile()?))
        }
        path => (directory(path)?, None),
    };
    let mut push = push_args(&args, path, stdin, context)?;
    let input = lower::input_with(&push.image, ConfigFile::default(), report)?;
    let unserved = unserved(&args);
    let refuse = move |recipe: &Recipe| match unserved.as_ref().filter(|_| starts_commands(recipe)) {
        Some(flag) => Err(asked(
            format!("{flag} would change how commands of the Dockerfile run, and lbuild cannot do it"),
            "leave it out",
        )),
        None => Ok(()),
    };
    let builder = engine_builder(context)?.local_images(!args.pull);
    push.check.no_check |= !pushes;
    let sent = send_input(&push, input, &to, builder, Some(&refuse), context).await;
    let sent = sent.map_err(|failure| if pushes { in_dockers_words(failure) } else { failure })?;
    if !sent.failures.is_empty() {
        return results::print(sent, report);
    }
    finish(&args, &push, sent.published)
}

/// Writes the files that the call asks for.
fn finish(args: &Build, push: &Push, mut published: Vec<Published>) -> Result<(), Failure> {
    // Tools look for the name of the registry's image first.
    published.sort_by_key(|published| published.image.starts_with("local:"));
    for image in &mut published {
        for name in &mut image.names {
            *name = name.strip_prefix("local:").unwrap_or(name).to_owned();
        }
    }
    let Some(first) = published.first() else { return Ok(()) };
    let id = first.config.to_string();
    if let Some(path) = &args.iidfile {
        std::fs::write(path, &id).map_err(|source| Failure::Write { path: path.clone(), source })?;
    }
    results::write(push, &published)?;
    if args.quiet { print(&id) } else { Ok(()) }
}

/// The arguments of the push that the build is.
fn push_args(
    args: &Build,
    path: PathBuf,
    stdin: Option<Vec<u8>>,
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
        check: check_args(),
        metadata_file: args.metadata_file.clone(),
        ..Push::default()
    })
}

/// The images of `--cache-from`. Other caches are not needed: the layers' keys are in the image that a tag names.
fn cache_sources(given: &[String], report: &Report) -> Vec<String> {
    let mut images = Vec::new();
    for text in given {
        let pairs: Vec<_> = text.split(',').map(|pair| pair.split_once('=')).collect();
        let value =
            |name: &str| pairs.iter().flatten().find(|(key, _)| *key == name).map(|(_, value)| *value);
        match (value("type"), value("ref")) {
            (None, _) => images.push(text.clone()),
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
            About::Commands => {}
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
