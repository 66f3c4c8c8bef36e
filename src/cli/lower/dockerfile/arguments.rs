//! The arguments of a Dockerfile: the stage, values of ARGs, the build context and named contexts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lbuild::frontend::dockerfile::{Arguments, NamedContext, Translate};
use lbuild::image::{Arch, Platform};
use lbuild::recipe::{Base, BuildContext};

use super::choice::{DockerfileText, OWN_BASE};
use crate::cli::args::dockerfile::TranslateArg;
use crate::cli::args::image::ImageArgs;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::lower::{date, platform};
use crate::cli::output::exit::Failure;

const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Ignore files of a context, the first of which is used; the file beside the Dockerfile comes before them.
const IGNORE_FILES: [&str; 2] = [".dockerignore", ".lambdaignore"];

/// The arguments from the flags, else from lbuild.toml.
pub fn lower(args: &ImageArgs, config: &ConfigFile, file: &DockerfileText) -> Result<Arguments, Failure> {
    let platform = Platform::linux(platform::lower(args, config)?);
    let flags = &args.dockerfile;
    let host = std::env::consts::ARCH.parse::<Arch>().map(Platform::linux);
    let epoch = date::epoch()?;
    let mut build_args = config.build_arg.clone();
    for flag in &flags.build_arg {
        let (name, value) = build_arg(flag)?;
        // Without a value and without a variable, it is not given at all, as in `docker build`.
        match value {
            Some(value) => drop(build_args.insert(name, value)),
            None => drop(build_args.remove(&name)),
        }
    }
    // As `docker buildx build` does, so that an `ARG SOURCE_DATE_EPOCH` has the value.
    if let Some(value) = std::env::var(EPOCH).ok().filter(|value| !value.is_empty()) {
        build_args.entry(EPOCH.to_owned()).or_insert(value);
    }
    Ok(Arguments {
        build_platform: host.unwrap_or_else(|_| platform.clone()),
        platform,
        target: flags.target.clone().or(config.target.clone()),
        build_args,
        context: match &file.base {
            None => context(&config.code(&args.path), file, flags.only_dockers_ignore_file)?,
            Some(_) => BuildContext { path: PathBuf::from("."), ignore: Vec::new() },
        },
        contexts: contexts(args, config, file)?,
        epoch,
        translate: match flags.commands.translate {
            None | Some(TranslateArg::Auto) => Translate::Auto,
            Some(TranslateArg::Always) => Translate::Always,
            Some(TranslateArg::Never) => Translate::Never,
        },
    })
}

/// The name and the value of a `--build-arg`.
fn build_arg(flag: &str) -> Result<(String, Option<String>), Failure> {
    let (name, value) = match flag.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (flag, std::env::var(flag).ok()),
    };
    match name.is_empty() {
        false => Ok((name.to_owned(), value)),
        // The value may be a secret, so the message names only the flag.
        true => Err(Failure::usage("a value of --build-arg has no name", "write it as NAME=VALUE or NAME")),
    }
}

/// The build context, with its ignore files.
fn context(path: &Path, file: &DockerfileText, dockers: bool) -> Result<BuildContext, Failure> {
    if !path.is_dir() {
        let message = match path.exists() {
            true => format!("{} is not a directory", path.display()),
            false => format!("there is no directory {}", path.display()),
        };
        return Err(Failure::usage(
            message,
            "PATH is the directory from which the Dockerfile's COPY takes files",
        ));
    }
    let own = file.path.as_ref().map(|path| {
        let mut name = path.clone().into_os_string();
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    let names = if dockers { &IGNORE_FILES[..1] } else { &IGNORE_FILES[..] };
    let ignore = own.into_iter().chain(names.iter().map(|name| path.join(name))).collect();
    Ok(BuildContext { path: path.to_owned(), ignore })
}

/// The named contexts. A path in lbuild.toml is relative to the file.
fn contexts(
    args: &ImageArgs,
    config: &ConfigFile,
    file: &DockerfileText,
) -> Result<BTreeMap<String, NamedContext>, Failure> {
    let own = file.base.iter().map(|base| (OWN_BASE.to_owned(), NamedContext::Image(base.clone())));
    let mut contexts: BTreeMap<_, _> = own.collect();
    for (name, value) in &config.build_context {
        contexts.insert(name.clone(), named(name, value, &args.path)?);
    }
    for flag in &args.dockerfile.build_context {
        let Some((name, value)) =
            flag.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty())
        else {
            let message = format!("`--build-context {flag}` is not of the form NAME=DIR or NAME=IMAGE");
            return Err(Failure::usage(message, "for example base=oci:DIR:TAG, or assets=../assets"));
        };
        contexts.insert(name.to_owned(), named(name, value, Path::new(""))?);
    }
    Ok(contexts)
}

/// The value of a named context: a directory, or the name of an image. `docker-image://` and `oci-layout://` are the
/// forms of `docker buildx build`.
fn named(name: &str, value: &str, dir: &Path) -> Result<NamedContext, Failure> {
    let image = |text: &str| -> Result<NamedContext, Failure> {
        Ok(NamedContext::Image(text.parse::<Base>()?.relative_to(dir)))
    };
    if let Some(reference) = value.strip_prefix("docker-image://") {
        return image(reference);
    }
    if let Some(layout) = value.strip_prefix("oci-layout://") {
        return image(&format!("oci:{layout}"));
    }
    if ["oci:", "docker-archive:"].iter().any(|scheme| value.starts_with(scheme)) {
        return image(value);
    }
    if value.contains("://") || value.starts_with("git@") {
        let message = format!("the build context `{name}` is at {value}, which lbuild does not fetch");
        return Err(Failure::usage(message, "fetch it first, and give its directory"));
    }
    let path = dir.join(value);
    if path.is_dir() {
        let ignore = vec![path.join(IGNORE_FILES[0])];
        return Ok(NamedContext::Directory(BuildContext { path, ignore }));
    }
    let is_path = value.starts_with(['.', '/', '~']) || value.ends_with('/');
    if path.exists() || is_path {
        let what = if path.exists() { "is not a directory" } else { "does not exist" };
        let message = format!("the build context `{name}` {what}: {}", path.display());
        return Err(Failure::usage(message, "give a directory, or the name of an image"));
    }
    image(value).map_err(|_| {
        let message =
            format!("the build context `{name}` is neither a directory nor an image's name: {value}");
        Failure::usage(message, "give a directory, oci:DIR[:TAG], docker-archive:FILE or REGISTRY/REPO[:TAG]")
    })
}
