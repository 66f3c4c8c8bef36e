//! An image that holds a Lambda layer.

use std::path::{Path, PathBuf};

use lbuild::recipe::{Source, Step};

use super::layers::{self, LAYERS};
use super::{python, steps};
use crate::cli::args::layer::LayerPush;
use crate::cli::output::exit::Failure;

/// Where the runtimes of Python look for packages: <https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html>.
const PACKAGES: &str = "/opt/python";

/// The steps that add the packages, and on top of them the files.
pub fn steps(args: &LayerPush) -> Result<Vec<Step>, Failure> {
    let layer = args.layer.as_deref().map(steps::split_path);
    let dir = layer.as_ref().map(|(path, _)| Path::new(path)).filter(|path| path.is_dir());
    let packages = python::of_layer(&args.python, dir)?;
    let left_out = dir.filter(|_| packages.is_some()).map(python::left_out).unwrap_or_default();
    let mut steps = Vec::new();
    match (packages, &args.packages_to) {
        (Some(source), to) => {
            let to = in_layer(to.as_deref().unwrap_or(PACKAGES))?;
            steps.push(layers::add(source, format!("{to}/")));
        }
        (None, Some(to)) => {
            let message = format!("--packages-to {to} is for packages, and none are given");
            return Err(Failure::usage(message, "add --requirements FILE or --lock FILE"));
        }
        (None, None) => {}
    }
    if let Some((path, to)) = &layer {
        let source = match source(path)? {
            Source::Directory { path, ignore, .. } => Source::Directory { path, ignore, without: left_out },
            other => other,
        };
        steps.push(layers::add(source, in_layer(to.as_deref().unwrap_or(LAYERS))?));
    }
    Ok(steps)
}

fn source(layer: &str) -> Result<Source, Failure> {
    let source = match layers::is_arn(layer) {
        true => layers::of_arn(layer, None)?,
        false => steps::source(PathBuf::from(layer), true),
    };
    match &source {
        Source::Directory { path, .. } if path.is_file() => Err(Failure::usage(
            format!("{layer} is neither a directory nor a zip"),
            "give the directory whose content goes to /opt, such as one with python/ or extensions/",
        )),
        _ => Ok(source),
    }
}

/// A directory of the layer, whose files are all in `/opt`.
fn in_layer(path: &str) -> Result<String, Failure> {
    let is_below = Path::new(path).starts_with(LAYERS) && !path.split('/').any(|part| part == "..");
    match is_below {
        true => Ok(path.to_owned()),
        false => Err(Failure::usage(
            format!("{path} is not in /opt, where the files of a layer are"),
            "write /opt, or a directory of it, such as /opt/extensions",
        )),
    }
}
