//! `lbuild push`, `lbuild build` and `lbuild plan`.

use std::path::{Path, PathBuf};

use lbuild::image::Format;
use lbuild::{Caching, Destination, Engine, EngineBuilder, Published};
use serde_json::json;

use super::Context;
use super::args::{self, Plan, Push};
use super::config::Config;
use super::exit::Failure;
use super::handler;
use super::lower::{self, Lowered};
use super::report;

/// Where the image goes when no destination is given.
#[derive(Clone, Copy)]
pub enum Default {
    /// Nowhere: one must be given.
    None,
    /// Into a layout below the function's directory, where ignore rules always keep it out of the image.
    Layout,
}

const LAYOUT: &str = ".lbuild/image";

/// Builds the image and brings it to its destinations.
pub async fn run(args: Push, default: Default, context: &Context) -> Result<(), Failure> {
    let report = &context.report;
    let lowered = lower::recipe(&args.what, report)?;
    let to = destinations(&args, default, &lowered, context).await?;
    if lowered.for_lambda {
        refuse_what_lambda_cannot_pull(&to)?;
    }
    let mut login: Vec<_> = to.iter().filter_map(|(to, _)| registry(to)).collect();
    if login.is_empty() {
        login.extend(lower::base_registry(&lowered.recipe));
    }
    let engine = lower::engine(&args.registry, &lowered.config.insecure.0, context, &login)?;
    let engine = caching(engine, &args.caching, &lowered.config)?.dry_run(args.dry_run).build()?;
    handler::check(&engine, &lowered, report)?;
    check_outputs(&engine, &lowered, &args, &to)?;
    #[cfg(feature = "aws")]
    super::ecr::prepare(&args, &lowered.config, &to, context).await?;
    let published = send(&engine, &args, &lowered, &to, context).await?;
    if !args.dry_run {
        write_results(&args, &published)?;
    }
    published.iter().try_for_each(|published| report.published(published))
}

#[cfg(not(feature = "check"))]
async fn send(
    engine: &Engine,
    _: &Push,
    lowered: &Lowered,
    to: &[(Destination, Format)],
    _: &Context,
) -> Result<Vec<Published>, Failure> {
    Ok(engine.push(&lowered.recipe, to).await?)
}

/// Builds the image and sends it, once nothing speaks against that.
#[cfg(feature = "check")]
async fn send(
    engine: &Engine,
    args: &Push,
    lowered: &Lowered,
    to: &[(Destination, Format)],
    context: &Context,
) -> Result<Vec<Published>, Failure> {
    if args.no_check {
        return Ok(engine.push(&lowered.recipe, to).await?);
    }
    let judge = super::check::Judge::new(args, lowered, to, engine, &context.report)?;
    let prepared = engine.prepare(&lowered.recipe, to).await?;
    judge.judge(&prepared).await?;
    Ok(prepared.send().await?)
}

/// Prints the pinned recipe.
pub async fn plan(args: Plan, context: &Context) -> Result<(), Failure> {
    let report = &context.report;
    let lowered = lower::recipe(&args.what, report)?;
    let login: Vec<_> = lower::base_registry(&lowered.recipe).into_iter().collect();
    let engine = lower::engine(&args.registry, &lowered.config.insecure.0, context, &login)?;
    let engine = engine.build()?;
    handler::check(&engine, &lowered, report)?;
    let pinned = engine.pin(lowered.recipe).await?;
    let json = serde_json::to_string_pretty(&pinned);
    report::print(&json.unwrap_or_else(|_| unreachable!("a recipe is data")))
}

/// What the engine may take from earlier runs.
fn caching(
    mut engine: EngineBuilder,
    args: &args::Caching,
    config: &Config,
) -> Result<EngineBuilder, Failure> {
    let from = if args.cache_from.is_empty() { &config.cache_from.0 } else { &args.cache_from };
    for image in from {
        engine = engine.cache_from(image.parse()?);
    }
    Ok(engine.caching(match (args.no_cache, args.verify_cache) {
        (true, _) => Caching::Off,
        (_, true) => Caching::Verify,
        _ => Caching::On,
    }))
}

#[cfg_attr(not(feature = "aws"), expect(unused_variables, reason = "only AWS is asked"))]
async fn destinations(
    args: &Push,
    default: Default,
    lowered: &Lowered,
    context: &Context,
) -> Result<Vec<(Destination, Format)>, Failure> {
    #[cfg(feature = "aws")]
    let mut to = super::ecr::destinations(
        &args.what.path,
        &args.to,
        args.ecr.repo.as_deref(),
        &lowered.config,
        context,
    )
    .await?;
    #[cfg(not(feature = "aws"))]
    let mut to = given(&args.what.path, &args.to, &lowered.config);
    let tags = if args.tag.is_empty() { &lowered.config.tag.0 } else { &args.tag };
    if to.is_empty() {
        match default {
            Default::Layout => to.push(format!("oci:{}", layout(&args.what.path).display())),
            Default::None => {
                return Err(Failure::usage(
                    "no destination is given",
                    "add --to REGISTRY/REPO:TAG, or --repo NAME for your own ECR, or set one of them in lbuild.toml",
                ));
            }
        }
    }
    let format = args.format.map(Format::from).or(lowered.config.format);
    lower::destinations(&to, tags, format)
}

/// The destinations that were given by flag, else by lbuild.toml.
pub fn given(path: &Path, to: &[String], config: &Config) -> Vec<String> {
    match to.is_empty() {
        true => config.to.0.iter().map(|to| beside(path, to)).collect(),
        false => to.to_vec(),
    }
}

/// A push that Lambda will not pull from is for nothing.
pub fn refuse_what_lambda_cannot_pull(to: &[(Destination, Format)]) -> Result<(), Failure> {
    for registry in to.iter().filter_map(|(to, _)| registry(to)) {
        if let Some(instead) = lbuild::lambda::refused_registry(registry) {
            let message = format!("Lambda pulls no image from {registry}: it is a FIPS endpoint");
            let hint = Some(format!("push to {instead}, which is the same registry"));
            return Err(Failure::Usage { message, hint });
        }
    }
    Ok(())
}

/// A destination of lbuild.toml: paths in it are relative to the file.
fn beside(dir: &Path, to: &str) -> String {
    for scheme in ["oci:", "docker-archive:"] {
        if let Some(path) = to.strip_prefix(scheme) {
            return format!("{scheme}{}", dir.join(path).display());
        }
    }
    to.to_owned()
}

fn layout(path: &Path) -> PathBuf {
    // A single file's neighbours are not packed, but its directory is the place to look for the image.
    let dir = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    if dir == Path::new(".") { LAYOUT.into() } else { dir.join(LAYOUT) }
}

pub fn registry(to: &Destination) -> Option<&str> {
    match to {
        Destination::Registry { repository, .. } => Some(repository.registry()),
        Destination::Layout { .. } | Destination::Archive { .. } => None,
    }
}

/// What is written into the directory that is packed would be part of the next image.
fn check_outputs(
    engine: &Engine,
    lowered: &Lowered,
    args: &Push,
    to: &[(Destination, Format)],
) -> Result<(), Failure> {
    let destinations = to.iter().filter_map(|(to, _)| match to {
        Destination::Layout { path, .. } | Destination::Archive { path, .. } => Some(path),
        Destination::Registry { .. } => None,
    });
    for path in destinations.chain(&args.metadata_file).chain(&args.digest_file) {
        if engine.packs(&lowered.recipe, path)? {
            let message = format!("{} is in a directory that is packed", path.display());
            let hint = "the next image would contain it: write it elsewhere, or name it in .lambdaignore";
            return Err(Failure::usage(message, hint));
        }
    }
    Ok(())
}

/// The files that other tools read: the same keys as BuildKit's, the same form as Podman's.
fn write_results(args: &Push, published: &[Published]) -> Result<(), Failure> {
    let Some(first) = published.first() else { return Ok(()) };
    let write = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|source| Failure::Write { path: path.to_owned(), source })
    };
    if let Some(path) = &args.digest_file {
        write(path, format!("{}\n", first.digest))?;
    }
    if let Some(path) = &args.metadata_file {
        let names: Vec<_> = published.iter().flat_map(|published| published.names.clone()).collect();
        let metadata = json!({
            "containerimage.config.digest": first.config,
            "containerimage.descriptor": { "mediaType": first.media_type, "digest": first.digest, "size": first.size },
            "containerimage.digest": first.digest,
            "image.name": names.join(","),
            "lbuild.images": published,
        });
        write(path, format!("{metadata:#}\n"))?;
    }
    Ok(())
}
