//! `lbuild terraform`: the protocol of Terraform's external data source,
//! <https://github.com/hashicorp/terraform-provider-external/blob/main/docs/data-sources/external.md>. Terraform asks at every
//! plan, so nothing is written but the cache.

use lbuild::Destination;
use lbuild::image::{Format, Image, Reference};
use serde_json::json;

use super::push::{handler, job::Job, prepare_for_none};
use crate::cli::args::terraform::Terraform;
use crate::cli::context::Context;
use crate::cli::destination::{self, DefaultDestination};
use crate::cli::lower::terraform;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print_json;
use crate::cli::{engine, lower};

/// Prints the image that a push would send.
pub async fn run(args: &Terraform, context: &Context) -> Result<(), Failure> {
    let push = terraform::push(&args.query)?;
    let (image, report) = (&push.image, &context.report);
    let input = lower::input(image, report)?;
    let none = DefaultDestination::None;
    let to = destination::of_push(&push.destination, &image.path, input.config(), none, context).await?;
    let (repository, tags, format) = registry(&to)?;
    let builder = engine::builder(&push.registry, &input.config().insecure.0, context, &[])?;
    let builder = engine::commands(builder, &image.dockerfile.commands)?;
    let mut builder = engine::caching(builder, &push.caching, input.config())?;
    // The repository may not exist yet, so it is only a source of layers.
    for tag in tags {
        builder = builder.cache_from(repository.with_tag(tag)?);
    }
    let engine = builder.dry_run(true).build()?;
    let lowered = input.lower(image, &engine, report).await?;
    if lowered.for_lambda {
        destination::refuse_unpullable(&to)?;
    }
    let missing = handler::missing(&engine, &lowered)?;
    let prepared = prepare_for_none(
        &engine,
        &lowered,
        #[cfg(feature = "check")]
        &push.check,
    );
    let mut prepared = prepared.await?;
    let job = Job {
        engine: &engine,
        lowered: &lowered,
        to: &to,
        #[cfg(feature = "check")]
        check: &push.check,
        // Layers that a registry has are not fetched for the check.
        dry_run: false,
    };
    job.judge(&mut prepared, missing, report).await?;
    let digest = prepared.image().manifest(format).digest;
    let name = repository.repository_name();
    report.finish();
    print_json(
        &json!({
            "image_uri": format!("{name}@{digest}"),
            "digest": digest.to_string(),
            "repository": name,
            "tag": tags.first().map_or("", String::as_str),
            "size": size(prepared.image()).to_string(),
        })
        .to_string(),
    )
}

/// The only destination, which is a repository: the result has room for one name.
fn registry(to: &[(Destination, Format)]) -> Result<(&Reference, &[String], Format), Failure> {
    match to {
        [(Destination::Registry { repository, tags }, format)] => Ok((repository, tags, *format)),
        [(other, _)] => Err(Failure::usage(
            format!("{other} is not in a registry, and a function takes its image from one"),
            "set `to` to REGISTRY/REPO:TAG, or `repo` to NAME:TAG",
        )),
        _ => Err(Failure::usage(
            format!("the query has {} destinations, but the result names one image", to.len()),
            "ask for each repository in a data source of its own",
        )),
    }
}

/// The bytes that the image takes in a registry: its config and its compressed layers.
fn size(image: &Image) -> u64 {
    let layers = image.layers().iter().map(|layer| layer.blob.size);
    layers.fold(image.config_blob().size, u64::saturating_add)
}
