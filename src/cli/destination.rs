//! The destinations of an image.

use std::path::{Path, PathBuf};

use lbuild::Destination;
use lbuild::image::{Format, Reference};

use super::args::push::DestinationArgs;
use super::context::Context;
use super::lower::config_file::ConfigFile;
use super::output::exit::Failure;

/// The destination of a command without `--to` and `--repo`.
#[derive(Clone, Copy)]
pub enum DefaultDestination {
    /// No default: a destination is required.
    None,
    /// A layout below the function's directory, which the ignore rules always exclude from the image.
    Layout,
}

const LAYOUT: &str = ".lbuild/image";

/// The destinations of a push, each with its format.
#[cfg_attr(not(feature = "aws"), expect(unused_variables, reason = "only AWS needs the context"))]
pub async fn of_push(
    args: &DestinationArgs,
    path: &Path,
    config: &ConfigFile,
    default: DefaultDestination,
    context: &Context,
) -> Result<Vec<(Destination, Format)>, Failure> {
    #[cfg(feature = "aws")]
    let mut to = given_or_own(path, &args.to, args.ecr.repo.as_deref(), config, context).await?;
    #[cfg(not(feature = "aws"))]
    let mut to = given(path, &args.to, config);
    let tags = if args.tag.is_empty() { &config.tag.0 } else { &args.tag };
    if to.is_empty() {
        match default {
            DefaultDestination::Layout => to.push(format!("oci:{}", layout(path).display())),
            DefaultDestination::None => {
                return Err(Failure::usage(
                    "no destination is given",
                    "add --to REGISTRY/REPO:TAG, or --repo NAME for your own ECR, or set one of them in lbuild.toml",
                ));
            }
        }
    }
    let format = args.format.map(Format::from).or(config.format);
    parse(&to, tags, format)
}

/// The given destinations, and the repository in the ECR registry of the user's AWS account.
#[cfg(feature = "aws")]
pub async fn given_or_own(
    path: &Path,
    to: &[String],
    repo: Option<&str>,
    config: &ConfigFile,
    context: &Context,
) -> Result<Vec<String>, Failure> {
    let repo = match repo {
        // `--repo` replaces the destinations of lbuild.toml.
        Some(repo) if to.is_empty() => return Ok(vec![own(repo, context).await?]),
        Some(repo) => Some(repo),
        None if to.is_empty() => config.repo.as_deref(),
        None => None,
    };
    let mut to = given(path, to, config);
    if let Some(repo) = repo {
        to.push(own(repo, context).await?);
    }
    Ok(to)
}

/// The full name of a repository in the registry of the account of the AWS credentials.
#[cfg(feature = "aws")]
async fn own(repo: &str, context: &Context) -> Result<String, Failure> {
    if repo.split('/').next().is_some_and(|first| first.contains('.')) && repo.contains('/') {
        return Err(Failure::usage(
            format!("`--repo {repo}` names a registry"),
            "use --to instead of --repo",
        ));
    }
    Ok(format!("{}/{repo}", context.aws.registry().await?))
}

/// The destinations from the flags, else from lbuild.toml.
pub fn given(path: &Path, to: &[String], config: &ConfigFile) -> Vec<String> {
    match to.is_empty() {
        true => config.to.0.iter().map(|to| beside(path, to)).collect(),
        false => to.to_vec(),
    }
}

/// Resolves the path of a destination from lbuild.toml, which is relative to the file.
fn beside(dir: &Path, to: &str) -> String {
    for scheme in ["oci:", "docker-archive:"] {
        if let Some(path) = to.strip_prefix(scheme) {
            return format!("{scheme}{}", dir.join(path).display());
        }
    }
    to.to_owned()
}

fn layout(path: &Path) -> PathBuf {
    // For a single file, the layout goes into the file's directory, which is not packed.
    let dir = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    if dir == Path::new(".") { LAYOUT.into() } else { dir.join(LAYOUT) }
}

/// Parses destinations. Each gets all tags, and the given format or its usual one.
pub fn parse(
    to: &[String],
    tags: &[String],
    format: Option<Format>,
) -> Result<Vec<(Destination, Format)>, Failure> {
    let parse = |to: &String| {
        let to = to.parse::<Destination>()?.tagged(tags)?;
        let format = format.unwrap_or(to.usual_format());
        Ok((to, format))
    };
    to.iter().map(parse).collect()
}

/// A destination for each repository of the names.
pub fn of_names(names: &[Reference]) -> Vec<Destination> {
    let mut all: Vec<(Reference, Vec<String>)> = Vec::new();
    for name in names {
        let tag = name.tag().unwrap_or("latest").to_owned();
        match all.iter_mut().find(|(other, _)| other.repository_name() == name.repository_name()) {
            Some((_, tags)) => tags.push(tag),
            None => all.push((name.clone(), vec![tag])),
        }
    }
    all.into_iter().map(|(repository, tags)| Destination::Registry { repository, tags }).collect()
}

/// The registry of a destination; `None` for other destinations.
pub fn registry(to: &Destination) -> Option<&str> {
    match to {
        Destination::Registry { repository, .. } => Some(repository.registry()),
        Destination::Layout { .. } | Destination::Archive { .. } | Destination::Local { .. } => None,
    }
}

/// Refuses registries from which Lambda does not pull: no function could use the image.
pub fn refuse_unpullable(to: &[(Destination, Format)]) -> Result<(), Failure> {
    for registry in to.iter().filter_map(|(to, _)| registry(to)) {
        if let Some(instead) = lbuild::lambda::refused_registry(registry) {
            let message = format!("Lambda pulls no image from {registry}: it is a FIPS endpoint");
            let hint = Some(format!("push to {instead}, which is the same registry"));
            return Err(Failure::Usage { message, hint });
        }
    }
    Ok(())
}
