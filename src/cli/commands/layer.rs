//! `lbuild layer`: images that hold a Lambda layer, and lists of layers.

use std::path::PathBuf;

use lbuild::Recipe;
#[cfg(feature = "aws")]
use lbuild::aws::{LayerFilter, ListedLayer};
use lbuild::image::Platform;
use lbuild::recipe::Base;
#[cfg(feature = "aws")]
use lbuild::recipe::LayerArn;
#[cfg(feature = "aws")]
use serde_json::json;

#[cfg(feature = "aws")]
use super::push::repository;
use super::push::results;
#[cfg(feature = "aws")]
use crate::cli::args::layer::LayerList;
use crate::cli::args::layer::{Layer, LayerPush};
use crate::cli::context::Context;
use crate::cli::destination::{self, DefaultDestination};
use crate::cli::engine;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::lower::{date, layer_image};
use crate::cli::output::exit::Failure;
#[cfg(feature = "aws")]
use crate::cli::output::report::{print, print_json};

/// Runs `lbuild layer push` or `lbuild layer list`.
pub async fn run(command: Layer, context: &Context) -> Result<(), Failure> {
    match command {
        Layer::Push(args) => push(*args, context).await,
        #[cfg(feature = "aws")]
        Layer::List(args) => list(args, context).await,
    }
}

/// Sends an image that has files in `/opt` only. It is not a function, so that it is not checked as one.
async fn push(args: LayerPush, context: &Context) -> Result<(), Failure> {
    let (config, path) = (ConfigFile::default(), PathBuf::from("."));
    let steps = layer_image::steps(&args)?;
    let to =
        destination::of_push(&args.destination, &path, &config, DefaultDestination::None, context).await?;
    let login: Vec<_> = to.iter().filter_map(|(to, _)| destination::registry(to)).collect();
    let builder = engine::builder(&args.registry, &[], context, &login)?;
    let engine = builder.dry_run(args.destination.dry_run).build()?;
    let recipe = Recipe::new(Platform::linux(args.arch), Base::Scratch, steps);
    let recipe = Recipe { epoch: date::epoch()?, ..recipe };
    #[cfg(feature = "aws")]
    repository::prepare(&args.destination, &config, &to, context).await?;
    results::print(engine.push_each(&recipe, &to).await?, &context.report)
}

#[cfg(feature = "aws")]
async fn list(args: LayerList, context: &Context) -> Result<(), Failure> {
    if let Some(layer) = args.layer.as_ref().filter(|layer| layer.parse::<LayerArn>().is_ok()) {
        let message = format!("{layer} names a version");
        return Err(Failure::usage(message, "leave the version out to list all of them"));
    }
    let filter = LayerFilter { runtime: args.runtime, arch: args.arch };
    let found = match &args.layer {
        Some(layer) => context.aws.layer_versions(layer, &filter).await?,
        None => context.aws.layers(&filter).await?,
    };
    if context.json {
        let all: Vec<_> = found.iter().map(as_json).collect();
        return print_json(&format!("{:#}", json!(all)));
    }
    if found.is_empty() {
        context.report.note("no layer");
        return Ok(());
    }
    let lines: Vec<String> = found.iter().map(line).collect();
    print(&lines.join("\n"))
}

#[cfg(feature = "aws")]
fn as_json(layer: &ListedLayer) -> serde_json::Value {
    let ListedLayer { arn, description, created, architectures, runtimes } = layer;
    json!({
        "arn": arn, "version": arn.version(), "description": description, "created": created,
        "architectures": architectures, "runtimes": runtimes,
    })
}

/// The ARN, then what the author says of the layer.
#[cfg(feature = "aws")]
fn line(layer: &ListedLayer) -> String {
    let ListedLayer { arn, description, architectures, runtimes, .. } = layer;
    let about = [architectures.join(","), runtimes.join(","), description.clone()];
    let about: Vec<String> = about.into_iter().filter(|text| !text.is_empty()).collect();
    format!("{arn}  {}", about.join("  ")).trim_end().to_owned()
}
